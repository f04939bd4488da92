"""A ready Project on a real server, and unique names for its objects."""

import secrets
from collections.abc import Iterator

import pytest
from tests.handlers.emulated_tenant import Tenant
from tests.handlers.stepwise_operator import PROJECT, Operator
from tests.support.kubernetes import BYSTANDER, run_kubernetes
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="module")
def tenant(postgres16: PostgresServer) -> Iterator[Tenant]:
    with run_kubernetes() as kubernetes:
        prepared = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        prepared.prepare()
        Operator(kubernetes).reconcile(PROJECT)
        yield prepared


@pytest.fixture
def name() -> str:
    return f"n{secrets.token_hex(3)}"
