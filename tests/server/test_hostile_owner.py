"""Tests of what a preview's owner can do with SQL: its database is dropped and swapped within seconds all the same.

The admin is an ordinary role with CREATEDB and CREATEROLE. The README says so.
"""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, build_scenario, build_source_info
from tests.support.postgres import retry_while_refused

from pgimport.model.errors import ServerUnavailable
from pgimport.server.marked_objects import drop_marked_object, read_marked_objects
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview
from pgimport.server.roles import set_connection_limit
from pgimport.server.server_state import read_server_properties, read_user_objects
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import drop_replaced, swap
from pgimport.server.temporary_role import read_preview_objects

pytestmark = pytest.mark.isolation

Attack = Callable[[PreviewScenario, ExitStack], None]
LONGEST_SECONDS = 30.0  # what an owner does would take for ever


def _hold(scenario: PreviewScenario, stack: ExitStack, *statements: str, dbname: str | None = None) -> None:
    """Runs statements in a session of the owner, which stays open."""
    connection = stack.enter_context(_ended_by_others(scenario.as_owner(dbname)))
    for statement in statements:
        connection.execute(statement.format(database=scenario.database, owner=scenario.owner).encode())


@contextmanager
def _ended_by_others(
    connection: "psycopg.Connection[tuple[object, ...]]",
) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    try:
        yield connection
    finally:
        connection.close()


def _hold_own_role(scenario: PreviewScenario, stack: ExitStack) -> None:
    _hold(scenario, stack, "BEGIN", "ALTER ROLE CURRENT_USER PASSWORD 'another'")


def _hold_own_role_elsewhere(scenario: PreviewScenario, stack: ExitStack) -> None:
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    _hold(scenario, stack, "BEGIN", "ALTER ROLE CURRENT_USER PASSWORD 'another'", dbname="postgres")
    scenario.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")


def _hold_own_database(scenario: PreviewScenario, stack: ExitStack) -> None:
    _hold(scenario, stack, "BEGIN", "ALTER DATABASE {database} CONNECTION LIMIT 9")


def _hold_own_database_elsewhere(scenario: PreviewScenario, stack: ExitStack) -> None:
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    _hold(scenario, stack, "BEGIN", "ALTER DATABASE {database} SET work_mem = '8MB'", dbname="postgres")
    _hold(scenario, stack, "BEGIN", "ALTER DATABASE {database} CONNECTION LIMIT 9", dbname="postgres")
    scenario.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")


def _make_template(scenario: PreviewScenario, stack: ExitStack) -> None:
    _hold(scenario, stack, "ALTER DATABASE {database} IS_TEMPLATE true")


def _lock_out(scenario: PreviewScenario, stack: ExitStack) -> None:
    """VACUUM FULL waits behind an open transaction; then no session can start in the database."""
    blocked = scenario.as_owner()
    _hold(scenario, stack, "BEGIN", "LOCK TABLE pg_class IN ACCESS SHARE MODE")
    stack.enter_context(_ended_by_others(blocked))
    _start(lambda: blocked.execute("VACUUM FULL pg_class"))
    deadline = time.monotonic() + 10
    while not scenario.query(
        "SELECT FROM pg_stat_activity WHERE query LIKE 'VACUUM FULL%%' AND wait_event = 'relation'"
    ):
        assert time.monotonic() < deadline
    _start(lambda: scenario.as_owner().close())  # hangs while it starts


def _lock_out_of_prepared(scenario: PreviewScenario, stack: ExitStack) -> None:
    """The open transaction is a prepared one, which only its owner can end, from inside the database."""
    blocked = scenario.as_owner()
    _hold(
        scenario, stack, "BEGIN", "LOCK TABLE pg_class IN ACCESS SHARE MODE", f"PREPARE TRANSACTION '{scenario.owner}'"
    )
    stack.enter_context(_ended_by_others(blocked))
    _start(lambda: blocked.execute("VACUUM FULL pg_class"))
    deadline = time.monotonic() + 10
    while not scenario.query(
        "SELECT FROM pg_stat_activity WHERE query LIKE 'VACUUM FULL%%' AND wait_event = 'relation'"
    ):
        assert time.monotonic() < deadline


def _prepare_transaction(scenario: PreviewScenario, stack: ExitStack, *statements: str) -> None:
    _hold(scenario, stack, "BEGIN", "CREATE TABLE t ()", f"PREPARE TRANSACTION '{scenario.owner}'", *statements)


def _prepare_and_revoke_connect(scenario: PreviewScenario, stack: ExitStack) -> None:
    """Nobody can roll back the transaction without a session in the database."""
    _prepare_transaction(scenario, stack, "REVOKE ALL ON DATABASE {database} FROM CURRENT_USER")


def _prepare_lock_of_role(scenario: PreviewScenario, stack: ExitStack) -> None:
    """Seen before: `canceling statement due to lock timeout`, for ever. So too for the database."""
    _prepare_change(scenario, stack, "ALTER ROLE CURRENT_USER PASSWORD 'another'")


def _prepare_lock_of_database(scenario: PreviewScenario, stack: ExitStack) -> None:
    _prepare_change(scenario, stack, "ALTER DATABASE {database} CONNECTION LIMIT 9")


def _prepare_change(scenario: PreviewScenario, stack: ExitStack, statement: str) -> None:
    _hold(scenario, stack, "BEGIN", statement, f"PREPARE TRANSACTION '{scenario.owner}'")


def _prepare_and_allow_no_connection(scenario: PreviewScenario, stack: ExitStack) -> None:
    _prepare_transaction(scenario, stack, "ALTER DATABASE {database} CONNECTION LIMIT 0")


def _prepare_and_preload_nothing(scenario: PreviewScenario, stack: ExitStack) -> None:
    _prepare_transaction(scenario, stack, "ALTER DATABASE {database} SET local_preload_libraries = 'missing'")


def _start(action: Callable[[], object]) -> None:
    def run() -> None:
        with suppress(psycopg.Error):
            action()

    threading.Thread(target=run, daemon=True).start()


def _store_large_settings(scenario: PreviewScenario, stack: ExitStack) -> None:
    with scenario.as_owner() as connection:
        connection.execute(f"ALTER DATABASE {scenario.database} SET search_path = '{'x' * 10_000_000}'".encode())


ATTACKS: dict[str, Attack] = {
    "own-role": _hold_own_role,
    "own-role-elsewhere": _hold_own_role_elsewhere,
    "own-database": _hold_own_database,
    "own-database-elsewhere": _hold_own_database_elsewhere,
    "template": _make_template,
    "vacuum-full": _lock_out,
    "vacuum-full-behind-prepared": _lock_out_of_prepared,
    "prepared-own-role": _prepare_lock_of_role,
    "prepared-own-database": _prepare_lock_of_database,
    "prepared-without-connect": _prepare_and_revoke_connect,
    "prepared-without-connections": _prepare_and_allow_no_connection,
    "prepared-with-missing-library": _prepare_and_preload_nothing,
    "large-settings": _store_large_settings,
}


def _drop(scenario: PreviewScenario) -> None:
    drop_preview(scenario.access, scenario.database, scenario.owner)


def _reset(scenario: PreviewScenario) -> None:
    reset_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    assert scenario.tables() == []


def _sweep(scenario: PreviewScenario) -> None:
    uid = scenario.mark.project_uid  # other tests leave roles that cannot be dropped yet
    for marked in read_marked_objects(scenario.access, uid):
        if marked.mark.project_uid == uid:
            drop_marked_object(scenario.access, marked)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(_drop, id="drop"),
        pytest.param(_reset, id="reset", marks=pytest.mark.thorough),
        pytest.param(_sweep, id="sweep", marks=pytest.mark.thorough),
    ],
)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_owner_does_not_delay_the_drop_of_its_database(
    scenario: PreviewScenario, attack: Attack, operation: Callable[[PreviewScenario], None]
) -> None:
    with ExitStack() as stack:
        attack(scenario, stack)
        started = time.monotonic()
        operation(scenario)
        assert time.monotonic() - started < LONGEST_SECONDS
        if operation is not _reset:
            assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []
            assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []


@pytest.mark.parametrize(
    "attack",
    [pytest.param(attack, id=name) for name, attack in ATTACKS.items() if "prepared" not in name],
)
def test_an_owner_does_not_delay_the_swap_of_its_database(scenario: PreviewScenario, attack: Attack) -> None:
    scenario.prepare()
    with ExitStack() as stack:
        attack(scenario, stack)
        started = time.monotonic()
        assert swap(scenario.access, scenario.swap_plan(busy_timeout=1)) is None
        drop_replaced(scenario.access, scenario.names)
        assert time.monotonic() - started < LONGEST_SECONDS
        assert scenario.leftovers() == []
        assert scenario.tables() == ["new"]


@pytest.mark.thorough
def test_a_silent_copy_of_another_tenant_ends_a_drop_after_some_seconds(scenario: PreviewScenario) -> None:
    """DROP DATABASE waits for every process of the server, and a waiting COPY FROM STDIN does not react."""
    attacker = build_scenario(scenario.server, scenario.access)
    with attacker.as_owner() as connection, connection.cursor().copy("COPY old FROM STDIN") as copy:
        copy.write_row((1,))
        started = time.monotonic()
        with pytest.raises(ServerUnavailable, match=f"of {attacker.owner} in database {attacker.database}"):
            drop_preview(scenario.access, scenario.database, scenario.owner)
        assert time.monotonic() - started < 60
    drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []


def test_a_lock_that_a_tenant_took_delays_no_drop(scenario: PreviewScenario) -> None:
    """PUBLIC may connect to the database `postgres` by default, and may take every advisory lock there."""
    attacker = build_scenario(scenario.server, scenario.access)
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    with _ended_by_others(attacker.as_owner("postgres")) as connection:
        scenario.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgimport {scenario.database}"])
        started = time.monotonic()
        drop_preview(scenario.access, scenario.database, scenario.owner)
        assert time.monotonic() - started < LONGEST_SECONDS


def test_a_maintenance_database_that_is_open_to_public_gives_a_warning_with_the_statement(
    scenario: PreviewScenario,
) -> None:
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    (warning,) = read_server_properties(scenario.access, ()).warnings
    scenario.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    assert "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC" in warning
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO admin")
    assert read_server_properties(scenario.access, ()).warnings == ()


BRACKETS = "[" * 100_000
FORGED = json.dumps(
    {"pgimport": {"projectUid": "another", "importUid": "gone", "podUid": "pod", "ownerName": "../secrets/x"}}
)


@pytest.mark.parametrize(
    "comment", [BRACKETS, FORGED, "x" * 10_000_000], ids=["brackets", "forged-mark", "ten-megabytes"]
)
def test_a_comment_of_a_tenant_changes_nothing(scenario: PreviewScenario, comment: str) -> None:
    """Seen before: 100,000 brackets raised RecursionError in each sweep of every Project on the server."""
    with scenario.as_owner() as connection:
        connection.execute(f"COMMENT ON DATABASE {scenario.database} IS '{comment}'".encode())
    marked = [item for item in read_marked_objects(scenario.access, "another") if not item.mark.dropped]
    assert marked == []
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    drop_replaced(scenario.access, scenario.names)
    assert scenario.tables() == ["new"]


def test_a_role_without_a_free_connection_does_not_stop_a_look_at_its_database(scenario: PreviewScenario) -> None:
    set_connection_limit(scenario.access, scenario.owner, 1)
    owner = dataclasses.replace(scenario.access, user=scenario.owner, password=scenario.owner_password)
    # The server may still count an earlier session of the owner.
    with retry_while_refused(scenario.as_owner, 10):
        with pytest.raises(ServerUnavailable, match="too many connections for role"):
            read_user_objects(owner, scenario.database)
        assert read_preview_objects(owner, scenario.access, scenario.database, scenario.mark) == ["table public.old"]
    assert scenario.query("SELECT FROM pg_roles WHERE rolname LIKE 'pgimport_temporary_%%'") == []


@contextmanager
def _lock_database_of(victim: PreviewScenario) -> Iterator[None]:
    """Another tenant locks the victim's database, again and again: PostgreSQL asks for no privilege on it."""
    attacker, locked, stop = build_scenario(victim.server, victim.access), threading.Event(), threading.Event()
    statement = f"BEGIN; ALTER ROLE CURRENT_USER IN DATABASE {victim.database} SET work_mem = '1MB'".encode()

    def attack() -> None:
        while not stop.is_set():
            with suppress(psycopg.Error), attacker.as_owner() as connection:
                connection.execute(statement)
                locked.set()
                while not stop.wait(0.01):
                    connection.execute("SELECT")

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        assert locked.wait(30)
        yield
    finally:
        stop.set()
        thread.join()


def test_a_database_that_another_tenant_locks_is_swapped_and_dropped(scenario: PreviewScenario) -> None:
    """Seen before: swap and drop ended with `canceling statement due to lock timeout`, as long as the lock was held."""
    scenario.prepare()
    with _lock_database_of(scenario):
        assert swap(scenario.access, scenario.swap_plan(busy_timeout=1)) is None
        drop_replaced(scenario.access, scenario.names)
        assert scenario.tables() == ["new"]
        drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


def test_a_tenant_that_may_connect_does_not_delay_swap_and_drop(scenario: PreviewScenario) -> None:
    """DROP OWNED BY also removes privileges. Seen before: `canceling statement due to lock timeout`, for ever."""
    scenario.prepare()
    attacker = build_scenario(scenario.server, scenario.access)
    grant = f"GRANT CONNECT ON DATABASE {scenario.database} TO {attacker.owner}".encode()
    with ExitStack() as stack:
        with scenario.as_owner() as connection:
            connection.execute(grant)
        _hold(attacker, stack, "BEGIN", "DROP OWNED BY CURRENT_USER")
        assert swap(scenario.access, scenario.swap_plan()) is None
        drop_replaced(scenario.access, scenario.names)
        with scenario.as_owner() as connection:
            connection.execute(grant)
        _hold(attacker, stack, "BEGIN", "DROP OWNED BY CURRENT_USER")
        drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


def test_a_prepared_transaction_of_another_tenant_that_locks_the_database_is_rolled_back(
    scenario: PreviewScenario,
) -> None:
    """Seen before: swap and drop ended with `canceling statement due to lock timeout`, for ever."""
    scenario.prepare()
    attacker = build_scenario(scenario.server, scenario.access)
    statement = f"ALTER ROLE CURRENT_USER IN DATABASE {scenario.database} SET work_mem = '1MB'"
    with ExitStack() as stack:
        _hold(attacker, stack, "BEGIN", statement, f"PREPARE TRANSACTION '{attacker.owner}-1'")
        assert swap(scenario.access, scenario.swap_plan()) is None
        drop_replaced(scenario.access, scenario.names)
        _hold(attacker, stack, "BEGIN", statement, f"PREPARE TRANSACTION '{attacker.owner}-2'")
        drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


LATIN1_TEXTS = {
    "comment": ["COMMENT ON DATABASE {database} IS 'é'"],
    "comment-like-a-mark": ["COMMENT ON DATABASE {database} IS '{{\"pgimport\": é'"],
    "setting": ["ALTER DATABASE {database} SET application_name = 'é'"],
    "long-setting": ["ALTER DATABASE {database} SET application_name = '" + 70_000 * "é" + "'"],
    "setting-of-the-role": ["ALTER ROLE {owner} SET application_name = 'é'"],
    "prepared": ["BEGIN", "CREATE TABLE t ()", "PREPARE TRANSACTION 'é {owner}'"],
}


@pytest.mark.parametrize("statements", LATIN1_TEXTS.values(), ids=LATIN1_TEXTS)
def test_text_from_a_database_in_latin1_stops_nothing(scenario: PreviewScenario, statements: list[str]) -> None:
    """All databases share the catalogs for comments and settings, and each writes to them in its own encoding.

    Seen before: `UnicodeDecodeError` in each later reconcile, import and deletion of the preview.
    """
    source = build_source_info(encoding="LATIN1", collate="C", ctype="C")
    prepare_shadow(scenario.access, dataclasses.replace(scenario.shadow_plan, source=source))
    assert swap(scenario.access, scenario.swap_plan()) is None
    drop_replaced(scenario.access, scenario.names)
    with scenario.as_owner() as connection:
        for statement in statements:
            text = statement.format(database=scenario.database, owner=scenario.owner)
            connection.execute(text.encode("latin-1"))  # psycopg chose LATIN1 for this session
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    scenario.prepare()
    failure = swap(scenario.access, scenario.swap_plan())
    if len(statements) == 1:
        assert failure is None
        drop_replaced(scenario.access, scenario.names)
        assert scenario.tables() == ["new"]
    else:
        assert failure is not None
        assert f"a prepared transaction (� {scenario.owner} of {scenario.owner})" in failure.message
    drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_database WHERE datname = %s", scenario.database) == []


def test_a_tenant_in_a_template_does_not_stop_what_is_created_from_it(scenario: PreviewScenario) -> None:
    """PUBLIC may connect to a new database. Seen before: `source database … is being accessed by other users`."""
    template, victim = f"{scenario.database}_template", build_scenario(scenario.server, scenario.access)
    scenario.server.execute(f"CREATE DATABASE {template} TEMPLATE template0 IS_TEMPLATE true")
    with ExitStack() as stack:
        _hold(scenario, stack, "BEGIN", f"PREPARE TRANSACTION '{template}'", dbname=template)
        victim_preview = victim.database, victim.owner, victim.owner_password, victim.mark
        reset_preview(victim.access, *victim_preview, templates=[template])
        (warning,) = read_server_properties(scenario.access, (), [template]).warnings
        assert f'ALTER DATABASE "{template}" ALLOW_CONNECTIONS false' in warning
        _hold(scenario, stack, dbname=template)
        prepare_shadow(victim.access, dataclasses.replace(victim.shadow_plan, templates=[template]))
    scenario.server.execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS false")
    assert read_server_properties(scenario.access, (), [template]).warnings == ()
    scenario.server.execute(f"ALTER DATABASE {template} IS_TEMPLATE false")
    scenario.server.execute(f"DROP DATABASE {template}")
