"""The room over HTTP: the real client on one side, an emulator of the API on the other."""

from collections.abc import Iterator

import pytest
from tests.support.kubernetes import Kubernetes, run_kubernetes

from pgimport.kubernetes_client.api_client import KubernetesClient


@pytest.fixture(scope="module")
def _server() -> Iterator[Kubernetes]:
    with run_kubernetes() as server:
        yield server


@pytest.fixture
def kubernetes(_server: Kubernetes) -> Iterator[Kubernetes]:
    """One server for the tests of a module; each uses names of its own."""
    yield _server
    _server.emulator.faults.refusals.clear()


@pytest.fixture
def cluster(kubernetes: Kubernetes) -> KubernetesClient:
    return kubernetes.connect()
