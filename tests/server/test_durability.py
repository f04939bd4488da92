"""Tests that verified rows, a reported swap and a preview survive a crash of a server with synchronous_commit = off."""

from collections.abc import Iterator

import pytest
from tests.server.conftest import PreviewScenario, build_scenario
from tests.support.postgres import ADMIN, run_postgres

from pgimport.model.owner_comment import OwnerComment
from pgimport.server.preview import PreviewPlan, drop_preview, ensure_preview
from pgimport.server.preview_copy import CopyPlan, ensure_copy
from pgimport.server.server_access import Access
from pgimport.server.swap import swap


@pytest.fixture
def scenario() -> Iterator[PreviewScenario]:
    # The WAL writer sleeps for 10 seconds, so a commit that does not wait stays in memory.
    with run_postgres(18, synchronous_commit="off", wal_writer_delay="10s") as server:
        access = Access(
            host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="disable"
        )
        yield build_scenario(server, access)


def test_a_preview_that_is_ready_survives_a_crash(scenario: PreviewScenario) -> None:
    drop_preview(scenario.access, scenario.database, scenario.owner)
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    scenario.server.crash()
    assert scenario.tables() == []


def test_commits_of_an_attempt_survive_a_crash(scenario: PreviewScenario) -> None:
    scenario.prepare()
    scenario.server.crash()
    with scenario.as_attempt() as connection:
        assert connection.execute("SELECT count(*) FROM new").fetchone() == (0,)


def test_a_swap_survives_a_crash_and_keeps_the_servers_setting(scenario: PreviewScenario) -> None:
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    scenario.server.crash()
    assert scenario.tables() == ["new"]
    with scenario.as_owner() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)


def test_temporary_objects_that_a_crash_has_left_prevent_no_copy(scenario: PreviewScenario) -> None:
    """Nobody may create objects in their schema, so nobody can become their owner."""
    with scenario.as_owner() as connection:
        connection.execute("CREATE TEMP TABLE left_over (id serial); CREATE TYPE pg_temp.composite AS (a int)")
        connection.execute("CREATE FUNCTION pg_temp.function() RETURNS int RETURN 1")
        connection.execute("CREATE POLICY for_owner ON left_over TO CURRENT_USER USING (true)")
        scenario.server.execute("CHECKPOINT")
        scenario.server.crash()
    mark = OwnerComment(project_uid=scenario.mark.project_uid, preview_uid="copy")
    copy = PreviewPlan("copy", "copy_owner", "secret", mark)
    ensure_copy(scenario.access, CopyPlan(source=scenario.database, source_role=scenario.owner, preview=copy, number=1))
    with scenario.server.connect("copy", "copy_owner", "secret") as connection:
        connection.execute("ALTER TABLE old ADD y int")
