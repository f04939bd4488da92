"""The cluster, one source and the Projects that all end-to-end tests share; the order in which they run."""

import secrets
from collections.abc import Iterator

import pytest
from tests.e2e.postgres import DATABASES, Source, start_source
from tests.e2e.tenant import Tenant, make_tenant, operator_pods, remove_tenant
from tests.support import kubectl

SOURCE_NAMESPACE = "e2e-source"
PROJECT, SMALL_PROJECT = "e2e", "e2e-small"
PROJECTS = (PROJECT, SMALL_PROJECT, "e2e-kept")
NEWER_MAJOR = 18
# A database that is empty takes about 8 MB, the one called `large` about 30.
SMALL_LIMIT = 15 * 1024 * 1024

# What disturbs others comes last.
LAST = ("test_killed", "test_uninstalled")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of this folder in their alphabetical order, but those of LAST at the end of everything."""
    items.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)


@pytest.fixture(scope="session")
def cluster() -> None:
    """The cluster of `make up`, with a running operator."""
    try:
        pods = operator_pods()
    except kubectl.KubectlError as error:
        pytest.fail(f"no cluster answers: run make up first ({error})", pytrace=False)
    assert pods, "the chart is not installed: run make up first"


def _clear() -> None:
    for project in PROJECTS:
        remove_tenant(project)
    for namespace in (*PROJECTS, SOURCE_NAMESPACE):
        kubectl.delete("namespace", namespace)


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
    for name in DATABASES:
        tenant.make_secret(name, tenant.source.url(name))
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
