"""Tests of a preview's database and role: created, completed after a crash, reset and dropped."""

import dataclasses

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, build_scenario
from tests.server.crashing_connection import Crash, CrashingConnect, crash_at_each_statement
from tests.support.postgres import PostgresServer

from pgimport.model.errors import Conflict, Refused
from pgimport.model.owner_comment import DatabasePhase, OwnerComment, format_owner_comment
from pgimport.server.marked_objects import read_marked_objects
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview
from pgimport.server.roles import set_connection_limit
from pgimport.server.server_access import Access
from pgimport.server.server_state import read_database_oid, read_database_size, read_user_objects
from pgimport.server.swap import swap


def _owner_access(scenario: PreviewScenario) -> Access:
    return dataclasses.replace(scenario.access, user=scenario.owner, password=scenario.owner_password)


def test_a_new_preview_is_empty_and_belongs_to_its_owner(scenario: PreviewScenario) -> None:
    reset_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    assert read_user_objects(_owner_access(scenario), scenario.database) == []
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE first_table (id int)")
        assert connection.execute(
            "SELECT nspowner::regrole::text, pg_encoding_to_char(encoding) FROM pg_namespace, pg_database"
            " WHERE nspname = 'public' AND datname = current_database()"
        ).fetchone() == (scenario.owner, "UTF8")


def test_ensuring_again_keeps_content_and_sets_the_password(scenario: PreviewScenario) -> None:
    ensure_preview(scenario.access, scenario.database, scenario.owner, "another", scenario.mark)
    assert dataclasses.replace(scenario, owner_password="another").tables() == ["old"]


def test_owners_of_other_previews_may_not_connect(scenario: PreviewScenario) -> None:
    other = build_scenario(scenario.server, scenario.access)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        scenario.server.connect(scenario.database, other.owner, other.owner_password)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param("CREATE ROLE {name}_owner", id="role-without-mark"),
        pytest.param("CREATE ROLE {name}_owner; COMMENT ON ROLE {name}_owner IS 'mine'", id="role-of-a-person"),
        pytest.param("CREATE DATABASE {name}", id="database-without-mark"),
    ],
)
def test_foreign_databases_and_roles_are_not_changed(server: PostgresServer, access: Access, prepare: str) -> None:
    name = f"strange_{abs(hash(prepare)) % 10**8}"
    for statement in prepare.format(name=name).split(";"):
        server.execute(statement)
    with pytest.raises(Refused, match="was not created for this preview"):
        ensure_preview(access, name, f"{name}_owner", "secret", OwnerComment(project_uid="p", preview_uid="v"))


def test_another_previews_mark_is_refused(scenario: PreviewScenario) -> None:
    other = scenario.mark.model_copy(update={"preview_uid": "another"})
    with pytest.raises(Refused):
        ensure_preview(scenario.access, scenario.database, scenario.owner, "secret", other)
    assert scenario.tables() == ["old"]


def test_the_next_call_completes_a_creation_that_crashed_anywhere(scenario: PreviewScenario) -> None:
    drop_preview(scenario.access, scenario.database, scenario.owner)
    arguments = (scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    crashes = list(crash_at_each_statement(lambda connect: ensure_preview(*arguments, connect=connect)))
    assert len(crashes) > 5
    assert scenario.tables() == []


def test_the_next_reset_completes_one_that_crashed_anywhere(scenario: PreviewScenario) -> None:
    arguments = (scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    crashes = list(crash_at_each_statement(lambda connect: reset_preview(*arguments, connect=connect)))
    assert len(crashes) > 10
    assert scenario.tables() == []


@pytest.mark.parametrize("statements", [2, 5, 9, 14])
def test_the_next_reconcile_repairs_a_preview_after_a_reset_crashed(scenario: PreviewScenario, statements: int) -> None:
    """The next reconcile only calls `ensure_preview`; it does not know of the reset."""
    arguments = (scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    with pytest.raises(Crash):
        reset_preview(*arguments, connect=CrashingConnect(statements))
    ensure_preview(*arguments)
    assert scenario.tables() in (["old"], [])


def test_the_next_drop_completes_one_that_crashed_anywhere(scenario: PreviewScenario) -> None:
    crashes = crash_at_each_statement(
        lambda connect: drop_preview(scenario.access, scenario.database, scenario.owner, connect=connect)
    )
    assert len(list(crashes)) > 3
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []


def test_only_the_observed_database_is_dropped(scenario: PreviewScenario) -> None:
    """A late reconcile must not drop a newer database."""
    observed_oid = read_database_oid(scenario.access, scenario.database)
    reset_preview(
        scenario.access,
        scenario.database,
        scenario.owner,
        scenario.owner_password,
        scenario.mark,
        expected_oid=observed_oid,
    )
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE newer (id int)")
    with pytest.raises(Conflict, match="the new one stays"):
        reset_preview(
            scenario.access, scenario.database, scenario.owner, "another", scenario.mark, expected_oid=observed_oid
        )
    for old_oid in (observed_oid, 0):
        with pytest.raises(Conflict, match="the new one stays"):
            drop_preview(scenario.access, scenario.database, scenario.owner, expected_oid=old_oid)
    assert scenario.tables() == ["newer"]
    drop_preview(
        scenario.access,
        scenario.database,
        scenario.owner,
        expected_oid=read_database_oid(scenario.access, scenario.database),
    )
    assert read_database_oid(scenario.access, scenario.database) == 0
    drop_preview(scenario.access, scenario.database, scenario.owner, expected_oid=observed_oid)


def test_dropping_ends_sessions_and_prepared_transactions(scenario: PreviewScenario) -> None:
    with scenario.as_owner() as connection:
        connection.execute("BEGIN; CREATE TABLE half (id int); PREPARE TRANSACTION 'half'")
        drop_preview(scenario.access, scenario.database, scenario.owner)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    drop_preview(scenario.access, scenario.database, scenario.owner)
    assert read_database_size(scenario.access, scenario.database) is None
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []


def test_a_role_with_objects_in_the_maintenance_database_is_dropped(scenario: PreviewScenario) -> None:
    scenario.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    with scenario.as_owner("postgres") as connection:
        connection.execute("SELECT lo_create(0)")
    scenario.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    drop_preview(scenario.access, scenario.database, scenario.owner)
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []
    assert scenario.server.query("SELECT FROM pg_largeobject_metadata") == []


def test_an_interrupted_drop_is_completed(scenario: PreviewScenario) -> None:
    scenario.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s RETURNING 1", scenario.database)
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    assert scenario.tables() == []


NO_LOGIN = "ALTER ROLE {owner} NOLOGIN"
CLOSED = "ALTER DATABASE {database} ALLOW_CONNECTIONS false"


@pytest.mark.parametrize(
    ("phase", "statements", "kept"),
    [
        pytest.param(DatabasePhase.READY, (), True, id="ready"),
        pytest.param(DatabasePhase.READY, (NO_LOGIN,), True, id="ready, without login"),
        pytest.param(DatabasePhase.READY, (NO_LOGIN, CLOSED), True, id="ready, without login, closed"),
        pytest.param(DatabasePhase.CREATING, (NO_LOGIN,), True, id="creating"),
        pytest.param(DatabasePhase.DROPPING, (), False, id="dropping"),
        pytest.param(DatabasePhase.DROPPING, (NO_LOGIN, CLOSED), False, id="dropping, without login, closed"),
        pytest.param(None, (), True, id="older release, ready"),
        pytest.param(None, (NO_LOGIN,), True, id="older release, creating"),
        pytest.param(None, (CLOSED,), True, id="older release, interrupted swap"),
        pytest.param(None, (NO_LOGIN, CLOSED), False, id="older release, dropping"),
    ],
)
def test_the_comment_of_the_role_says_whether_the_database_is_to_be_dropped(
    scenario: PreviewScenario, phase: DatabasePhase | None, statements: tuple[str, ...], kept: bool
) -> None:
    """Neither the login of the role nor the state of the database does: a role without login may own data."""
    comment = format_owner_comment(scenario.mark.model_copy(update={"phase": phase}))
    scenario.server.execute(f"COMMENT ON ROLE {scenario.owner} IS '{comment}'")
    for statement in statements:
        scenario.server.execute(statement.format(owner=scenario.owner, database=scenario.database))
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    assert scenario.tables() == (["old"] if kept else [])
    assert _read_phase(scenario) is DatabasePhase.READY


def _read_phase(scenario: PreviewScenario) -> DatabasePhase | None:
    marked = read_marked_objects(scenario.access, scenario.mark.project_uid)
    return next(item.mark.phase for item in marked if item.name == scenario.owner)


def test_the_size_of_a_database_is_read(scenario: PreviewScenario) -> None:
    assert (read_database_size(scenario.access, scenario.database) or 0) > 1_000_000


USER_OBJECTS = {
    "CREATE VIEW v AS SELECT 1": "view public.v",
    "CREATE TABLE t (id serial)": "table public.t",  # its sequence is not named
    "CREATE SEQUENCE s": "sequence public.s",
    "CREATE TYPE c AS (a int)": "type public.c",
    "CREATE DOMAIN d AS int": "domain public.d",
    "CREATE TYPE e AS ENUM ()": "type public.e",
    "CREATE FUNCTION f(int) RETURNS int RETURN 1": "function public.f(integer)",
    'CREATE SCHEMA "S"': 'schema "S"',
    "SELECT lo_create(4711)": "large object 4711",
}


def test_objects_of_a_user_are_named(scenario: PreviewScenario) -> None:
    with scenario.as_owner() as connection:
        connection.execute("DROP TABLE old")
        assert read_user_objects(_owner_access(scenario), scenario.database) == []
        for statement in USER_OBJECTS:
            connection.execute(statement.encode())
    assert sorted(read_user_objects(_owner_access(scenario), scenario.database, 50)) == sorted(USER_OBJECTS.values())


def test_the_number_of_named_objects_is_limited(scenario: PreviewScenario) -> None:
    with scenario.as_owner() as connection:
        for number in range(9):
            connection.execute(f"CREATE TABLE t{number} (id int)".encode())
    assert len(read_user_objects(_owner_access(scenario), scenario.database, limit=3)) == 3


@pytest.mark.isolation
def test_the_connections_of_an_owner_are_limited(scenario: PreviewScenario) -> None:
    """A tenant could use all connections of the server. It may not change the limit of its own role."""
    ensure_preview(
        scenario.access,
        scenario.database,
        scenario.owner,
        scenario.owner_password,
        scenario.mark,
        connection_limit=2,
    )
    first = scenario.as_owner()
    with scenario.as_owner():
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            scenario.as_owner()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            first.execute(f"ALTER ROLE {scenario.owner} CONNECTION LIMIT 9".encode())
        first.execute("BEGIN")
        first.execute(f"ALTER ROLE {scenario.owner} PASSWORD 'held'".encode())
    set_connection_limit(scenario.access, scenario.owner, 3)  # ends the session that holds the role's row
    first.close()
    (role,) = [
        item for item in read_marked_objects(scenario.access, scenario.mark.project_uid) if item.name == scenario.owner
    ]
    assert role.connection_limit == 3


@pytest.mark.isolation
def test_the_swap_keeps_the_connection_limit_of_the_owner(scenario: PreviewScenario) -> None:
    set_connection_limit(scenario.access, scenario.owner, 3)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.query("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", scenario.owner) == [(3,)]
