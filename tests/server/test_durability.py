"""Tests that verified rows and a reported swap survive a crash of a server with synchronous_commit = off."""

from collections.abc import Iterator

import pytest
from tests.server.conftest import PreviewScenario, build_scenario
from tests.support.postgres import ADMIN, run_postgres

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
