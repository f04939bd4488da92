"""Tests of the properties of a target and its owner that survive a swap."""

import psycopg
import pytest
from tests.server.conftest import PreviewScenario

from pgimport.server.swap import drop_replaced, swap


def test_changes_of_the_dump_to_its_role_are_removed(scenario: PreviewScenario) -> None:
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
    assert scenario.query("SELECT FROM pg_db_role_setting WHERE setrole = %s::regrole", scenario.owner) == []
    for password in ("known to the dump", scenario.attempt_password):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            scenario.server.connect(scenario.database, scenario.owner, password)


def _read_properties(scenario: PreviewScenario, reader: str, group: str) -> list[list[tuple[object, ...]]]:
    return [
        scenario.query(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
            " LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = %s OR rolname = %s ORDER BY 1",
            scenario.database,
            scenario.owner,
        ),
        scenario.query(
            "SELECT datconnlimit, shobj_description(oid, 'pg_database'), datdba::regrole::text,"
            " has_database_privilege('public', oid, 'CONNECT'),"
            " has_database_privilege(%s, oid, 'TEMPORARY WITH GRANT OPTION') FROM pg_database WHERE datname = %s",
            reader,
            scenario.database,
        ),
        scenario.query(
            "SELECT rolconnlimit, rolvaliduntil, rolcanlogin, pg_has_role(%s, oid, 'USAGE'),"
            " pg_has_role(oid, %s::regrole::oid, 'USAGE'), shobj_description(oid, 'pg_authid')"
            " FROM pg_roles WHERE rolname = %s",
            reader,
            group,
            scenario.owner,
        ),
    ]


def test_settings_and_privileges_of_the_target_are_carried_over(scenario: PreviewScenario) -> None:
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
        f"COMMENT ON DATABASE {scenario.database} IS 'written by a user'",
        f"ALTER DATABASE {scenario.database} CONNECTION LIMIT 7",
        f'ALTER DATABASE {scenario.database} SET search_path = "$user", public, "odd "" , name"',
        f"ALTER DATABASE {scenario.database} SET application_name = 'it''s, \"quoted\"'",
        f"ALTER ROLE {scenario.owner} SET statement_timeout = '7min'",
        f"ALTER ROLE {scenario.owner} IN DATABASE {scenario.database} SET lock_timeout = '7s'",
        f"ALTER ROLE {scenario.owner} CONNECTION LIMIT 9 VALID UNTIL '2099-01-01 00:00:00+00'",
    ):
        scenario.server.execute(statement)
    before = _read_properties(scenario, reader, group)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert _read_properties(scenario, reader, group) == before
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_a_setting_that_only_a_superuser_may_set_does_not_stop_the_swap(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"ALTER DATABASE {scenario.database} SET log_min_duration_statement = 100")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]
