"""Tests of roles that another tenant keeps from being dropped: they are disabled, and dropped later."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.server.conftest import PreviewScenario, build_scenario

from pgimport.server.connection import connect, read_query, session
from pgimport.server.marked_objects import drop_marked_object, read_marked_objects
from pgimport.server.preview import drop_preview, reset_preview
from pgimport.server.roles import drop_role
from pgimport.server.shadow import drop_attempt
from pgimport.server.swap import drop_replaced, swap

pytestmark = pytest.mark.isolation

GRANTS = {
    "table": "GRANT SELECT ON old TO {victim}",
    "column": "GRANT SELECT (id) ON old TO {victim}",
    "schema": "GRANT USAGE ON SCHEMA public TO {victim}",
    "sequence": "CREATE SEQUENCE s; GRANT USAGE ON SEQUENCE s TO {victim}",
    "function": "CREATE FUNCTION f() RETURNS int RETURN 1; GRANT EXECUTE ON FUNCTION f() TO {victim}",
    "type": "CREATE TYPE e AS ENUM (); GRANT USAGE ON TYPE e TO {victim}",
    "large-object": "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO {victim}",
    "default-privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {victim}",
    "policy": "CREATE POLICY p ON old TO {victim}",
    "database": "GRANT CONNECT ON DATABASE {database} TO {victim}",
}


def _list_dropped(scenario: PreviewScenario) -> list[str]:
    marked_objects = read_marked_objects(scenario.access, scenario.mark.project_uid)
    return [
        marked.name
        for marked in marked_objects
        if marked.mark.dropped and marked.mark.preview_uid == scenario.mark.preview_uid
    ]


@pytest.mark.parametrize("grant", GRANTS.values(), ids=GRANTS)
def test_a_role_that_another_tenant_holds_is_disabled_and_swept_later(scenario: PreviewScenario, grant: str) -> None:
    attacker = build_scenario(scenario.server, scenario.access)
    with attacker.as_owner() as connection:
        connection.execute(grant.format(victim=scenario.owner, database=attacker.database).encode())
    started = time.monotonic()
    drop_preview(scenario.access, scenario.database, scenario.owner)
    assert time.monotonic() - started < 30
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []
    for name in _list_dropped(scenario):
        assert name.startswith("pgimport_dropped_")
        assert scenario.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", name) == [(False,)]
    drop_preview(attacker.access, attacker.database, attacker.owner)
    _sweep(scenario)
    assert _list_dropped(scenario) == []


def _sweep(scenario: PreviewScenario) -> None:
    for marked in read_marked_objects(scenario.access, "another Project"):
        drop_marked_object(scenario.access, marked)


def test_a_reset_and_a_swap_continue_with_roles_that_are_held(scenario: PreviewScenario) -> None:
    attacker = build_scenario(scenario.server, scenario.access)
    with attacker.as_owner() as connection:
        connection.execute(f"GRANT SELECT ON old TO {scenario.owner}".encode())
        reset_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
        scenario.prepare()
        connection.execute(f"GRANT SELECT ON old TO {scenario.owner}, {scenario.names.role}".encode())
        assert swap(scenario.access, scenario.swap_plan()) is None
        drop_replaced(scenario.access, scenario.names)
    assert scenario.tables() == ["new"]
    assert scenario.leftovers() == []


def test_an_attempts_role_that_is_held_is_disabled(scenario: PreviewScenario) -> None:
    scenario.prepare()
    attacker = build_scenario(scenario.server, scenario.access)
    with attacker.as_owner() as connection:
        connection.execute(f"GRANT SELECT ON old TO {scenario.names.role}".encode())
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


@contextmanager
def _open_grant(attacker: PreviewScenario, victim: str) -> Iterator[None]:
    connection = attacker.as_owner()
    connection.execute("BEGIN")
    connection.execute(f"GRANT SELECT ON old TO {victim}".encode())
    try:
        yield
    finally:
        connection.close()


def test_an_open_transaction_with_a_grant_delays_no_drop(scenario: PreviewScenario) -> None:
    """DROP ROLE waits for each transaction that has granted something to the role."""
    attacker = build_scenario(scenario.server, scenario.access)
    with _open_grant(attacker, scenario.owner):
        started = time.monotonic()
        drop_preview(scenario.access, scenario.database, scenario.owner)
        assert time.monotonic() - started < 30
    assert scenario.query("SELECT FROM pg_roles WHERE rolname = %s", scenario.owner) == []
    _sweep(scenario)
    assert _list_dropped(scenario) == []


def test_a_disabled_role_keeps_its_name_when_it_is_tried_again(scenario: PreviewScenario) -> None:
    attacker = build_scenario(scenario.server, scenario.access)
    with attacker.as_owner() as connection:
        connection.execute(f"GRANT SELECT ON old TO {scenario.owner}".encode())
    drop_preview(scenario.access, scenario.database, scenario.owner)
    (name,) = _list_dropped(scenario)
    with session(scenario.access) as connection:
        assert drop_role(connection, scenario.access, name, connect) == name
    (held,) = [item for item in read_marked_objects(scenario.access, scenario.mark.project_uid) if item.name == name]
    assert held.holders == (f"database {attacker.database}",)


def test_many_grants_to_a_role_do_not_slow_the_sweeps(scenario: PreviewScenario) -> None:
    """Each sweep of each Project lists the marked roles. Seen before: it read all objects that were granted to one."""
    attacker = build_scenario(scenario.server, scenario.access)
    grant = f"GRANT SELECT ON LARGE OBJECT %s TO {scenario.owner}"
    with attacker.as_owner() as connection:
        connection.execute(
            f"DO $$ BEGIN FOR i IN 1..3000 LOOP EXECUTE format('{grant}', lo_create(0)); END LOOP; END $$"
        )
    drop_preview(scenario.access, scenario.database, scenario.owner)
    ((plan,),) = scenario.query("EXPLAIN (ANALYZE, FORMAT JSON) " + read_query("marked_objects").decode())
    assert _count_rows(plan, "pg_shdepend") < 2000
    assert f"database {attacker.database}" in str(scenario.query(read_query("marked_objects").decode()))


def _count_rows(plan: Any, relation: str) -> int:
    """Returns the number of rows that the nodes of a plan have read from a relation."""
    if isinstance(plan, list):
        return sum(_count_rows(item, relation) for item in plan)
    own = plan["Actual Rows"] * plan["Actual Loops"] if plan.get("Relation Name") == relation else 0
    return int(own) + sum(_count_rows(plan[key], relation) for key in ("Plan", "Plans") if key in plan)
