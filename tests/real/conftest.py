"""Fixtures of the real inputs."""

from collections.abc import Iterator

import pytest
from tests.real.servers import RealServers, run_servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServers]:
    """The servers of all majors, each started when a test first needs it."""
    with run_servers(tmp_path_factory.mktemp("real")) as running:
        yield running
