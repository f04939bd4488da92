"""Fixtures of the tests that need the cluster of `make up`, and how these tests are spread over processes.

`make e2e` runs them in several pytest-xdist workers. The workers share one source. Each has Projects of its own, whose
names end in the worker's name. The tests of a module share its fixtures and stay in one worker (`--dist loadfile`;
`loadgroup` of pytest-xdist 3.8 does not work with pytest 9.2, because it sets a node id that pytest ignores).
Tests with the marker `exclusive` stop or replace what other tests use. They run after all others, one by one.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO

import pytest
from tests.e2e.postgres_pods import DATABASES, Postgres, Source, secret_manifest, start_source
from tests.e2e.tenant import Tenant, make_tenant, operator_pods, read_secret, remove_tenant
from tests.support import kubectl

# Both are set by pytest-xdist in its workers.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
TEST_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID") or secrets.token_hex(8)
RUN_LABEL = "pgimport-tests/run"
# An empty database takes about 8 MB, the one called `large` about 30.
SMALL_LIMIT = 15 * 1024 * 1024

# Modules that take longest, in the order in which they start: the others fill the gaps.
LONGEST_FIRST = (
    "test_schedules",
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


SOURCE_NAMESPACE, SOURCE_SECRET = "e2e-source", "e2e-source-password"
PROJECT, SMALL_PROJECT, KEPT_PROJECT = map(name_for_worker, ("e2e", "e2e-small", "e2e-kept"))
PROJECTS = (PROJECT, SMALL_PROJECT, KEPT_PROJECT)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    """Sorts exclusive tests last, and long modules first among the others."""
    order = EXCLUSIVE_ORDER if item.get_closest_marker("exclusive") else LONGEST_FIRST
    default = -1 if order is EXCLUSIVE_ORDER else len(order)
    stem = item.path.stem
    return order is EXCLUSIVE_ORDER, order.index(stem) if stem in order else default


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders the tests."""
    items.sort(key=_rank)


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


def _remove_tenants(names: Sequence[str]) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(remove_tenant, names))
    kubectl.delete("namespace", *names)


def _find_tenants() -> list[str]:
    """Lists the Projects of all workers, also of earlier runs with more workers."""
    names = (body["metadata"]["name"] for body in kubectl.list_objects("namespaces"))
    return [name for name in names if re.fullmatch(r"e2e(-\w+)*", name) and name != SOURCE_NAMESPACE]


@contextmanager
def file_lock(name: str) -> Iterator[None]:
    """Holds a lock against all other test processes of this cluster."""
    with (kubectl.cluster_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def source(cluster: None) -> Iterator[Source]:
    """The source server with all test databases, which the workers of a test run share.

    The first worker removes what earlier runs left, and starts it. It stays until the next run or `make down`.
    """
    with file_lock("e2e-source"):
        namespace = kubectl.find("namespace", SOURCE_NAMESPACE)
        if namespace is None or namespace["metadata"].get("labels", {}).get(RUN_LABEL) != TEST_RUN:
            kubectl.delete("namespace", SOURCE_NAMESPACE)
            if tenants := _find_tenants():
                _remove_tenants(tenants)
            # With all characters that a URL, a password file or SQL may misread.
            password = f"{secrets.token_hex(12)} @:/\\'\"%?#ü"
            start_source(SOURCE_NAMESPACE, password)
            kubectl.create(secret_manifest(SOURCE_NAMESPACE, SOURCE_SECRET, {"password": password}))
            kubectl.merge_patch("namespace", SOURCE_NAMESPACE, None, {"metadata": {"labels": {RUN_LABEL: TEST_RUN}}})
    password = read_secret(SOURCE_NAMESPACE, SOURCE_SECRET)["password"]
    yield Source(Postgres(SOURCE_NAMESPACE, "source"), password)
    _remove_tenants(PROJECTS)


@pytest.fixture(scope="session")
def source_password(source: Source) -> str:
    """The password of the source's user."""
    return source.password


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
