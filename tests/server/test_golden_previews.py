"""Golden previews on a real server: filled and refreshed by imports, while nobody can log in."""

import dataclasses
from datetime import UTC, datetime

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, build_scenario
from tests.server.crashing_connection import crash_at_each_statement

from pgimport.model.observations import ObservedContent
from pgimport.model.owner_comment import ImportedContent
from pgimport.server.preview import drop_preview, ensure_preview, reset_preview
from pgimport.server.server_state import read_content
from pgimport.server.swap import SwapPlan, drop_replaced, swap
from pgimport.server.temporary_role import read_preview_objects

SNAPSHOT = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
EMPTY, FULL = ObservedContent(), ObservedContent(imported=True, data_as_of=SNAPSHOT)


@pytest.fixture
def golden(scenario: PreviewScenario) -> PreviewScenario:
    drop_preview(scenario.access, scenario.database, scenario.owner)
    ensure_preview(scenario.access, scenario.database, scenario.owner, None, scenario.mark)
    return scenario


def _swap_plan(golden: PreviewScenario) -> SwapPlan:
    return dataclasses.replace(
        golden.swap_plan(), owner_password=None, may_log_in=False, content=ImportedContent(data_as_of=SNAPSHOT)
    )


def _fill(golden: PreviewScenario) -> None:
    golden.prepare()
    assert swap(golden.access, _swap_plan(golden)) is None


def _list_objects(golden: PreviewScenario) -> list[str]:
    return read_preview_objects(None, golden.access, golden.database, golden.mark)


def _read(golden: PreviewScenario) -> ObservedContent:
    return read_content(golden.access, golden.database, golden.owner)


def _assert_closed(golden: PreviewScenario) -> None:
    """Nobody may log in; connections are allowed; PUBLIC has no privilege; no role besides the owner has one."""
    assert golden.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", golden.owner) == [(False,)]
    assert golden.query("SELECT datallowconn FROM pg_database WHERE datname = %s", golden.database) == [(True,)]
    other = build_scenario(golden.server, golden.access)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        other.as_owner(golden.database)
    with pytest.raises(psycopg.OperationalError):
        golden.as_owner()
    grantees = golden.query(
        "SELECT DISTINCT a.grantee::regrole::text FROM pg_database, aclexplode(datacl) AS a WHERE datname = %s",
        golden.database,
    )
    assert grantees == [(golden.owner,)]


def test_an_import_fills_it_and_nobody_can_log_in(golden: PreviewScenario) -> None:
    _assert_closed(golden)
    assert (_read(golden), _list_objects(golden)) == (EMPTY, [])
    _fill(golden)
    _assert_closed(golden)
    assert _read(golden) == FULL
    assert "table public.new" in _list_objects(golden)
    # The verifier of the attempt's password is gone.
    assert golden.query("SELECT rolpassword FROM pg_authid WHERE rolname = %s", golden.owner) == [(None,)]


def test_a_refresh_that_ends_before_its_swap_changes_nothing(golden: PreviewScenario) -> None:
    _fill(golden)
    later = dataclasses.replace(golden, names=dataclasses.replace(golden.names, role="r_later", database="d_later"))
    later.prepare()
    assert _read(golden) == FULL
    assert "table public.new" in _list_objects(golden)


def test_ensuring_it_again_keeps_content_and_age(golden: PreviewScenario) -> None:
    _fill(golden)
    golden.server.execute(f"ALTER DATABASE {golden.database} ALLOW_CONNECTIONS false")  # by an interrupted swap
    ensure_preview(golden.access, golden.database, golden.owner, None, golden.mark)
    assert _read(golden) == FULL
    assert "table public.new" in _list_objects(golden)
    _assert_closed(golden)


def test_a_swap_that_crashed_anywhere_leaves_old_or_new_data(golden: PreviewScenario) -> None:
    golden.prepare()
    for _ in crash_at_each_statement(lambda connect: swap(golden.access, _swap_plan(golden), connect=connect)):
        ensure_preview(golden.access, golden.database, golden.owner, None, golden.mark)
        objects, content = _list_objects(golden), _read(golden)
        assert (content, bool(objects)) in ((EMPTY, False), (FULL, True))
    assert _read(golden) == FULL
    drop_replaced(golden.access, golden.names)
    assert golden.leftovers() == []


def test_a_reset_empties_it(golden: PreviewScenario) -> None:
    _fill(golden)
    reset_preview(golden.access, golden.database, golden.owner, None, golden.mark)
    assert (_read(golden), _list_objects(golden)) == (EMPTY, [])
    _assert_closed(golden)


def test_a_database_that_is_being_dropped_or_gone_has_no_content(golden: PreviewScenario) -> None:
    _fill(golden)
    golden.query("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s RETURNING 1", golden.database)
    assert _read(golden) == ObservedContent(exists=False)
    drop_preview(golden.access, golden.database, golden.owner)
    assert _read(golden) == ObservedContent(exists=False)
