"""Fixtures: the real client, connected to an emulator of the Kubernetes API."""

from collections.abc import Iterator
from secrets import token_hex

import pytest
from tests.support.kubernetes import Kubernetes, run_kubernetes

from pgimport.kubernetes_client.api_client import KubernetesClient


@pytest.fixture(scope="module")
def _server() -> Iterator[Kubernetes]:
    with run_kubernetes() as server:
        yield server


@pytest.fixture
def kubernetes(_server: Kubernetes) -> Iterator[Kubernetes]:
    """Emulator that the tests of a module share; each test uses its own names."""
    yield _server
    _server.emulator.faults.refusals.clear()


@pytest.fixture
def cluster(kubernetes: Kubernetes) -> KubernetesClient:
    return kubernetes.connect()


@pytest.fixture
def name() -> str:
    """Name of an object that no other test uses."""
    return f"object-{token_hex(4)}"
