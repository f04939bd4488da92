"""The cluster, one source and the Projects that all end-to-end tests share; the order in which they run."""

import fcntl
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.postgres_pods import DATABASES, Source, start_source
from tests.e2e.tenant import Tenant, make_tenant, operator_pods, remove_tenant
from tests.support import kubectl

SOURCE_NAMESPACE = "e2e-source"
PROJECT, SMALL_PROJECT = "e2e", "e2e-small"
PROJECTS = (PROJECT, SMALL_PROJECT, "e2e-kept")
NEWER_MAJOR = 18
# A database that is empty takes about 8 MB, the one called `large` about 30.
SMALL_LIMIT = 15 * 1024 * 1024

# What disturbs others comes last.
LAST = ("test_killed_processes", "test_fault_cells", "test_uninstall")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of this folder in their alphabetical order, but those of LAST at the end of everything."""
    items.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    """The cluster of `make up`, with a running operator; another run of these tests ends first."""
    try:
        pods = operator_pods()
    except kubectl.KubectlError as error:
        pytest.fail(f"no cluster answers: run make up first ({error})", pytrace=False)
    assert pods, "the chart is not installed: run make up first"
    with (kubectl.cluster_folder() / "e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clear() -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(remove_tenant, PROJECTS))
    kubectl.delete("namespace", *PROJECTS, SOURCE_NAMESPACE)


@pytest.fixture(scope="session")
def source_password() -> str:
    """With everything in it that a URL, a password file or SQL may trip over."""
    return f"{secrets.token_hex(12)} @:/\\'\"%?#ü"


@pytest.fixture(scope="session")
def source(cluster: None, source_password: str) -> Iterator[Source]:
    """What an interrupted run left is taken away first."""
    _clear()
    yield start_source(SOURCE_NAMESPACE, source_password, newer=NEWER_MAJOR)
    _clear()


def _with_secrets(tenant: Tenant) -> Tenant:
    """One Secret for each database of the source, of its name."""
    tenant.make_secrets({name: tenant.source.url(name) for name in DATABASES})
    return tenant


@pytest.fixture(scope="session")
def tenant(source: Source) -> Tenant:
    """Project `e2e`, without a limit worth the name."""
    return _with_secrets(make_tenant(PROJECT, source))


@pytest.fixture(scope="session")
def small_tenant(source: Source) -> Tenant:
    """Project `e2e-small`, whose plan allows little."""
    limits = {"maxConcurrentImports": 1, "maxPreviews": 3}
    return _with_secrets(make_tenant(SMALL_PROJECT, source, storageLimitBytes=SMALL_LIMIT, limits=limits))
