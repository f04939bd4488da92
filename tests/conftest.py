"""Options and fixtures that the tests of several packages share."""

import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings
from tests.cluster.s3_server import S3Server, run_s3_server
from tests.support.postgres import PostgresServer, run_postgres

# Fixtures of all tests that need the cluster of `make up`: those of e2e and of chaos.
pytest_plugins = ("tests.e2e.fixtures",)

# Tests run beside builds that keep every core busy, so the time of one example says nothing.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_configure() -> None:
    """Lets Ctrl-C reach the programs that tests start: a shell starts background jobs with SIGINT ignored."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the tests that wait for minutes begin first."""
    items.sort(key=lambda item: item.get_closest_marker("waits") is None)


@pytest.fixture(scope="session")
def postgres16() -> Iterator[PostgresServer]:
    """A PostgreSQL 16 for the whole run; each test creates its own databases and roles in it."""
    with run_postgres(16) as server:
        yield server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server for the whole run; each test uses keys of its own."""
    with run_s3_server(tmp_path_factory.mktemp("s3") / "objects") as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[PostgresServer]:
    """A PostgreSQL 18 for the whole run; each test creates its own databases and roles in it."""
    with run_postgres(18) as server:
        yield server
