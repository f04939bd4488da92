"""The swap: wholly the old one or wholly the new one, whatever dies, whoever is in the way."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.server.conftest import House, read_log
from tests.server.crashing import Crash, CrashingConnect, crash_ever_later

from pgimport.model.errors import Conflict
from pgimport.model.facts import SwapFacts
from pgimport.model.mark import format_mark
from pgimport.model.names import replaced_names
from pgimport.model.reasons import Failure, Reason
from pgimport.server.access import connect, hold
from pgimport.server.facts import read_swap
from pgimport.server.preview import ensure_preview
from pgimport.server.shadow import drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, finish_swap, open_target, swap


def _database(house: House, name: str) -> tuple[object, ...]:
    return house.ask(
        "SELECT datdba::regrole::text, datconnlimit, datallowconn, shobj_description(oid, 'pg_database'),"
        " has_database_privilege('public', oid, 'CONNECT') FROM pg_database WHERE datname = %s",
        name,
    )[0]


def test_the_new_one_takes_the_old_ones_place(house: House) -> None:
    house.prepare()
    before = _database(house, house.database)
    started = time.perf_counter()
    assert swap(house.access, house.swap_plan()) is None
    assert time.perf_counter() - started < 2
    assert house.tables() == ["new"]
    assert _database(house, house.database) == before
    with house.as_owner() as connection:
        connection.execute("DROP TABLE new")
        connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        connection.execute("CREATE SCHEMA more")
        assert connection.execute(
            "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
        ).fetchone() == (house.owner,)
    replaced = replaced_names(house.names.database)
    assert _database(house, replaced.database)[3] == format_mark(house.attempt_mark)
    assert house.ask("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", replaced.role) == [
        (format_mark(house.attempt_mark),)
    ]
    drop_replaced(house.access, house.names)
    drop_replaced(house.access, house.names)
    assert house.leftovers() == []
    assert house.tables() == []


def test_facts_follow_the_swap(house: House) -> None:
    house.prepare()
    before = read_swap(house.access, house.database, house.names)
    assert None not in (before.target_oid, before.shadow_oid)
    assert not before.replaced_exists
    swap(house.access, house.swap_plan())
    after = read_swap(house.access, house.database, house.names)
    assert after == SwapFacts(target_oid=before.shadow_oid, shadow_oid=None, replaced_exists=True)
    drop_replaced(house.access, house.names)
    assert not read_swap(house.access, house.database, house.names).replaced_exists


def test_a_crash_anywhere_shows_the_old_or_the_new_one_and_is_finished(house: House) -> None:
    """Nothing but these: the old content, the new content, or (while it is swapped) a refusal."""
    house.prepare()
    seen = [
        _seen(house)
        for _ in crash_ever_later(lambda connect: _succeed(swap(house.access, house.swap_plan(), connect=connect)))
    ]
    assert len(seen) > 20
    assert seen[0] == ["old"]
    assert all(one in (["old"], SHUT) for one in seen)
    assert house.tables() == ["new"]
    for repeated in (swap, finish_swap):
        assert repeated(house.access, house.swap_plan()) is None
    for _ in crash_ever_later(lambda connect: drop_replaced(house.access, house.names, connect=connect)):
        assert house.tables() == ["new"]
    assert house.leftovers() == []


@pytest.mark.parametrize("statements", [8, 11, 14, 20])
def test_a_crash_once_is_finished_at_once(house: House, statements: int) -> None:
    house.prepare()
    with pytest.raises(Crash):
        swap(house.access, house.swap_plan(), connect=CrashingConnect(statements))
    assert swap(house.access, house.swap_plan()) is None
    assert house.tables() == ["new"]


def _succeed(failure: Failure | None) -> None:
    assert failure is None


SHUT = "not currently accepting connections"


def _seen(house: House) -> list[str] | str:
    try:
        return house.tables()
    except psycopg.OperationalError as refused:
        return SHUT if SHUT in str(refused) else str(refused)


def test_a_swap_that_was_given_up_leaves_the_old_one(house: House) -> None:
    """A crash in the middle, then a cancel: the attempt is dropped, the target is as it was."""
    house.prepare()
    with pytest.raises(Crash):
        swap(house.access, house.swap_plan(), connect=CrashingConnect(12))
    assert finish_swap(house.access, house.swap_plan()).reason is Reason.TARGET_BUSY  # type: ignore[union-attr]
    drop_attempt(house.access, house.names)
    failure = swap(house.access, house.swap_plan())
    assert failure is not None
    assert failure.reason is Reason.TARGET_LOST
    assert house.leftovers() == []


def _open_as_the_import(house: House) -> None:
    open_target(house.access, house.database)


def _open_as_the_preview(house: House) -> None:
    ensure_preview(house.access, house.database, house.owner, house.owner_password, house.mark)


@pytest.mark.thorough
@pytest.mark.parametrize("reopen", [_open_as_the_import, _open_as_the_preview])
def test_a_target_that_a_crash_left_shut_is_opened_by_whoever_comes(
    house: House, reopen: Callable[[House], None]
) -> None:
    """By the import's next look; by its preview's, where the import is gone."""
    house.prepare()
    shut = 0
    for _ in crash_ever_later(lambda connect: swap(house.access, house.swap_plan(), connect=connect)):
        before = read_swap(house.access, house.database, house.names)
        assert before.target_open is (_seen(house) == ["old"])
        shut += not before.target_open
        reopen(house)
        assert read_swap(house.access, house.database, house.names).target_open
        assert house.tables() == ["old"]
    assert shut > 5
    assert house.tables() == ["new"]


def test_one_of_ours_at_a_time_changes_a_target(house: House) -> None:
    """Another operator waits, and then finds that there is nothing left to do."""
    house.prepare()
    with connect(house.access) as other:
        hold(other, house.database)
        with ThreadPoolExecutor() as pool:
            swapping = pool.submit(swap, house.access, house.swap_plan())
            time.sleep(0.5)
            assert house.tables() == ["old"]
            assert not swapping.done()
            other.close()
            assert swapping.result(20) is None
    assert swap(house.access, house.swap_plan()) is None
    assert house.tables() == ["new"]


def test_what_the_dump_did_to_its_role_is_forgotten(house: House) -> None:
    house.prepare()
    with house.as_attempt() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET search_path = evil")
        for database, setting in (
            (house.names.database, "default_transaction_read_only = on"),
            (house.database, "work_mem = '64kB'"),
        ):
            connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {setting}".encode())
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'known to the dump'")
    assert swap(house.access, house.swap_plan()) is None
    with house.as_owner() as connection:
        connection.execute("CREATE TABLE still_writable (id int)")
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert house.ask("SELECT FROM pg_db_role_setting WHERE setrole = %s::regrole", house.owner) == []
    for password in ("known to the dump", house.attempt_password):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            house.server.connect(house.database, house.owner, password)


def _about(house: House, reader: str, group: str) -> list[list[tuple[object, ...]]]:
    return [
        house.ask(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
            " LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = %s OR rolname = %s ORDER BY 1",
            house.database,
            house.owner,
        ),
        house.ask(
            "SELECT datconnlimit, shobj_description(oid, 'pg_database'), datdba::regrole::text,"
            " has_database_privilege('public', oid, 'CONNECT'),"
            " has_database_privilege(%s, oid, 'TEMPORARY WITH GRANT OPTION') FROM pg_database WHERE datname = %s",
            reader,
            house.database,
        ),
        house.ask(
            "SELECT rolconnlimit, rolvaliduntil, rolcanlogin, pg_has_role(%s, oid, 'USAGE'),"
            " pg_has_role(oid, %s::regrole::oid, 'USAGE'), shobj_description(oid, 'pg_authid')"
            " FROM pg_roles WHERE rolname = %s",
            reader,
            group,
            house.owner,
        ),
    ]


def test_what_people_gave_the_target_is_carried_over(house: House) -> None:
    reader, group = f"{house.owner}_reader", f"{house.owner}_group"
    for statement in (
        f"CREATE ROLE {reader} LOGIN",
        f"CREATE ROLE {group}",
    ):
        house.server.execute(statement, user="admin")
    for statement in (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {house.database} TO {reader} WITH GRANT OPTION",
        f"GRANT {group} TO {house.owner}",
        f"GRANT {house.owner} TO {reader}",
        f"COMMENT ON DATABASE {house.database} IS 'of a person'",
        f"ALTER DATABASE {house.database} CONNECTION LIMIT 7",
        f'ALTER DATABASE {house.database} SET search_path = "$user", public, "odd "" , name"',
        f"ALTER DATABASE {house.database} SET application_name = 'it''s, \"quoted\"'",
        f"ALTER ROLE {house.owner} SET statement_timeout = '7min'",
        f"ALTER ROLE {house.owner} IN DATABASE {house.database} SET lock_timeout = '7s'",
        f"ALTER ROLE {house.owner} CONNECTION LIMIT 9 VALID UNTIL '2099-01-01 00:00:00+00'",
    ):
        house.server.execute(statement)
    before = _about(house, reader, group)
    house.prepare()
    assert swap(house.access, house.swap_plan()) is None
    assert _about(house, reader, group) == before
    drop_replaced(house.access, house.names)
    assert house.leftovers() == []


def test_a_setting_that_only_a_superuser_may_give_does_not_stop_the_swap(house: House) -> None:
    house.server.execute(f"ALTER DATABASE {house.database} SET log_min_duration_statement = 100")
    house.prepare()
    assert swap(house.access, house.swap_plan()) is None
    assert house.tables() == ["new"]


def test_sessions_are_ended_and_come_back_to_the_new_one(house: House) -> None:
    house.prepare()
    with house.as_owner() as holder, house.as_attempt() as other:
        assert swap(house.access, house.swap_plan()) is None
        for connection in (holder, other):
            with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection due to administrator"):
                connection.execute("SELECT 1")
    assert house.tables() == ["new"]


# The last two: a session that had just begun when it was ended, and one that looked its database up before the renames
# and found another name in its place after them.
REFUSALS = (SHUT, "terminating connection", "server closed the connection", "does not exist")
# Besides, once a client: one that was let in as the old role before the renames, and found the new database, which that
# role may not enter, after them. A server knows the role before it looks for the database (InitPostgres).
REFUSED_AS_THE_OLD_ONE = "permission denied for database"
CLIENTS = 3


def test_clients_that_come_again_and_again_do_not_hold_it_up(house: House) -> None:
    """They see the old one, are cut or refused in clear words, and see the new one: by name, role and password."""
    house.prepare()
    over, seen = threading.Event(), Counter[str]()

    def come_again() -> None:
        while not over.is_set():
            try:
                with house.as_owner() as connection:
                    found = connection.execute("SELECT min(tablename::text) FROM pg_tables WHERE schemaname = 'public'")
                    ((name,),) = found.fetchall()
                    seen[str(name)] += 1
                    connection.execute("SELECT pg_sleep(0.01)")
            except psycopg.OperationalError as refused:
                seen[str(refused).strip().rpartition("FATAL:")[2].strip().splitlines()[0]] += 1

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(come_again) for _ in range(CLIENTS)]
        time.sleep(0.3)
        assert swap(house.access, house.swap_plan(patience=20)) is None
        time.sleep(0.3)
        over.set()
        for client in clients:
            client.result()
    assert {"old", "new"} <= seen.keys()
    unknown = {one: seen[one] for one in seen.keys() - {"old", "new"} if not any(word in one for word in REFUSALS)}
    assert all(one.startswith(REFUSED_AS_THE_OLD_ONE) for one in unknown), unknown
    assert sum(unknown.values()) <= CLIENTS


def test_a_superusers_session_holds_the_target_which_stays_open(house: House) -> None:
    house.prepare()
    with house.as_owner(), house.server.connect(house.database, application_name="monitor") as holder:
        looks: list[list[str]] = []

        def look_and_wait(seconds: float) -> None:
            looks.append(house.tables())
            if len(looks) == 2:
                holder.close()

        failure = swap(house.access, house.swap_plan(patience=0), pause=look_and_wait)
        assert failure is not None
        assert (failure.reason, "postgres (monitor)" in failure.message) == (Reason.TARGET_BUSY, True)
        assert house.tables() == ["old"]
        assert swap(house.access, house.swap_plan(patience=30), pause=look_and_wait) is None
    assert looks == [["old"], ["old"]]
    assert house.tables() == ["new"]


def test_a_prepared_transaction_makes_the_target_busy_and_leaves_it_usable(house: House) -> None:
    house.prepare()
    with house.as_owner() as connection:
        connection.execute("BEGIN; INSERT INTO old VALUES (1); PREPARE TRANSACTION 'of a person'")
        started = time.perf_counter()
        failure = swap(house.access, house.swap_plan(patience=60))
        assert failure is not None
        assert (failure.reason, "of a person" in failure.message) == (Reason.TARGET_BUSY, True)
        assert time.perf_counter() - started < 5
        connection.execute("ROLLBACK PREPARED 'of a person'")
    assert house.tables() == ["old"]
    assert swap(house.access, house.swap_plan()) is None


def test_target_and_owner_need_not_exist(house: House) -> None:
    house.prepare()
    plan = dataclasses.replace(house.swap_plan(), target=f"{house.database}_n", owner=f"{house.owner}_n")
    assert swap(house.access, plan) is None
    made = dataclasses.replace(house, database=plan.target, owner=plan.owner)
    assert made.tables() == ["new"]
    assert _database(house, plan.target) == (plan.owner, -1, True, None, False)
    assert house.leftovers() == []
    assert house.tables() == ["old"]


def test_the_owner_may_be_there_without_its_target(house: House) -> None:
    house.server.execute(f"DROP DATABASE {house.database} WITH (FORCE)")
    house.prepare()
    assert swap(house.access, house.swap_plan()) is None
    assert house.tables() == ["new"]


def test_an_owner_without_a_password_cannot_log_in_with_the_attempts(house: House) -> None:
    house.prepare()
    assert swap(house.access, dataclasses.replace(house.swap_plan(), owner_password=None)) is None
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        dataclasses.replace(house, owner_password=house.attempt_password).tables()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"owner": "admin"}, "cannot be the admin", id="owner-is-the-admin"),
        pytest.param({"target": "postgres"}, "cannot be replaced", id="the-maintenance-database"),
    ],
)
def test_what_must_not_be_replaced_is_refused(house: House, changes: dict[str, str], words: str) -> None:
    house.prepare()
    plan = house.swap_plan()
    owner, target = changes.get("owner", plan.owner), changes.get("target", plan.target)
    wanted = dataclasses.replace(plan, owner=owner, target=target)
    with pytest.raises(Conflict, match=words):
        swap(house.access, wanted)
    assert house.tables() == ["old"]


def test_an_owner_of_other_things_is_not_replaced(house: House) -> None:
    other = f"{house.database}_other"
    house.server.execute(f"CREATE DATABASE {other} OWNER {house.owner}")
    house.prepare()
    with pytest.raises(Conflict, match=f"also owns database {other}"):
        swap(house.access, house.swap_plan())
    assert house.tables() == ["old"]


def test_an_error_within_opens_the_target_again(house: House) -> None:
    house.prepare()
    taken = replaced_names(house.names.database).role
    house.server.execute(f"CREATE ROLE {taken}")
    with pytest.raises(Conflict):
        swap(house.access, house.swap_plan())
    assert house.tables() == ["old"]
    house.server.execute(f"DROP ROLE {taken}")
    assert swap(house.access, house.swap_plan()) is None


def test_no_password_is_sent_in_clear_text(house: House) -> None:
    prepare_shadow(house.access, house.shadow_plan)
    plan: SwapPlan = dataclasses.replace(house.swap_plan(), owner_password="new-" + house.owner_password)
    assert swap(house.access, plan) is None
    log = read_log(house.server)
    assert house.owner_password not in log
    assert house.attempt_password not in log
