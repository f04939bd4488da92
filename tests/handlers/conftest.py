"""A Project on a real server that an operator has looked at; and names that no other test has."""

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
        found = Tenant(kubernetes, kubernetes.connect(BYSTANDER), postgres16)
        found.prepare()
        Operator(kubernetes).look(PROJECT)
        yield found


@pytest.fixture
def name() -> str:
    return f"n{secrets.token_hex(3)}"
