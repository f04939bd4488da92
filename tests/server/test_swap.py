"""Tests of the swap: the target is the old or the new database, after any crash and beside any session."""

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, read_log
from tests.server.crashing_connection import Crash, CrashingConnect, crash_at_each_statement

from pgimport.model.errors import Refused
from pgimport.model.names import replaced_names
from pgimport.model.observations import ObservedSwap
from pgimport.model.owner_comment import format_owner_comment
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import connect
from pgimport.server.database_locks import lock_database_name
from pgimport.server.preview import ensure_preview
from pgimport.server.server_state import read_swap
from pgimport.server.shadow import drop_attempt, prepare_shadow
from pgimport.server.swap import SwapPlan, drop_replaced, open_target, swap


def _database(scenario: PreviewScenario, name: str) -> tuple[object, ...]:
    return scenario.query(
        "SELECT datdba::regrole::text, datconnlimit, datallowconn, shobj_description(oid, 'pg_database'),"
        " has_database_privilege('public', oid, 'CONNECT') FROM pg_database WHERE datname = %s",
        name,
    )[0]


def test_the_shadow_replaces_the_target(scenario: PreviewScenario) -> None:
    scenario.prepare()
    before = _database(scenario, scenario.database)
    assert swap(scenario.access, scenario.swap_plan()) is None
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
    assert scenario.query(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", replaced.role
    ) == [(format_owner_comment(scenario.attempt_mark),)]
    drop_replaced(scenario.access, scenario.names)
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []
    assert scenario.tables() == []


def test_the_observed_swap_follows_the_oids(scenario: PreviewScenario) -> None:
    scenario.prepare()
    before = read_swap(scenario.access, scenario.database, scenario.names)
    assert None not in (before.target_oid, before.shadow_oid)
    replaced = replaced_names(scenario.names.database)
    replaced_objects = {f"database {replaced.database}", f"role {replaced.role}"}
    assert not replaced_objects & set(scenario.leftovers())
    swap(scenario.access, scenario.swap_plan())
    after = read_swap(scenario.access, scenario.database, scenario.names)
    assert after == ObservedSwap(target_oid=before.shadow_oid, shadow_oid=None)
    assert replaced_objects <= set(scenario.leftovers())
    drop_replaced(scenario.access, scenario.names)
    assert not replaced_objects & set(scenario.leftovers())


def test_after_a_crash_anywhere_the_target_is_old_or_closed_and_the_next_swap_completes(
    scenario: PreviewScenario,
) -> None:
    """The target has the old content or refuses connections, until a swap completes."""
    scenario.prepare()
    contents = [
        _read_target(scenario)
        for _ in crash_at_each_statement(
            lambda connect: _require_success(swap(scenario.access, scenario.swap_plan(), connect=connect))
        )
    ]
    assert len(contents) > 20
    assert contents[0] == ["old"]
    assert all(content in (["old"], CLOSED) for content in contents)
    assert scenario.tables() == ["new"]
    assert swap(scenario.access, scenario.swap_plan()) is None
    for _ in crash_at_each_statement(lambda connect: drop_replaced(scenario.access, scenario.names, connect=connect)):
        assert scenario.tables() == ["new"]
    assert scenario.leftovers() == []


@pytest.mark.parametrize("statements", [8, 11, 14, 20])
def test_the_next_swap_completes_one_that_crashed(scenario: PreviewScenario, statements: int) -> None:
    scenario.prepare()
    with pytest.raises(Crash):
        swap(scenario.access, scenario.swap_plan(), connect=CrashingConnect(statements))
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def _require_success(failure: Failure | None) -> None:
    assert failure is None


CLOSED = "not currently accepting connections"


def _read_target(scenario: PreviewScenario) -> list[str] | str:
    try:
        return scenario.tables()
    except psycopg.OperationalError as error:
        return CLOSED if CLOSED in str(error) else str(error)


def test_a_cancelled_swap_leaves_the_old_target(scenario: PreviewScenario) -> None:
    """The swap crashes, and the import is cancelled: the attempt is dropped, and the target is unchanged."""
    scenario.prepare()
    with pytest.raises(Crash):
        swap(scenario.access, scenario.swap_plan(), connect=CrashingConnect(12))
    drop_attempt(scenario.access, scenario.names)
    failure = swap(scenario.access, scenario.swap_plan())
    assert failure is not None
    assert failure.reason is Reason.TARGET_LOST
    assert scenario.leftovers() == []


def _open_for_the_import(scenario: PreviewScenario) -> None:
    open_target(scenario.access, scenario.database)


def _open_for_the_preview(scenario: PreviewScenario) -> None:
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)


@pytest.mark.thorough
@pytest.mark.parametrize("reopen", [_open_for_the_import, _open_for_the_preview])
def test_the_next_reconcile_opens_a_target_that_a_crash_left_closed(
    scenario: PreviewScenario, reopen: Callable[[PreviewScenario], None]
) -> None:
    """The import's reconcile opens it, or the preview's if the import no longer exists."""
    scenario.prepare()
    closed_count = 0
    for _ in crash_at_each_statement(lambda connect: swap(scenario.access, scenario.swap_plan(), connect=connect)):
        before = read_swap(scenario.access, scenario.database, scenario.names)
        assert before.target_open is (_read_target(scenario) == ["old"])
        closed_count += not before.target_open
        reopen(scenario)
        assert read_swap(scenario.access, scenario.database, scenario.names).target_open
        assert scenario.tables() == ["old"]
    assert closed_count > 5
    assert scenario.tables() == ["new"]


def test_two_operators_never_change_a_target_at_the_same_time(scenario: PreviewScenario) -> None:
    """The second operator waits, and then has nothing to do."""
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


def test_sessions_are_ended_and_clients_reconnect_to_the_new_target(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner() as holder, scenario.as_attempt() as other:
        assert swap(scenario.access, scenario.swap_plan()) is None
        for connection in (holder, other):
            with pytest.raises(psycopg.errors.AdminShutdown, match="terminating connection due to administrator"):
                connection.execute("SELECT 1")
    assert scenario.tables() == ["new"]


# The last two: a session that was ended while it was starting, and a session that looked up its database before the
# rename and found another name afterwards.
EXPECTED_ERRORS = (CLOSED, "terminating connection", "server closed the connection", "does not exist")
# At most once for each client: it logged in as the old role before the rename, and found the new database, which the
# old role may not connect to. PostgreSQL reads the role before it reads the database (InitPostgres).
REFUSED_FOR_THE_OLD_ROLE = "permission denied for database"
CLIENTS = 3


def test_clients_that_reconnect_constantly_do_not_block_the_swap(scenario: PreviewScenario) -> None:
    """They read the old target, get an expected error, and then read the new target with the same credentials."""
    scenario.prepare()
    finished, results = threading.Event(), Counter[str]()

    def reconnect() -> None:
        while not finished.is_set():
            try:
                with scenario.as_owner() as connection:
                    cursor = connection.execute(
                        "SELECT min(tablename::text) FROM pg_tables WHERE schemaname = 'public'"
                    )
                    ((name,),) = cursor.fetchall()
                    results[str(name)] += 1
                    connection.execute("SELECT pg_sleep(0.01)")
            except psycopg.OperationalError as error:
                results[str(error).strip().rpartition("FATAL:")[2].strip().splitlines()[0]] += 1

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(reconnect) for _ in range(CLIENTS)]
        time.sleep(0.3)
        assert swap(scenario.access, scenario.swap_plan(busy_timeout=20)) is None
        time.sleep(0.3)
        finished.set()
        for client in clients:
            client.result()
    assert {"old", "new"} <= results.keys()
    errors = results.keys() - {"old", "new"}
    unknown = {error: results[error] for error in errors if not any(text in error for text in EXPECTED_ERRORS)}
    assert all(error.startswith(REFUSED_FOR_THE_OLD_ROLE) for error in unknown), unknown
    assert sum(unknown.values()) <= CLIENTS


def test_a_superusers_session_blocks_the_swap_and_the_target_stays_open(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner(), scenario.server.connect(scenario.database, application_name="monitor") as holder:
        contents: list[list[str]] = []

        def read_and_wait(seconds: float) -> None:
            contents.append(scenario.tables())
            if len(contents) == 2:
                holder.close()

        failure = swap(scenario.access, scenario.swap_plan(busy_timeout=0), pause=read_and_wait)
        assert failure is not None
        assert (failure.reason, "postgres (monitor)" in failure.message) == (Reason.TARGET_BUSY, True)
        assert scenario.tables() == ["old"]
        assert swap(scenario.access, scenario.swap_plan(busy_timeout=30), pause=read_and_wait) is None
    assert contents == [["old"], ["old"]]
    assert scenario.tables() == ["new"]


def test_a_prepared_transaction_blocks_the_swap_and_the_target_stays_usable(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_owner() as connection:
        connection.execute("BEGIN; INSERT INTO old VALUES (1); PREPARE TRANSACTION 'written by a user'")
        started = time.perf_counter()
        failure = swap(scenario.access, scenario.swap_plan(busy_timeout=60))
        assert failure is not None
        assert (failure.reason, "written by a user" in failure.message) == (Reason.TARGET_BUSY, True)
        assert time.perf_counter() - started < 30  # it waited for nothing
        connection.execute("ROLLBACK PREPARED 'written by a user'")
    assert scenario.tables() == ["old"]
    assert swap(scenario.access, scenario.swap_plan()) is None


def test_target_and_owner_need_not_exist(scenario: PreviewScenario) -> None:
    scenario.prepare()
    plan = dataclasses.replace(scenario.swap_plan(), target=f"{scenario.database}_n", owner=f"{scenario.owner}_n")
    assert swap(scenario.access, plan) is None
    created = dataclasses.replace(scenario, database=plan.target, owner=plan.owner)
    assert created.tables() == ["new"]
    assert _database(scenario, plan.target) == (plan.owner, -1, True, None, False)
    assert scenario.leftovers() == []
    assert scenario.tables() == ["old"]


def test_the_owner_may_exist_without_its_target(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"DROP DATABASE {scenario.database} WITH (FORCE)")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def test_an_owner_without_a_password_cannot_log_in_with_the_password_of_the_attempt(scenario: PreviewScenario) -> None:
    scenario.prepare()
    assert swap(scenario.access, dataclasses.replace(scenario.swap_plan(), owner_password=None)) is None
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        dataclasses.replace(scenario, owner_password=scenario.attempt_password).tables()


def test_an_error_during_the_swap_opens_the_target_again(scenario: PreviewScenario) -> None:
    scenario.prepare()
    taken = replaced_names(scenario.names.database).role
    scenario.server.execute(f"CREATE ROLE {taken}")
    with pytest.raises(Refused, match=f"role {taken} exists"):
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
