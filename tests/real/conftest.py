"""Fixtures of the real inputs, and the marks of those that do not hold yet."""

from collections.abc import Iterator

import pytest
from tests.real.known_failures import find_known_failure
from tests.real.servers import RealServers, run_servers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests that are known to fail. pytest reports those that hold nevertheless as XPASS."""
    for item in items:
        if "tests/real/" in item.nodeid and (reason := find_known_failure(item.name)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServers]:
    """The servers of all majors, each started when a test first needs it."""
    with run_servers(tmp_path_factory.mktemp("real")) as running:
        yield running
