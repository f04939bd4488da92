"""A preview's database and role: made, finished after any crash, made anew, dropped with whatever is in them."""

import dataclasses

import psycopg
import pytest
from tests.server.conftest import House, build_house
from tests.server.crashing import Crash, CrashingConnect, crash_ever_later
from tests.support.postgres import PostgresServer

from pgimport.model.errors import Conflict
from pgimport.model.mark import Mark
from pgimport.server.access import Access
from pgimport.server.facts import read_database_oid, read_database_size, read_own_objects
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview


def _owner_access(house: House) -> Access:
    return dataclasses.replace(house.access, user=house.owner, password=house.owner_password)


def test_a_new_preview_is_empty_and_its_owners(house: House) -> None:
    reset_preview(house.access, house.database, house.owner, house.owner_password, house.mark)
    assert read_own_objects(_owner_access(house), house.database) == []
    with house.as_owner() as connection:
        connection.execute("CREATE TABLE here (id int)")
        assert connection.execute(
            "SELECT nspowner::regrole::text, pg_encoding_to_char(encoding) FROM pg_namespace, pg_database"
            " WHERE nspname = 'public' AND datname = current_database()"
        ).fetchone() == (house.owner, "UTF8")


def test_ensuring_again_keeps_content_and_sets_the_password(house: House) -> None:
    ensure_preview(house.access, house.database, house.owner, "another", house.mark)
    assert dataclasses.replace(house, owner_password="another").tables() == ["old"]


def test_strangers_may_not_enter(house: House) -> None:
    other = build_house(house.server, house.access)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        house.server.connect(house.database, other.owner, other.owner_password)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param("CREATE ROLE {name}_owner", id="role-without-mark"),
        pytest.param("CREATE ROLE {name}_owner; COMMENT ON ROLE {name}_owner IS 'mine'", id="role-of-a-person"),
        pytest.param("CREATE DATABASE {name}", id="database-without-mark"),
    ],
)
def test_what_is_somebody_elses_is_left_alone(server: PostgresServer, access: Access, prepare: str) -> None:
    name = f"strange_{abs(hash(prepare)) % 10**8}"
    for statement in prepare.format(name=name).split(";"):
        server.execute(statement)
    with pytest.raises(Conflict, match="was not made for this preview"):
        ensure_preview(access, name, f"{name}_owner", "secret", Mark(project_uid="p", preview_uid="v"))


def test_another_previews_mark_is_a_conflict(house: House) -> None:
    other = house.mark.model_copy(update={"preview_uid": "another"})
    with pytest.raises(Conflict):
        ensure_preview(house.access, house.database, house.owner, "secret", other)
    assert house.tables() == ["old"]


def test_a_crash_anywhere_is_finished_by_the_next_call(house: House) -> None:
    drop_preview(house.access, house.database, house.owner)
    arguments = (house.access, house.database, house.owner, house.owner_password, house.mark)
    crashes = list(crash_ever_later(lambda connect: ensure_preview(*arguments, connect=connect)))
    assert len(crashes) > 5
    assert house.tables() == []


def test_a_reset_that_crashed_anywhere_is_finished_by_the_next_one(house: House) -> None:
    arguments = (house.access, house.database, house.owner, house.owner_password, house.mark)
    crashes = list(crash_ever_later(lambda connect: reset_preview(*arguments, connect=connect)))
    assert len(crashes) > 10
    assert house.tables() == []


@pytest.mark.parametrize("statements", [2, 5, 9, 14])
def test_a_reset_that_crashed_leaves_a_whole_one_for_the_next_look(house: House, statements: int) -> None:
    """The next look only ensures; it does not know of the reset."""
    arguments = (house.access, house.database, house.owner, house.owner_password, house.mark)
    with pytest.raises(Crash):
        reset_preview(*arguments, connect=CrashingConnect(statements))
    ensure_preview(*arguments)
    assert house.tables() in (["old"], [])


def test_a_drop_that_crashed_anywhere_is_finished_by_the_next_one(house: House) -> None:
    crashes = crash_ever_later(lambda connect: drop_preview(house.access, house.database, house.owner, connect=connect))
    assert len(list(crashes)) > 3
    assert house.ask("SELECT FROM pg_roles WHERE rolname = %s", house.owner) == []


def test_only_what_was_seen_is_dropped(house: House) -> None:
    """A look that is late must not take a newer database."""
    seen = read_database_oid(house.access, house.database)
    reset_preview(house.access, house.database, house.owner, house.owner_password, house.mark, only=seen)
    with house.as_owner() as connection:
        connection.execute("CREATE TABLE newer (id int)")
    with pytest.raises(Conflict, match="the new one stays"):
        reset_preview(house.access, house.database, house.owner, "another", house.mark, only=seen)
    for old in (seen, 0):
        with pytest.raises(Conflict, match="the new one stays"):
            drop_preview(house.access, house.database, house.owner, only=old)
    assert house.tables() == ["newer"]
    drop_preview(house.access, house.database, house.owner, only=read_database_oid(house.access, house.database))
    assert read_database_oid(house.access, house.database) == 0
    drop_preview(house.access, house.database, house.owner, only=seen)


def test_dropping_ends_sessions_and_prepared_transactions(house: House) -> None:
    with house.as_owner() as connection:
        connection.execute("BEGIN; CREATE TABLE half (id int); PREPARE TRANSACTION 'half'")
        drop_preview(house.access, house.database, house.owner)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    drop_preview(house.access, house.database, house.owner)
    assert read_database_size(house.access, house.database) is None
    assert house.ask("SELECT FROM pg_roles WHERE rolname = %s", house.owner) == []


def test_a_role_that_left_something_in_the_maintenance_database_goes_too(house: House) -> None:
    house.server.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    with house.as_owner("postgres") as connection:
        connection.execute("SELECT lo_create(0)")
    house.server.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    drop_preview(house.access, house.database, house.owner)
    assert house.ask("SELECT FROM pg_roles WHERE rolname = %s", house.owner) == []
    assert house.server.query("SELECT FROM pg_largeobject_metadata") == []


def test_an_interrupted_drop_is_dropped_again(house: House) -> None:
    house.ask("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s RETURNING 1", house.database)
    ensure_preview(house.access, house.database, house.owner, house.owner_password, house.mark)
    assert house.tables() == []


def test_the_size_of_a_database_is_known(house: House) -> None:
    assert (read_database_size(house.access, house.database) or 0) > 1_000_000


OWN_OBJECTS = {
    "CREATE VIEW v AS SELECT 1": "view public.v",
    "CREATE TABLE t (id serial)": "table public.t",  # its sequence goes without saying
    "CREATE SEQUENCE s": "sequence public.s",
    "CREATE TYPE c AS (a int)": "type public.c",
    "CREATE DOMAIN d AS int": "domain public.d",
    "CREATE TYPE e AS ENUM ()": "type public.e",
    "CREATE FUNCTION f(int) RETURNS int RETURN 1": "function public.f(integer)",
    'CREATE SCHEMA "S"': 'schema "S"',
    "SELECT lo_create(4711)": "large object 4711",
}


def test_own_objects_are_named(house: House) -> None:
    with house.as_owner() as connection:
        connection.execute("DROP TABLE old")
        assert read_own_objects(_owner_access(house), house.database) == []
        for statement in OWN_OBJECTS:
            connection.execute(statement.encode())
    assert sorted(read_own_objects(_owner_access(house), house.database, 50)) == sorted(OWN_OBJECTS.values())


def test_own_objects_are_bounded(house: House) -> None:
    with house.as_owner() as connection:
        for number in range(9):
            connection.execute(f"CREATE TABLE t{number} (id int)".encode())
    assert len(read_own_objects(_owner_access(house), house.database, limit=3)) == 3
