"""The swap: wholly the old one or wholly the new one, whatever dies, whoever is in the way."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, read_log
from tests.server.crashing_connection import Crash, CrashingConnect, crash_ever_later

from pgimport.model.errors import Conflict
from pgimport.model.names import replaced_names
from pgimport.model.observations import ObservedSwap
from pgimport.model.owner_comment import format_owner_comment
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import connect, lock_database_name
from pgimport.server.preview import ensure_preview
from pgimport.server.server_state import read_swap
from pgimport.server.shadow import drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, open_target, swap


def _database(scenario: PreviewScenario, name: str) -> tuple[object, ...]:
    return scenario.ask(
        "SELECT datdba::regrole::text, datconnlimit, datallowconn, shobj_description(oid, 'pg_database'),"
        " has_database_privilege('public', oid, 'CONNECT') FROM pg_database WHERE datname = %s",
        name,
    )[0]


def test_the_new_one_takes_the_old_ones_place(scenario: PreviewScenario) -> None:
    scenario.prepare()
    before = _database(scenario, scenario.database)
    started = time.perf_counter()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert time.perf_counter() - started < 2
    assert scenario.tables() == ["new"]
    assert _database(scenario, scenario.database) == before
    with scenario.as_owner() as connection:
        connection.execute("DROP TABLE new")
        connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
        connection.execute("CREATE SCHEMA more")
        assert connection.execute(
            "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'"
        ).fetchone() == (scenario.owner,)
    replaced = replaced_names(scenario.names.database)
    assert _database(scenario, replaced.database)[3] == format_owner_comment(scenario.attempt_mark)
    assert scenario.ask(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", replaced.role
    ) == [(format_owner_comment(scenario.attempt_mark),)]
    drop_replaced(scenario.access, scenario.names)
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []
    assert scenario.tables() == []


def test_facts_follow_the_swap(scenario: PreviewScenario) -> None:
    scenario.prepare()
    before = read_swap(scenario.access, scenario.database, scenario.names)
    assert None not in (before.target_oid, before.shadow_oid)
    assert not before.replaced_exists
    swap(scenario.access, scenario.swap_plan())
    after = read_swap(scenario.access, scenario.database, scenario.names)
    assert after == ObservedSwap(target_oid=before.shadow_oid, shadow_oid=None, replaced_exists=True)
    drop_replaced(scenario.access, scenario.names)
    assert not read_swap(scenario.access, scenario.database, scenario.names).replaced_exists


def test_a_crash_anywhere_shows_the_old_or_the_new_one_and_is_finished(scenario: PreviewScenario) -> None:
    """Nothing but these: the old content, the new content, or (while it is swapped) a refusal."""
    scenario.prepare()
    seen = [
        _seen(scenario)
        for _ in crash_ever_later(
            lambda connect: _succeed(swap(scenario.access, scenario.swap_plan(), connect=connect))
        )
    ]
    assert len(seen) > 20
    assert seen[0] == ["old"]
    assert all(one in (["old"], SHUT) for one in seen)
    assert scenario.tables() == ["new"]
    assert swap(scenario.access, scenario.swap_plan()) is None
    for _ in crash_ever_later(lambda connect: drop_replaced(scenario.access, scenario.names, connect=connect)):
        assert scenario.tables() == ["new"]
    assert scenario.leftovers() == []


@pytest.mark.parametrize("statements", [8, 11, 14, 20])
def test_a_crash_once_is_finished_at_once(scenario: PreviewScenario, statements: int) -> None:
    scenario.prepare()
    with pytest.raises(Crash):
        swap(scenario.access, scenario.swap_plan(), connect=CrashingConnect(statements))
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def _succeed(failure: Failure | None) -> None:
    assert failure is None


SHUT = "not currently accepting connections"


def _seen(scenario: PreviewScenario) -> list[str] | str:
    try:
        return scenario.tables()
    except psycopg.OperationalError as refused:
        return SHUT if SHUT in str(refused) else str(refused)


def test_a_swap_that_was_given_up_leaves_the_old_one(scenario: PreviewScenario) -> None:
    """A crash in the middle, then a cancel: the attempt is dropped, the target is as it was."""
    scenario.prepare()
    with pytest.raises(Crash):
        swap(scenario.access, scenario.swap_plan(), connect=CrashingConnect(12))
    drop_attempt(scenario.access, scenario.names)
    failure = swap(scenario.access, scenario.swap_plan())
    assert failure is not None
    assert failure.reason is Reason.TARGET_LOST
    assert scenario.leftovers() == []


def _open_as_the_import(scenario: PreviewScenario) -> None:
    open_target(scenario.access, scenario.database)


def _open_as_the_preview(scenario: PreviewScenario) -> None:
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)


@pytest.mark.thorough
@pytest.mark.parametrize("reopen", [_open_as_the_import, _open_as_the_preview])
def test_a_target_that_a_crash_left_shut_is_opened_by_whoever_comes(
    scenario: PreviewScenario, reopen: Callable[[PreviewScenario], None]
) -> None:
    """By the import's next look; by its preview's, where the import is gone."""
    scenario.prepare()
    shut = 0
    for _ in crash_ever_later(lambda connect: swap(scenario.access, scenario.swap_plan(), connect=connect)):
        before = read_swap(scenario.access, scenario.database, scenario.names)
        assert before.target_open is (_seen(scenario) == ["old"])
        shut += not before.target_open
        reopen(scenario)
        assert read_swap(scenario.access, scenario.database, scenario.names).target_open
        assert scenario.tables() == ["old"]
    assert shut > 5
    assert scenario.tables() == ["new"]


def test_one_of_ours_at_a_time_changes_a_target(scenario: PreviewScenario) -> None:
    """Another operator waits, and then finds that there is nothing left to do."""
    scenario.prepare()
    with connect(scenario.access) as other:
        lock_database_name(other, scenario.database)
        with ThreadPoolExecutor() as pool:
            swapping = pool.submit(swap, scenario.access, scenario.swap_plan())
            time.sleep(0.5)
            assert scenario.tables() == ["old"]
            assert not swapping.done()
            other.close()
            assert swapping.result(20) is None
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def test_what_the_dump_did_to_its_role_is_forgotten(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_attempt() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET search_path = evil")
        for database, setting in (
            (scenario.names.database, "default_transaction_read_only = on"),
            (scenario.database, "work_mem = '64kB'"),
        ):
            connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {setting}".encode())
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'known to the dump'")
    assert swap(scenario.access, scenario.swap_plan()) is None
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE still_writable (id int)")
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert scenario.ask("SELECT FROM pg_db_role_setting WHERE setrole = %s::regrole", scenario.owner) == []
    for password in ("known to the dump", scenario.attempt_password):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            scenario.server.connect(scenario.database, scenario.owner, password)


def _about(scenario: PreviewScenario, reader: str, group: str) -> list[list[tuple[object, ...]]]:
    return [
        scenario.ask(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
            " LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = %s OR rolname = %s ORDER BY 1",
            scenario.database,
            scenario.owner,
        ),
        scenario.ask(
            "SELECT datconnlimit, shobj_description(oid, 'pg_database'), datdba::regrole::text,"
            " has_database_privilege('public', oid, 'CONNECT'),"
            " has_database_privilege(%s, oid, 'TEMPORARY WITH GRANT OPTION') FROM pg_database WHERE datname = %s",
            reader,
            scenario.database,
        ),
        scenario.ask(
            "SELECT rolconnlimit, rolvaliduntil, rolcanlogin, pg_has_role(%s, oid, 'USAGE'),"
            " pg_has_role(oid, %s::regrole::oid, 'USAGE'), shobj_description(oid, 'pg_authid')"
            " FROM pg_roles WHERE rolname = %s",
            reader,
            group,
            scenario.owner,
        ),
    ]


def test_what_people_gave_the_target_is_carried_over(scenario: PreviewScenario) -> None:
    reader, group = f"{scenario.owner}_reader", f"{scenario.owner}_group"
    for statement in (
        f"CREATE ROLE {reader} LOGIN",
        f"CREATE ROLE {group}",
    ):
        scenario.server.execute(statement, user="admin")
    for statement in (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {scenario.database} TO {reader} WITH GRANT OPTION",
        f"GRANT {group} TO {scenario.owner}",
        f"GRANT {scenario.owner} TO {reader}",
        f"COMMENT ON DATABASE {scenario.database} IS 'of a person'",
        f"ALTER DATABASE {scenario.database} CONNECTION LIMIT 7",
        f'ALTER DATABASE {scenario.database} SET search_path = "$user", public, "odd "" , name"',
        f"ALTER DATABASE {scenario.database} SET application_name = 'it''s, \"quoted\"'",
        f"ALTER ROLE {scenario.owner} SET statement_timeout = '7min'",
        f"ALTER ROLE {scenario.owner} IN DATABASE {scenario.database} SET lock_timeout = '7s'",
        f"ALTER ROLE {scenario.owner} CONNECTION LIMIT 9 VALID UNTIL '2099-01-01 00:00:00+00'",
    ):
        scenario.server.execute(statement)
    before = _about(scenario, reader, group)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert _about(scenario, reader, group) == before
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_a_setting_that_only_a_superuser_may_give_does_not_stop_the_swap(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"ALTER DATABASE {scenario.database} SET log_min_duration_statement = 100")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def test_sessions_are_ended_and_come_back_to_the_new_one(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner() as holder, scenario.as_attempt() as other:
        assert swap(scenario.access, scenario.swap_plan()) is None
        for connection in (holder, other):
            with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection due to administrator"):
                connection.execute("SELECT 1")
    assert scenario.tables() == ["new"]


# The last two: a session that had just begun when it was ended, and one that looked its database up before the renames
# and found another name in its place after them.
REFUSALS = (SHUT, "terminating connection", "server closed the connection", "does not exist")
# Besides, once a client: one that was let in as the old role before the renames, and found the new database, which that
# role may not enter, after them. A server knows the role before it looks for the database (InitPostgres).
REFUSED_AS_THE_OLD_ONE = "permission denied for database"
CLIENTS = 3


def test_clients_that_come_again_and_again_do_not_hold_it_up(scenario: PreviewScenario) -> None:
    """They see the old one, are cut or refused in clear words, and see the new one: by name, role and password."""
    scenario.prepare()
    over, seen = threading.Event(), Counter[str]()

    def come_again() -> None:
        while not over.is_set():
            try:
                with scenario.as_owner() as connection:
                    found = connection.execute("SELECT min(tablename::text) FROM pg_tables WHERE schemaname = 'public'")
                    ((name,),) = found.fetchall()
                    seen[str(name)] += 1
                    connection.execute("SELECT pg_sleep(0.01)")
            except psycopg.OperationalError as refused:
                seen[str(refused).strip().rpartition("FATAL:")[2].strip().splitlines()[0]] += 1

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(come_again) for _ in range(CLIENTS)]
        time.sleep(0.3)
        assert swap(scenario.access, scenario.swap_plan(patience=20)) is None
        time.sleep(0.3)
        over.set()
        for client in clients:
            client.result()
    assert {"old", "new"} <= seen.keys()
    unknown = {one: seen[one] for one in seen.keys() - {"old", "new"} if not any(word in one for word in REFUSALS)}
    assert all(one.startswith(REFUSED_AS_THE_OLD_ONE) for one in unknown), unknown
    assert sum(unknown.values()) <= CLIENTS


def test_a_superusers_session_holds_the_target_which_stays_open(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner(), scenario.server.connect(scenario.database, application_name="monitor") as holder:
        looks: list[list[str]] = []

        def look_and_wait(seconds: float) -> None:
            looks.append(scenario.tables())
            if len(looks) == 2:
                holder.close()

        failure = swap(scenario.access, scenario.swap_plan(patience=0), pause=look_and_wait)
        assert failure is not None
        assert (failure.reason, "postgres (monitor)" in failure.message) == (Reason.TARGET_BUSY, True)
        assert scenario.tables() == ["old"]
        assert swap(scenario.access, scenario.swap_plan(patience=30), pause=look_and_wait) is None
    assert looks == [["old"], ["old"]]
    assert scenario.tables() == ["new"]


def test_a_prepared_transaction_makes_the_target_busy_and_leaves_it_usable(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner() as connection:
        connection.execute("BEGIN; INSERT INTO old VALUES (1); PREPARE TRANSACTION 'of a person'")
        started = time.perf_counter()
        failure = swap(scenario.access, scenario.swap_plan(patience=60))
        assert failure is not None
        assert (failure.reason, "of a person" in failure.message) == (Reason.TARGET_BUSY, True)
        assert time.perf_counter() - started < 5
        connection.execute("ROLLBACK PREPARED 'of a person'")
    assert scenario.tables() == ["old"]
    assert swap(scenario.access, scenario.swap_plan()) is None


def test_target_and_owner_need_not_exist(scenario: PreviewScenario) -> None:
    scenario.prepare()
    plan = dataclasses.replace(scenario.swap_plan(), target=f"{scenario.database}_n", owner=f"{scenario.owner}_n")
    assert swap(scenario.access, plan) is None
    made = dataclasses.replace(scenario, database=plan.target, owner=plan.owner)
    assert made.tables() == ["new"]
    assert _database(scenario, plan.target) == (plan.owner, -1, True, None, False)
    assert scenario.leftovers() == []
    assert scenario.tables() == ["old"]


def test_the_owner_may_be_there_without_its_target(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"DROP DATABASE {scenario.database} WITH (FORCE)")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def test_an_owner_without_a_password_cannot_log_in_with_the_attempts(scenario: PreviewScenario) -> None:
    scenario.prepare()
    assert swap(scenario.access, dataclasses.replace(scenario.swap_plan(), owner_password=None)) is None
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        dataclasses.replace(scenario, owner_password=scenario.attempt_password).tables()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"owner": "admin"}, "cannot be the admin", id="owner-is-the-admin"),
        pytest.param({"target": "postgres"}, "cannot be replaced", id="the-maintenance-database"),
    ],
)
def test_what_must_not_be_replaced_is_refused(scenario: PreviewScenario, changes: dict[str, str], words: str) -> None:
    scenario.prepare()
    plan = scenario.swap_plan()
    owner, target = changes.get("owner", plan.owner), changes.get("target", plan.target)
    wanted = dataclasses.replace(plan, owner=owner, target=target)
    with pytest.raises(Conflict, match=words):
        swap(scenario.access, wanted)
    assert scenario.tables() == ["old"]


def test_an_owner_of_other_things_is_not_replaced(scenario: PreviewScenario) -> None:
    other = f"{scenario.database}_other"
    scenario.server.execute(f"CREATE DATABASE {other} OWNER {scenario.owner}")
    scenario.prepare()
    with pytest.raises(Conflict, match=f"also owns database {other}"):
        swap(scenario.access, scenario.swap_plan())
    assert scenario.tables() == ["old"]


def test_an_error_within_opens_the_target_again(scenario: PreviewScenario) -> None:
    scenario.prepare()
    taken = replaced_names(scenario.names.database).role
    scenario.server.execute(f"CREATE ROLE {taken}")
    with pytest.raises(Conflict):
        swap(scenario.access, scenario.swap_plan())
    assert scenario.tables() == ["old"]
    scenario.server.execute(f"DROP ROLE {taken}")
    assert swap(scenario.access, scenario.swap_plan()) is None


def test_no_password_is_sent_in_clear_text(scenario: PreviewScenario) -> None:
    prepare_shadow(scenario.access, scenario.shadow_plan)
    plan: SwapPlan = dataclasses.replace(scenario.swap_plan(), owner_password="new-" + scenario.owner_password)
    assert swap(scenario.access, plan) is None
    log = read_log(scenario.server)
    assert scenario.owner_password not in log
    assert scenario.attempt_password not in log
