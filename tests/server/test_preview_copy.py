"""Copies of a preview's database on a real server: owners, properties, crashes, refreshes and lost operators."""

import dataclasses
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.server.conftest import DEPENDENT, TRUSTED, PreviewScenario, build_scenario, build_source_info
from tests.server.crashing_connection import Crash, CrashingConnect, crash_at_each_statement

from pgimport.model.errors import Conflict, PgimportError, Refused, ServerUnavailable
from pgimport.model.names import replaced_names, short_hash
from pgimport.model.observations import ObservedContent
from pgimport.model.owner_comment import DatabasePhase, ImportedContent, OwnerComment, format_owner_comment
from pgimport.model.project_status import CloneMethod
from pgimport.model.reasons import Reason
from pgimport.model.result import DatabaseSetting
from pgimport.server import copied_content, preview_copy
from pgimport.server.connection import MAINTENANCE_DATABASE, Connection, connect
from pgimport.server.marked_objects import MarkedObject, drop_marked_object, read_marked_objects
from pgimport.server.preview import PreviewPlan, drop_preview, ensure_preview, reset_preview
from pgimport.server.preview_copy import CopyPlan, end_copy, ensure_copy
from pgimport.server.replacement_check import check_replaceable
from pgimport.server.server_access import Access
from pgimport.server.server_state import read_content
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import drop_replaced, swap

SNAPSHOT = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
CONTENT = (
    "CREATE SCHEMA app",
    "CREATE TABLE app.parent (id serial PRIMARY KEY, x int GENERATED ALWAYS AS IDENTITY)",
    "CREATE TABLE app.parts (id int) PARTITION BY LIST (id)",
    "CREATE TABLE app.part PARTITION OF app.parts FOR VALUES IN (1)",
    "CREATE VIEW app.view AS SELECT * FROM app.parent",
    "CREATE MATERIALIZED VIEW app.matview AS SELECT * FROM app.parent",
    "CREATE SEQUENCE app.sequence",
    "CREATE FUNCTION app.function(int) RETURNS int RETURN 1",
    "CREATE PROCEDURE app.procedure() LANGUAGE sql AS ''",
    "CREATE AGGREGATE app.aggregate(int) (sfunc = int4pl, stype = int)",
    "CREATE FUNCTION app.final(int, float8) RETURNS int RETURN $1",
    "CREATE AGGREGATE app.ordered(float8 ORDER BY int)"
    " (sfunc = int4pl, stype = int, initcond = '0', finalfunc = app.final)",
    "CREATE TYPE app.enum AS ENUM ('a')",
    "CREATE TYPE app.composite AS (a int)",
    "CREATE TYPE app.range AS RANGE (subtype = int)",
    "CREATE DOMAIN app.domain AS int",
    'CREATE COLLATION app.collation FROM "C"',
    "CREATE CONVERSION app.conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "CREATE STATISTICS app.statistics ON id, x FROM app.parent",
    "CREATE TEXT SEARCH CONFIGURATION app.configuration (COPY = simple)",
    "CREATE TEXT SEARCH DICTIONARY app.dictionary (TEMPLATE = simple)",
    "CREATE OPERATOR app.### (function = int4pl, leftarg = int, rightarg = int)",
    'CREATE TABLE app."odd "" name" (id int)',
    "CREATE PUBLICATION news FOR TABLE app.parent",
    "SELECT lo_create(4711)",
    "CREATE POLICY for_owner ON app.parent TO CURRENT_USER, pg_monitor USING (true)",
    "CREATE POLICY for_public ON app.parent USING (true)",
    "ALTER TABLE app.parent ENABLE ROW LEVEL SECURITY",
)


@pytest.fixture
def golden(scenario: PreviewScenario) -> PreviewScenario:
    """A golden preview with a table `new`, whose snapshot was taken at SNAPSHOT."""
    drop_preview(scenario.access, scenario.database, scenario.owner)
    ensure_preview(scenario.access, scenario.database, scenario.owner, None, scenario.mark)
    scenario.prepare()
    _swap(scenario)
    return scenario


def _swap(golden: PreviewScenario, at: datetime = SNAPSHOT) -> None:
    plan = dataclasses.replace(
        golden.swap_plan(), owner_password=None, may_log_in=False, content=ImportedContent(data_as_of=at)
    )
    assert swap(golden.access, plan) is None
    drop_replaced(golden.access, golden.names)


def _plan(source: PreviewScenario, number: int = 1, name: str = "", **changes: object) -> CopyPlan:
    database = name or f"copy_{secrets.token_hex(4)}"
    mark = OwnerComment(project_uid=source.mark.project_uid, preview_uid=f"uid-{database}", owner_name="copy")
    preview = PreviewPlan(database, f"{database}_owner", "secret", mark, connection_limit=7)
    plan = CopyPlan(source=source.database, source_role=source.owner, preview=preview, number=number)
    return dataclasses.replace(plan, **changes)  # type: ignore[arg-type]


def _open(source: PreviewScenario, plan: CopyPlan) -> "psycopg.Connection[tuple[object, ...]]":
    return source.server.connect(plan.preview.database, plan.preview.role, "secret")


def _list_tables(source: PreviewScenario, plan: CopyPlan) -> list[str]:
    with _open(source, plan) as connection:
        rows = connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return [str(name) for (name,) in rows]


def _read(source: PreviewScenario, plan: CopyPlan) -> ObservedContent:
    return read_content(source.access, plan.preview.database, plan.preview.role)


def test_a_copy_has_the_content_and_its_age_and_its_owner_may_change_everything(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    assert _read(golden, plan) == ObservedContent(imported=True, data_as_of=SNAPSHOT, copy_number=1)
    with _open(golden, plan) as connection:
        connection.execute("ALTER TABLE new ADD y int; CREATE TABLE more (id int); CREATE SCHEMA mine")
        connection.execute(f"ALTER DATABASE {plan.preview.database} SET work_mem = '5MB'".encode())
    limits = golden.query(
        "SELECT rolconnlimit, datallowconn, datconnlimit, has_database_privilege('public', d.oid, 'CONNECT')"
        " FROM pg_roles, pg_database AS d WHERE rolname = %s AND datname = %s",
        plan.preview.role,
        plan.preview.database,
    )
    assert limits == [(7, True, -1, False)]


def test_every_object_belongs_to_the_owner_of_the_copy(golden: PreviewScenario) -> None:
    golden.server.execute(f"ALTER ROLE {golden.owner} LOGIN PASSWORD 'filled'")
    with golden.server.connect(golden.database, golden.owner, "filled") as connection:
        for statement in CONTENT:
            connection.execute(statement.encode())
    golden.server.execute(f"ALTER ROLE {golden.owner} NOLOGIN")
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    owners = golden.query(
        "SELECT DISTINCT s.refobjid::regrole::text FROM pg_shdepend AS s, pg_database AS d"
        " WHERE d.oid = s.dbid AND s.deptype = 'o' AND d.datname = %s",
        plan.preview.database,
    )
    assert owners == [(plan.preview.role,)]
    others = golden.query(
        "SELECT s.deptype::text FROM pg_shdepend AS s, pg_database AS d WHERE d.oid = s.dbid AND d.datname = %s"
        " AND s.refobjid = %s::regrole",
        plan.preview.database,
        golden.owner,
    )
    assert others == []  # so a refresh can drop the golden preview's owner
    with _open(golden, plan) as connection:
        policies = connection.execute("SELECT polroles::regrole[]::text[] FROM pg_policy ORDER BY polname").fetchall()
        assert policies == [([plan.preview.role, "pg_monitor"],), (["-"],)]
    with _open(golden, plan) as connection:
        connection.execute('ALTER TABLE app."odd "" name" ADD y int; REFRESH MATERIALIZED VIEW app.matview')
        connection.execute("DROP SCHEMA app CASCADE; SELECT lo_unlink(4711)")


def test_the_statements_that_change_owners_are_read_and_run_in_parts(
    golden: PreviewScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source can have millions of large objects. Each transaction must fit into the lock table, and all into memory.

    The owner of everything else, also of the source database itself, does not change.
    """
    monkeypatch.setattr(copied_content, "STATEMENTS_PER_FETCH", 7)
    monkeypatch.setattr(copied_content, "OWNERS_PER_TRANSACTION", 3)
    with golden.server.connect(golden.database) as connection:
        connection.execute(f"SET ROLE {golden.owner}".encode())
        connection.execute("SELECT lo_create(n) FROM generate_series(1, 20) AS n")
    row_counts: list[int] = []
    changes: list[int] = []  # of owners, in each transaction

    def connect_and_count(access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        connection = connect(access, dbname)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                answer = super().execute(query, *arguments, **options)
                row_counts.append(self.pgresult.ntuples if self.pgresult is not None else 0)
                if isinstance(query, bytes) and b" OWNER TO " in query:
                    changes.append(query.count(b" OWNER TO "))
                return answer

        connection.cursor_factory = Cursor
        return connection

    plan = _plan(golden)
    ensure_copy(golden.access, plan, connect=connect_and_count)
    assert max(row_counts) == 7
    assert max(changes) == 3
    assert sum(changes) > 20
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = %s"
    assert golden.query(owner, golden.database) == [(golden.owner,)]
    with _open(golden, plan) as connection:
        owners = connection.execute("SELECT DISTINCT lomowner::regrole::text FROM pg_largeobject_metadata").fetchall()
    assert owners == [(plan.preview.role,)]


def test_owners_change_one_by_one_if_the_lock_table_is_full(golden: PreviewScenario) -> None:
    """A transaction locks the indexes of its tables too, and other copies and imports use the same lock table."""
    refused: list[int] = []

    def connect_to_full_lock_table(access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        connection = connect(access, dbname)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                if isinstance(query, bytes) and (changes := query.count(b" OWNER TO ")) > 1:
                    refused.append(changes)
                    raise psycopg.errors.OutOfMemory("out of shared memory")
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = Cursor
        return connection

    plan = _plan(golden)
    ensure_copy(golden.access, plan, connect=connect_to_full_lock_table)
    assert refused
    with _open(golden, plan) as connection:
        connection.execute("ALTER TABLE new ADD y int")


def test_settings_and_comment_of_the_source_are_written_anew(golden: PreviewScenario) -> None:
    for statement in (
        f"ALTER DATABASE {golden.database} SET search_path = app, public",
        f"ALTER ROLE {golden.owner} IN DATABASE {golden.database} SET work_mem = '7MB'",
        f"ALTER ROLE {golden.owner} SET DateStyle = 'German'",
        f"ALTER ROLE {golden.owner} IN DATABASE postgres SET timezone = 'Asia/Tokyo'",  # says nothing about the copy
        f"COMMENT ON DATABASE {golden.database} IS 'the shop''s data'",
    ):
        golden.server.execute(statement)
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    with _open(golden, plan) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("app, public",)
        assert connection.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert connection.execute("SHOW DateStyle").fetchone() == ("German, DMY",)
        assert connection.execute("SHOW timezone").fetchone() != ("Asia/Tokyo",)
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    assert golden.query(comment, plan.preview.database) == [("the shop's data",)]


def test_the_copy_of_a_source_with_settings_lets_the_next_import_replace_them(scenario: PreviewScenario) -> None:
    setting = DatabaseSetting(name="search_path", value="app, public")
    prepare_shadow(
        scenario.access,
        dataclasses.replace(
            scenario.shadow_plan, source=build_source_info().model_copy(update={"settings": [setting]})
        ),
    )
    assert swap(scenario.access, scenario.swap_plan()) is None
    plan = _plan(scenario)
    ensure_copy(scenario.access, plan)
    (role,) = [
        item
        for item in read_marked_objects(scenario.access, scenario.mark.project_uid)
        if item.name == plan.preview.role
    ]
    assert role.mark.preview_uid == plan.preview.mark.preview_uid
    with _open(scenario, plan) as connection:
        assert connection.execute("SHOW search_path").fetchone() == ("app, public",)


def test_the_owner_of_a_copy_may_use_the_extensions(golden: PreviewScenario) -> None:
    if golden.server.major != 18:
        pytest.skip("the tests' extensions need extension_control_path, which PostgreSQL 18 introduced")
    source = build_source_info((TRUSTED, "1.1", "public"), (DEPENDENT, "1.0", "dependent"))
    later = dataclasses.replace(golden, names=dataclasses.replace(golden.names, role="r_ext", database="d_ext"))
    prepare_shadow(golden.access, dataclasses.replace(later.shadow_plan, source=source))
    _swap(later)
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    with _open(golden, plan) as connection:
        assert connection.execute("INSERT INTO dependent.rules DEFAULT VALUES RETURNING id").fetchone() == (1,)
        assert connection.execute("SELECT dependent.own()").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT dependent.as_admin()")


@pytest.mark.isolation
def test_a_copy_reaches_neither_golden_nor_other_copies(golden: PreviewScenario) -> None:
    first, second = _plan(golden), _plan(golden)
    ensure_copy(golden.access, first)
    ensure_copy(golden.access, second)
    for database in (golden.database, second.preview.database):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            golden.server.connect(database, first.preview.role, "secret")
    with _open(golden, first) as connection:
        for role in (golden.owner, second.preview.role):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SET ROLE {role}".encode())
    memberships = golden.query(
        "SELECT member::regrole::text FROM pg_auth_members WHERE roleid IN (%s::regrole, %s::regrole)",
        golden.owner,
        first.preview.role,
    )
    assert set(memberships) == {("admin",)}


def test_a_copy_stays_as_it_is_when_golden_is_refreshed_or_dropped(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    _refresh(golden, "CREATE TABLE newer (id int)")
    assert _list_tables(golden, plan) == ["new"]
    second = _plan(golden, 2, plan.preview.database)
    ensure_copy(golden.access, second)
    assert _list_tables(golden, second) == ["newer"]
    drop_preview(golden.access, golden.database, golden.owner)
    assert _list_tables(golden, second) == ["newer"]
    assert golden.query("SELECT FROM pg_roles WHERE rolname LIKE 'pgimport_dropped%%' OR rolname = %s", "x") == []


def _refresh(golden: PreviewScenario, statement: str) -> None:
    _swap(_prepare_refresh(golden, statement), SNAPSHOT.replace(hour=3))


def _prepare_refresh(golden: PreviewScenario, statement: str) -> PreviewScenario:
    """Fills the shadow of another import. Returns the scenario whose swap makes it the golden preview's database."""
    tag = secrets.token_hex(4)
    names = dataclasses.replace(golden.names, role=f"pgimport_{tag}", database=f"pgimport_{tag}")
    later = dataclasses.replace(golden, names=names)
    prepare_shadow(later.access, later.shadow_plan)
    with later.as_attempt() as connection:
        connection.execute(statement.encode())
    return later


def test_an_older_copy_never_replaces_a_newer_one(golden: PreviewScenario) -> None:
    plan = _plan(golden, 2)
    ensure_copy(golden.access, plan)
    with pytest.raises(Conflict, match="the newer copy stays"):
        ensure_copy(golden.access, dataclasses.replace(plan, number=1))
    ensure_copy(golden.access, plan)  # complete: nothing happens
    assert _list_tables(golden, plan) == ["new"]


def _copy_until_crash(golden: PreviewScenario, plan: CopyPlan, connect: CrashingConnect) -> None:
    """Raises Crash. The clean-up of a temporary role then fails, because its session is closed too."""
    try:
        ensure_copy(golden.access, plan, connect=connect)
    except ServerUnavailable as error:
        raise Crash from error


def test_the_next_call_completes_a_copy_that_crashed_anywhere(golden: PreviewScenario) -> None:
    """After each crash there is none, or one that is not shown as complete; at the end, nothing is left over."""
    plan = _plan(golden)

    crashes = 0
    for _ in crash_at_each_statement(lambda connect: _copy_until_crash(golden, plan, connect), limit=250):
        crashes += 1
        assert not _read(golden, plan).exists
        with pytest.raises(psycopg.OperationalError):
            _open(golden, plan)
    assert crashes > 15
    assert _list_tables(golden, plan) == ["new"]
    temporary = f"pgimport_temporary_{short_hash(plan.preview.database, 20)}"
    assert golden.query("SELECT rolname FROM pg_roles WHERE rolname = %s", temporary) == []


@pytest.mark.parametrize("statements", range(4, 60, 7))
def test_a_copy_that_is_made_again_is_the_old_one_none_or_the_new_one(golden: PreviewScenario, statements: int) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    again = dataclasses.replace(plan, number=2)
    with suppress(Crash):
        _copy_until_crash(golden, again, CrashingConnect(statements))
    content = _read(golden, plan)
    assert not content.exists or content.copy_number in (1, 2)
    ensure_copy(golden.access, again)
    assert _read(golden, plan).copy_number == 2


def test_deleting_a_copy_that_crashed_anywhere_leaves_nothing(golden: PreviewScenario) -> None:
    for statements in range(5, 60, 9):
        plan = _plan(golden)
        with suppress(Crash):
            _copy_until_crash(golden, plan, CrashingConnect(statements))
        drop_preview(golden.access, plan.preview.database, plan.preview.role)
        left = golden.query(
            "SELECT datname::text FROM pg_database WHERE datname = %s UNION SELECT rolname::text FROM pg_roles"
            " WHERE rolname = %s",
            plan.preview.database,
            plan.preview.role,
        )
        assert left == []


@contextmanager
def _running(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(60)


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _copy_session(golden: PreviewScenario) -> list[tuple[object, ...]]:
    return golden.query(
        "SELECT pid, query FROM pg_stat_activity WHERE application_name LIKE %s AND query LIKE 'CREATE DATABASE%%'",
        "pgimport copy%",
    )


class _Network:
    """Opens connections that can all be cut, as by the end of the operator's process: the server does not notice."""

    def __init__(self) -> None:
        self._connections: list[Connection] = []

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        self._connections.append(connect(access, dbname))
        return self._connections[-1]

    def cut(self) -> None:
        for connection in self._connections:
            with closing(socket.socket(fileno=os.dup(connection.fileno()))) as client:
                client.shutdown(socket.SHUT_RD)


def test_a_killed_operators_create_database_is_found_again(golden: PreviewScenario) -> None:
    """The server continues its statement. The next operator waits for it and completes the same copy."""
    plan, network = _plan(golden), _Network()
    with closing(golden.server.connect(golden.database)) as holder:  # CREATE DATABASE waits up to five seconds for it
        with _running(lambda: _try(lambda: ensure_copy(golden.access, plan, connect=network))) as first:
            _wait_for(lambda: _copy_session(golden))
            network.cut()
            first.join(30)
        assert len(_copy_session(golden)) == 1
        with _running(lambda: ensure_copy(golden.access, plan)) as second:
            time.sleep(0.7)
            assert second.is_alive()
            assert len(_copy_session(golden)) == 1  # it waits, and creates nothing itself
            holder.close()
    assert _list_tables(golden, plan) == ["new"]
    assert golden.server.log is not None
    statement = f'CREATE DATABASE "{plan.preview.database}"'
    assert golden.server.log.read_text(errors="replace").count(f"statement: {statement}") == 1


def _try(work: Callable[[], object]) -> None:
    with suppress(ServerUnavailable, Refused, Crash):
        work()


def test_a_deletion_ends_a_running_copy(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    with (
        closing(golden.server.connect(golden.database)),
        _running(lambda: _try(lambda: ensure_copy(golden.access, plan))),
    ):
        _wait_for(lambda: _copy_session(golden))
        end_copy(golden.access, plan.preview.database)
        drop_preview(golden.access, plan.preview.database, plan.preview.role)
        assert _copy_session(golden) == []
    assert golden.query("SELECT FROM pg_database WHERE datname = %s", plan.preview.database) == []


def test_copies_run_side_by_side_and_a_swap_waits_for_them(golden: PreviewScenario) -> None:
    """A copy that begins while the swap waits would delay it again, so the server grants the lock to the swap first."""
    plans = [_plan(golden) for _ in range(3)]
    with closing(golden.server.connect(golden.database)) as holder:
        threads = [threading.Thread(target=lambda p=plan: ensure_copy(golden.access, p)) for plan in plans]
        for thread in threads:
            thread.start()
        _wait_for(lambda: len(_copy_session(golden)) == 3)
        holder.close()
        for thread in threads:
            thread.join(60)
    assert [_list_tables(golden, plan) for plan in plans] == [["new"]] * 3


def test_a_refresh_waits_for_a_copy_that_runs(golden: PreviewScenario) -> None:
    """The copy has the old data, and the refresh succeeds."""
    plan, later = _plan(golden), _prepare_refresh(golden, "CREATE TABLE newer (id int)")
    with closing(golden.server.connect(golden.database)) as holder, _running(lambda: ensure_copy(golden.access, plan)):
        _wait_for(lambda: _copy_session(golden))
        with _running(lambda: _swap(later)) as refresh:
            time.sleep(1)
            assert refresh.is_alive()
            holder.close()
    assert _list_tables(golden, plan) == ["new"]
    second = _plan(golden)
    ensure_copy(golden.access, second)
    assert _list_tables(golden, second) == ["newer"]


def test_a_refresh_succeeds_while_a_copy_is_not_complete(golden: PreviewScenario) -> None:
    """The content of such a copy still belongs to the golden preview's owner, which the swap replaces."""
    plan = _plan(golden)
    with suppress(Crash):
        ensure_copy(golden.access, plan, connect=_CrashingAfterCreate())
    assert golden.query("SELECT FROM pg_database WHERE datname = %s", plan.preview.database) != []
    check_replaceable(golden.access, golden.database, golden.owner)  # before rows are copied
    _refresh(golden, "CREATE TABLE newer (id int)")
    assert len(_list_held_roles(golden)) == 1
    ensure_copy(golden.access, plan)
    assert _list_tables(golden, plan) == ["new"]
    for marked in _list_held_roles(golden):  # the old owner could not be dropped before
        drop_marked_object(golden.access, marked)
    assert _list_held_roles(golden) == []


def test_a_refresh_succeeds_while_an_incomplete_copy_is_being_dropped(golden: PreviewScenario) -> None:
    """The drop of a database can be interrupted, for example while a session in it does not end."""
    plan = _plan(golden)
    with suppress(Crash):
        ensure_copy(golden.access, plan, connect=_CrashingAfterCreate())
    mark = plan.preview.mark.model_copy(update={"phase": DatabasePhase.DROPPING})
    golden.server.execute(f"COMMENT ON ROLE {plan.preview.role} IS '{format_owner_comment(mark)}'")
    check_replaceable(golden.access, golden.database, golden.owner)
    _refresh(golden, "CREATE TABLE newer (id int)")
    drop_preview(golden.access, plan.preview.database, plan.preview.role)
    for marked in _list_held_roles(golden):
        drop_marked_object(golden.access, marked)
    assert _list_held_roles(golden) == []


def test_a_refresh_succeeds_although_a_copy_has_objects_whose_owner_cannot_change(golden: PreviewScenario) -> None:
    """PostgreSQL has no ALTER … OWNER TO for an extension, default privileges and a user mapping."""
    with golden.server.connect(golden.database) as connection:
        for statement in (
            "DROP EXTENSION plpgsql",
            "CREATE FOREIGN DATA WRAPPER remote",
            "GRANT USAGE ON FOREIGN DATA WRAPPER remote TO PUBLIC",
            f"SET ROLE {golden.owner}",
            "CREATE EXTENSION plpgsql",
            "CREATE FUNCTION public.one() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER remote",
            "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere",
        ):
            connection.execute(statement.encode())
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    remaining = golden.query(
        "SELECT s.classid::regclass::text FROM pg_shdepend AS s, pg_database AS d WHERE d.oid = s.dbid"
        " AND d.datname = %s AND s.deptype = 'o' AND s.refobjid = %s::regrole ORDER BY 1",
        plan.preview.database,
        golden.owner,
    )
    assert remaining == [("pg_default_acl",), ("pg_extension",), ("pg_user_mapping",)]
    check_replaceable(golden.access, golden.database, golden.owner)
    _refresh(golden, "CREATE TABLE newer (id int)")
    assert len(_list_held_roles(golden)) == 1
    with _open(golden, plan) as connection:
        connection.execute("CREATE FUNCTION two() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN one() + 1; END'")
        assert connection.execute("SELECT two()").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner of extension plpgsql"):
            connection.execute("DROP EXTENSION plpgsql")
    ensure_copy(golden.access, _plan(golden, 2, plan.preview.database))  # made again, as by spec.resetAt
    for marked in _list_held_roles(golden):
        drop_marked_object(golden.access, marked)
    assert _list_held_roles(golden) == []


@pytest.mark.isolation
def test_an_extension_in_a_database_of_another_user_keeps_its_owner(golden: PreviewScenario) -> None:
    database = f"other_{secrets.token_hex(4)}"
    golden.server.execute(f"CREATE DATABASE {database}")
    golden.server.execute(f"GRANT CREATE ON DATABASE {database} TO {golden.owner}")
    with golden.server.connect(database) as connection:
        connection.execute(f"DROP EXTENSION plpgsql; SET ROLE {golden.owner}; CREATE EXTENSION plpgsql".encode())
    with pytest.raises(Refused, match=f"also owns objects in database {database}"):
        check_replaceable(golden.access, golden.database, golden.owner)


@pytest.mark.isolation
def test_a_preview_that_shall_no_longer_be_a_copy_becomes_empty(golden: PreviewScenario) -> None:
    """The Project may name a URL as its primary while a copy is not complete. The admin does not enter the copy."""
    plan = _plan(golden)
    with suppress(Crash):
        ensure_copy(golden.access, plan, connect=_CrashingAfterCreate())
    golden.server.execute(f"ALTER DATABASE {plan.preview.database} ALLOW_CONNECTIONS true")  # a later crash
    preview = plan.preview
    ensure_preview(golden.access, preview.database, preview.role, preview.password, preview.mark)
    assert _list_tables(golden, plan) == []
    assert _read(golden, plan) == ObservedContent(imported=False)
    ensure_preview(golden.access, preview.database, preview.role, preview.password, preview.mark)
    ensure_copy(golden.access, plan)
    assert _list_tables(golden, plan) == ["new"]


def test_a_complete_copy_keeps_its_content(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    preview = plan.preview
    ensure_preview(golden.access, preview.database, preview.role, preview.password, preview.mark)
    assert _list_tables(golden, plan) == ["new"]
    assert _read(golden, plan).copy_number == 1


def test_an_object_that_the_new_owner_may_not_own_is_named(golden: PreviewScenario) -> None:
    """An earlier release granted rights on extensions to the owner alone, and not to pg_database_owner."""
    with golden.server.connect(golden.database) as connection:
        for statement in (
            "CREATE FOREIGN DATA WRAPPER remote",
            f"GRANT USAGE ON FOREIGN DATA WRAPPER remote TO {golden.owner}",
            f"SET ROLE {golden.owner}",
            "CREATE SERVER elsewhere FOREIGN DATA WRAPPER remote",
        ):
            connection.execute(statement.encode())
    plan = _plan(golden)
    for _ in range(2):  # the copy is not complete, so it is tried again
        with pytest.raises(Refused) as caught:
            ensure_copy(golden.access, plan)
        message = caught.value.failure.message
        assert message.startswith(
            f"SERVER elsewhere in database {golden.database} cannot belong to the owner of a copy"
        )
        assert "permission denied for foreign-data wrapper remote (42501)" in message
        assert "grant it to pg_database_owner there, too. Then set spec.resetAt" in caught.value.failure.hint
    with golden.server.connect(golden.database) as connection:
        connection.execute("GRANT USAGE ON FOREIGN DATA WRAPPER remote TO pg_database_owner")
    granted = _plan(golden)
    ensure_copy(golden.access, granted)
    with _open(golden, granted) as connection:
        connection.execute("ALTER SERVER elsewhere OPTIONS (ADD host 'x')")
    _refresh(golden, "CREATE TABLE newer (id int)")
    again = dataclasses.replace(plan, number=2)
    ensure_copy(golden.access, again)
    assert _list_tables(golden, again) == ["newer"]


def _list_held_roles(golden: PreviewScenario) -> list[MarkedObject]:
    marked = read_marked_objects(golden.access, golden.mark.project_uid)
    return [item for item in marked if item.mark.dropped and item.mark.preview_uid == golden.mark.preview_uid]


class _CrashingAfterCreate:
    """Opens connections that break after CREATE DATABASE, as if their process had been killed."""

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        connection = connect(access, dbname)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                text = query.as_string(self.connection) if isinstance(query, sql.Composable) else str(query)
                answer = super().execute(query, *arguments, **options)
                if text.startswith("CREATE DATABASE"):
                    self.connection.close()
                    raise Crash
                return answer

        connection.cursor_factory = Cursor
        return connection


@pytest.mark.isolation
def test_no_copy_begins_while_the_source_is_being_replaced(golden: PreviewScenario) -> None:
    with golden.server.connect(user="admin") as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgimport {golden.database}"])
        with pytest.raises(ServerUnavailable) as caught:
            ensure_copy(golden.access, _plan(golden))
    assert caught.value.failure.reason is Reason.WAITING_FOR_REFRESH


@pytest.mark.isolation
def test_a_tenant_that_takes_the_lock_of_a_source_delays_no_copy(golden: PreviewScenario) -> None:
    """PostgreSQL has no privilege for advisory locks, and every role may connect to `postgres` by default."""
    tenant = build_scenario(golden.server, golden.access)
    golden.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    connection = tenant.as_owner("postgres")
    golden.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    with closing(connection):
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgimport {golden.database}"])
        plan = _plan(golden)
        ensure_copy(golden.access, plan)
        assert _list_tables(golden, plan) == ["new"]


def test_sessions_in_the_source_end_only_if_the_user_allows_it(scenario: PreviewScenario) -> None:
    plan = _plan(scenario)
    with closing(scenario.as_owner()) as user:
        with pytest.raises(ServerUnavailable) as caught:
            ensure_copy(scenario.access, plan)
        assert caught.value.failure.reason is Reason.TARGET_BUSY
        assert f"is in use: sessions of {scenario.owner}" in caught.value.failure.message
        assert "End these sessions" in caught.value.failure.hint
        assert user.execute("SELECT 1").fetchone() == (1,)
        ensure_copy(scenario.access, dataclasses.replace(plan, disconnect=True))
        with pytest.raises(psycopg.OperationalError):
            user.execute("SELECT 1")
    assert _list_tables(scenario, plan) == ["old"]
    assert scenario.tables() == ["old"]  # its users may connect again
    # A closed source would look like one whose swap or drop was interrupted.
    log = scenario.server.log.read_text(errors="replace") if scenario.server.log else ""
    assert f'ALTER DATABASE "{plan.preview.database}" ALLOW_CONNECTIONS' in log
    assert f'ALTER DATABASE "{scenario.database}" ALLOW_CONNECTIONS' not in log


def test_a_prepared_transaction_that_keeps_the_source_is_named(scenario: PreviewScenario) -> None:
    """Nobody can end it like a session, so the copy would wait for ever without a word about it."""
    plan = _plan(scenario, disconnect=True)
    with scenario.as_owner() as user:
        user.execute("BEGIN; CREATE TABLE later (id int); PREPARE TRANSACTION 'later'")
    with pytest.raises(ServerUnavailable) as caught:
        ensure_copy(scenario.access, plan)
    assert caught.value.failure.message.endswith(f"is in use: prepared transactions of {scenario.owner}")
    assert caught.value.failure.hint == "Commit or roll back the prepared transactions."
    with scenario.as_owner() as user:
        user.execute("COMMIT PREPARED 'later'")
    ensure_copy(scenario.access, plan)
    assert sorted(_list_tables(scenario, plan)) == ["later", "old"]


def test_a_source_larger_than_the_limit_is_refused_and_an_older_copy_stays(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    with pytest.raises(Refused) as caught:
        ensure_copy(golden.access, dataclasses.replace(plan, number=2, size_limit=1000))
    assert caught.value.failure.reason is Reason.SOURCE_TOO_LARGE
    assert _list_tables(golden, plan) == ["new"]


def test_a_copy_that_takes_too_long_ends_and_leaves_nothing_half_made(golden: PreviewScenario) -> None:
    """The admin's sessions have a timeout for short statements. A copy has one of its own."""
    plan = _plan(golden)
    with closing(golden.server.connect(golden.database)), pytest.raises(ServerUnavailable, match="statement timeout"):
        ensure_copy(golden.access, dataclasses.replace(plan, timeout_seconds=1))
    assert _copy_session(golden) == []
    assert golden.query("SELECT FROM pg_database WHERE datname = %s", plan.preview.database) == []
    ensure_copy(golden.access, plan)
    assert _list_tables(golden, plan) == ["new"]


def test_a_full_disk_in_mid_copy_is_named_and_the_next_call_makes_the_copy(golden: PreviewScenario) -> None:
    """PostgreSQL removes the files of a CREATE DATABASE that fails."""
    refused: list[str] = []

    def connect_to_full_disk(access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        connection = connect(access, dbname)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                text = query.as_string(self.connection) if isinstance(query, sql.Composable) else str(query)
                if text.startswith("CREATE DATABASE"):
                    refused.append(text)
                    raise psycopg.errors.DiskFull("could not write to file: No space left on device")
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = Cursor
        return connection

    plan = _plan(golden)
    with pytest.raises(ServerUnavailable) as caught:
        ensure_copy(golden.access, plan, connect=connect_to_full_disk)
    assert len(refused) == 1
    assert caught.value.failure.reason is Reason.TARGET_FULL
    assert f"no room for a copy of database {golden.database}" in caught.value.failure.message
    assert caught.value.failure.hint.startswith("Delete previews that nobody needs")  # not advice about a swap
    assert _read(golden, plan).exists is False
    ensure_copy(golden.access, plan)
    assert _list_tables(golden, plan) == ["new"]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "MULE_INTERNAL", "LATIN1"])
def test_names_in_any_encoding_get_the_new_owner(golden: PreviewScenario, encoding: str) -> None:
    database, name = f"encoded_{secrets.token_hex(4)}", b"caf\xe9" if encoding != "MULE_INTERNAL" else b"caf\x81\xe9"
    golden.server.execute(
        f"CREATE DATABASE {database} OWNER {golden.owner} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'"
    )
    with golden.server.connect(database, client_encoding=encoding) as connection:
        connection.execute(b'CREATE TABLE public."' + name + b'" (id int)')
        connection.execute(b'ALTER TABLE public."' + name + f'" OWNER TO {golden.owner}'.encode())
    plan = dataclasses.replace(_plan(golden), source=database)
    ensure_copy(golden.access, plan)
    owners = golden.query(
        "SELECT s.refobjid::regrole::text FROM pg_shdepend AS s, pg_database AS d"
        " WHERE d.oid = s.dbid AND s.deptype = 'o' AND s.classid = 'pg_class'::regclass AND d.datname = %s",
        plan.preview.database,
    )
    assert owners == [(plan.preview.role,)]


def test_a_complete_copy_gets_the_password_of_a_new_secret(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    preview = dataclasses.replace(plan.preview, password="another")
    ensure_copy(golden.access, dataclasses.replace(plan, preview=preview))
    golden.server.connect(preview.database, preview.role, "another").close()
    assert _read(golden, plan).copy_number == 1


@pytest.mark.parametrize("state", ["gone", "half dropped", "about to be dropped"])
def test_a_source_that_is_gone_is_waited_for(golden: PreviewScenario, state: str) -> None:
    if state == "gone":
        drop_preview(golden.access, golden.database, golden.owner)
    elif state == "half dropped":  # by somebody else
        golden.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s RETURNING 1", golden.database)
    else:
        mark = golden.mark.model_copy(update={"phase": DatabasePhase.DROPPING})
        golden.server.execute(f"COMMENT ON ROLE {golden.owner} IS '{format_owner_comment(mark)}'")
    with pytest.raises(ServerUnavailable) as caught:
        ensure_copy(golden.access, _plan(golden))
    assert caught.value.failure.reason is Reason.SOURCE_PREVIEW_NOT_READY


@pytest.mark.parametrize("state", ["gone", "about to be dropped", "emptied"])
def test_an_older_copy_stays_until_its_source_can_be_copied(golden: PreviewScenario, state: str) -> None:
    """A copy may wait long for its turn. Meanwhile, the golden preview can be deleted or reset."""
    plan = _plan(golden, needs_data=True)
    ensure_copy(golden.access, plan)
    if state == "gone":
        drop_preview(golden.access, golden.database, golden.owner)
    elif state == "emptied":
        reset_preview(golden.access, golden.database, golden.owner, None, golden.mark)
    else:
        mark = golden.mark.model_copy(update={"phase": DatabasePhase.DROPPING})
        golden.server.execute(f"COMMENT ON ROLE {golden.owner} IS '{format_owner_comment(mark)}'")
    with pytest.raises(ServerUnavailable) as caught:
        ensure_copy(golden.access, dataclasses.replace(plan, number=2))
    expected = Reason.NO_DATA if state == "emptied" else Reason.SOURCE_PREVIEW_NOT_READY
    assert caught.value.failure.reason is expected
    assert _list_tables(golden, plan) == ["new"]


def test_an_older_copy_stays_while_its_source_is_being_replaced(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    ensure_copy(golden.access, plan)
    with golden.server.connect(user="admin") as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgimport {golden.database}"])
        with pytest.raises(ServerUnavailable):
            ensure_copy(golden.access, dataclasses.replace(plan, number=2))
    assert _list_tables(golden, plan) == ["new"]


def test_two_previews_that_copy_each_other_do_not_wait_for_ever(scenario: PreviewScenario) -> None:
    """Each copy locks its own name first and the other's second. The wait for the second lock has a limit."""
    first = _plan(scenario, disconnect=True)
    ensure_copy(scenario.access, first)
    back = PreviewPlan(scenario.database, scenario.owner, "secret", scenario.mark)
    second = CopyPlan(source=first.preview.database, source_role=first.preview.role, preview=back, number=1)
    plans = (dataclasses.replace(first, number=2), dataclasses.replace(second, disconnect=True))
    errors: list[PgimportError] = []

    def copy(plan: CopyPlan) -> None:
        try:
            ensure_copy(scenario.access, plan)
        except PgimportError as error:
            errors.append(error)

    threads = [threading.Thread(target=copy, args=[plan]) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not any(isinstance(error, Refused) for error in errors)
    for database in (scenario.database, first.preview.database):
        assert scenario.query("SELECT FROM pg_database WHERE datname = %s", database) != []


def test_a_large_source_is_copied_by_its_files(golden: PreviewScenario, monkeypatch: pytest.MonkeyPatch) -> None:
    small = ensure_copy(golden.access, _plan(golden))
    monkeypatch.setattr(preview_copy, "FILE_COPY_FROM_BYTES", 0)
    plan = _plan(golden)
    large = ensure_copy(golden.access, plan)
    assert small is not None
    assert large is not None
    files = CloneMethod.CLONE if golden.server.major >= 18 else CloneMethod.FILE_COPY
    assert (small.method, large.method) == (CloneMethod.WAL_LOG, files)
    assert small.bytes > 0
    assert small.seconds > 0
    assert ensure_copy(golden.access, plan) is None  # complete: nothing is measured
    assert _list_tables(golden, plan) == ["new"]
    log = golden.server.log.read_text(errors="replace") if golden.server.log else ""
    assert f'CREATE DATABASE "{plan.preview.database}"' in log
    assert "STRATEGY FILE_COPY" in log
    assert ("SET file_copy_method = clone" in log) is (golden.server.major >= 18)


def test_files_are_copied_if_the_file_system_cannot_clone_them(
    golden: PreviewScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    if golden.server.major < 18:
        pytest.skip("file_copy_method is a setting of PostgreSQL 18")
    monkeypatch.setattr(preview_copy, "FILE_COPY_FROM_BYTES", 0)
    refused: list[str] = []

    def connect_to_old_files(access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection:
        """Opens a connection to a server whose file system cannot clone files."""
        connection = connect(access, dbname)

        class Cursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
                text = query.as_string(self.connection) if isinstance(query, sql.Composable) else str(query)
                if text.startswith("CREATE DATABASE") and not refused:
                    refused.append(text)
                    raise psycopg.errors.InternalError_("could not clone file: Invalid cross-device link")
                return super().execute(query, *arguments, **options)

        connection.cursor_factory = Cursor
        return connection

    plan = _plan(golden)
    copy = ensure_copy(golden.access, plan, connect=connect_to_old_files)
    assert copy is not None
    assert copy.method is CloneMethod.FILE_COPY
    assert len(refused) == 1
    assert _list_tables(golden, plan) == ["new"]
    log = golden.server.log.read_text(errors="replace") if golden.server.log else ""
    assert "SET file_copy_method = copy" in log


def test_a_changed_collation_version_is_refused_with_the_next_step(golden: PreviewScenario) -> None:
    if golden.server.major not in (15, 17):
        pytest.skip("the packaged servers of the other majors have only collations without a version")
    ensure_copy(golden.access, _plan(golden))
    database = f"icu_{secrets.token_hex(4)}"
    golden.server.execute(
        f"CREATE DATABASE {database} OWNER {golden.owner} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und'"
    )
    plan = dataclasses.replace(_plan(golden), source=database)
    golden.query("UPDATE pg_database SET datcollversion = '1' WHERE datname = %s RETURNING 1", database)
    with pytest.raises(Refused, match="has collation version 1, and the server has version") as caught:
        ensure_copy(golden.access, plan)
    assert "REFRESH COLLATION VERSION" in caught.value.failure.hint
    golden.server.execute(f"ALTER DATABASE {database} REFRESH COLLATION VERSION")
    ensure_copy(golden.access, plan)


def test_the_password_of_a_copy_is_not_in_the_log(golden: PreviewScenario) -> None:
    plan = _plan(golden)
    secret = f"secret-{secrets.token_hex(8)}"
    preview = dataclasses.replace(plan.preview, password=secret)
    ensure_copy(golden.access, dataclasses.replace(plan, preview=preview))
    assert golden.server.log is not None
    assert secret not in golden.server.log.read_text(errors="replace")


def test_names_of_a_replaced_golden_preview_are_free_again(golden: PreviewScenario) -> None:
    ensure_copy(golden.access, _plan(golden))
    _refresh(golden, "CREATE TABLE newer (id int)")
    replaced = replaced_names(golden.names.database)
    assert golden.query("SELECT FROM pg_roles WHERE rolname = %s", replaced.role) == []
