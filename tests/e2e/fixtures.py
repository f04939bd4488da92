"""Fixtures of the tests that need the cluster of `make up`, and how these tests are spread over processes.

`make e2e` runs them in several pytest-xdist workers. Each worker has a source, Projects and namespaces of its own,
whose names end in the worker's name. The tests of a module share its fixtures and stay in one worker.
Tests with the marker `exclusive` stop or replace what other tests use; they run after all others, in one worker.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

import pytest
from tests.e2e.postgres_pods import DATABASES, Source, start_source
from tests.e2e.tenant import Tenant, make_tenant, operator_pods, remove_tenant
from tests.support import kubectl

# Both are set by pytest-xdist in its workers.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
TEST_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(8)
NEWER_MAJOR = 18
# An empty database takes about 8 MB, the one called `large` about 30.
SMALL_LIMIT = 15 * 1024 * 1024

# Modules that take longest, in the order in which they start: the others fill the gaps.
LONGEST_FIRST = (
    "test_matrix",
    "test_interrupted_up",
    "test_import_options",
    "test_failed_imports",
    "test_shadow",
    "test_preview_lifecycle",
    "test_api",
)
# The order of the exclusive tests: the last one replaces the whole chart.
EXCLUSIVE_ORDER = ("test_killed_processes", "test_fault_cells", "test_uninstall")


def name_for_worker(name: str) -> str:
    """Returns a name that no other pytest-xdist worker uses."""
    return f"{name}-{WORKER}" if WORKER else name


SOURCE_NAMESPACE = name_for_worker("e2e-source")
PROJECT, SMALL_PROJECT, KEPT_PROJECT = map(name_for_worker, ("e2e", "e2e-small", "e2e-kept"))
PROJECTS = (PROJECT, SMALL_PROJECT, KEPT_PROJECT)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    """Sorts exclusive tests last, and long modules first among the others."""
    order = EXCLUSIVE_ORDER if item.get_closest_marker("exclusive") else LONGEST_FIRST
    default = -1 if order is EXCLUSIVE_ORDER else len(order)
    stem = item.path.stem
    return order is EXCLUSIVE_ORDER, order.index(stem) if stem in order else default


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders the tests, and groups them for `--dist loadgroup`: a module each, and all exclusive tests together."""
    items.sort(key=_rank)
    for item in items:
        if item.get_closest_marker("exclusive"):
            item.add_marker(pytest.mark.xdist_group("exclusive"))
        elif item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def _join_lock(lock: IO[str]) -> bool:
    """Takes the lock for this test run, or shares it with another worker of the same run."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # the run that has it is about to write its id
            return False
        lock.seek(0)
        if lock.read() == TEST_RUN:
            return True
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
    lock.seek(0)
    lock.truncate()
    lock.write(TEST_RUN)
    lock.flush()
    fcntl.flock(lock, fcntl.LOCK_SH)
    return True


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """Checks that an operator runs in the cluster of `make up`, and waits until no other test run uses it."""
    try:
        pods = operator_pods()
    except kubectl.KubectlError as error:
        pytest.fail(f"no cluster answers: run make up first ({error})", pytrace=False)
    assert pods, "the chart is not installed: run make up first"
    with (kubectl.cluster_folder() / "e2e.lock").open("a+") as lock:
        while not _join_lock(lock):
            time.sleep(1)
        yield


def _clear() -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(remove_tenant, PROJECTS))
    kubectl.delete("namespace", *PROJECTS, SOURCE_NAMESPACE)


@pytest.fixture(scope="session")
def source_password() -> str:
    """A password with all characters that a URL, a password file or SQL may misread."""
    return f"{secrets.token_hex(12)} @:/\\'\"%?#ü"


@pytest.fixture(scope="session")
def source(cluster: None, source_password: str) -> Iterator[Source]:
    """A source server with all test databases; objects of an interrupted run are removed first."""
    _clear()
    yield start_source(SOURCE_NAMESPACE, source_password, newer=NEWER_MAJOR)
    _clear()


def _with_secrets(tenant: Tenant) -> Tenant:
    """Creates a Secret for each database of the source, with the database's name."""
    tenant.make_secrets({name: tenant.source.url(name) for name in DATABASES})
    return tenant


@pytest.fixture(scope="session")
def tenant(source: Source) -> Tenant:
    """A Project with generous limits."""
    return _with_secrets(make_tenant(PROJECT, source))


@pytest.fixture(scope="session")
def small_tenant(source: Source) -> Tenant:
    """A Project with tight limits: one import at a time, three previews, 15 MiB of storage."""
    limits = {"maxConcurrentImports": 1, "maxPreviews": 3}
    return _with_secrets(make_tenant(SMALL_PROJECT, source, storageLimitBytes=SMALL_LIMIT, limits=limits))
