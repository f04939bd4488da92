"""What is verified, and what is reported, outlives a crash of a server that does not wait for the disk."""

from collections.abc import Iterator

import pytest
from tests.server.conftest import PreviewScenario, build_scenario
from tests.support.postgres import ADMIN, run_postgres

from pgimport.server.access import Access
from pgimport.server.swap import swap


@pytest.fixture
def scenario() -> Iterator[PreviewScenario]:
    # A writer of the log that sleeps: what no commit waits for stays in memory for long.
    with run_postgres(18, synchronous_commit="off", wal_writer_delay="10s") as server:
        access = Access(
            host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="disable"
        )
        yield build_scenario(server, access)


def test_what_an_attempt_has_committed_outlives_a_crash(scenario: PreviewScenario) -> None:
    scenario.prepare()
    scenario.server.crash()
    with scenario.as_attempt() as connection:
        assert connection.execute("SELECT count(*) FROM new").fetchone() == (0,)


def test_a_swap_outlives_a_crash_and_leaves_no_setting(scenario: PreviewScenario) -> None:
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    scenario.server.crash()
    assert scenario.tables() == ["new"]
    with scenario.as_owner() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
