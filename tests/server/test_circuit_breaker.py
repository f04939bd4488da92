"""Tests of the circuit breaker: a slow server delays one caller, and no caller of another server."""

import dataclasses
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.support.postgres import ADMIN, PostgresServer

from pgimport.model.errors import ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server import connection as connection_module
from pgimport.server.circuit_breaker import OPEN_SECONDS, CircuitBreaker
from pgimport.server.connection import connect
from pgimport.server.server_access import Access

UNAVAILABLE = ServerUnavailable(Failure(Reason.SERVER_UNREACHABLE, "it cannot be reached"))


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def try_to_connect(
    circuit_breaker: CircuitBreaker, clock: Clock, seconds: float, error: ServerUnavailable | None = UNAVAILABLE
) -> bool:
    """Tells whether the circuit breaker let the caller try; the attempt takes `seconds` and raises `error`."""
    tried = False
    with suppress(ServerUnavailable), circuit_breaker.connecting("a:5432"):
        tried = True
        clock.now += seconds
        if error is not None:
            raise error
    return tried


def test_an_open_circuit_refuses_callers_and_then_lets_one_try() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert try_to_connect(circuit_breaker, clock, 10)
    assert not try_to_connect(circuit_breaker, clock, 10)
    clock.now += OPEN_SECONDS
    with circuit_breaker.connecting("a:5432"):
        assert not try_to_connect(circuit_breaker, clock, 10), "another caller already tries"
    assert try_to_connect(circuit_breaker, clock, 0, None)


@pytest.mark.isolation
def test_a_database_that_fails_slowly_does_not_make_its_server_unreachable() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    with suppress(ServerUnavailable), circuit_breaker.connecting("a:5432", "owner in hostile"):
        clock.now += 10
        raise UNAVAILABLE
    with pytest.raises(ServerUnavailable), circuit_breaker.connecting("a:5432", "owner in hostile"):
        pass
    for operation in ("", "owner in another"):
        with circuit_breaker.connecting("a:5432", operation):
            pass


@pytest.mark.isolation
def test_a_server_that_fails_slowly_is_tried_for_none_of_its_databases() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert try_to_connect(circuit_breaker, clock, 10)
    with pytest.raises(ServerUnavailable), circuit_breaker.connecting("a:5432", "owner in another"):
        pass


def test_another_server_is_not_affected() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    try_to_connect(circuit_breaker, clock, 10)
    with circuit_breaker.connecting("b:5432"):
        pass


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        pytest.param(0.1, UNAVAILABLE, id="a fast refusal"),
        pytest.param(
            10,
            ServerUnavailable(dataclasses.replace(UNAVAILABLE.failure, reason=Reason.SERVER_AUTH_FAILED)),
            id="a refused login",
        ),
    ],
)
def test_a_fast_failure_does_not_open_the_circuit(seconds: float, error: ServerUnavailable) -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert try_to_connect(circuit_breaker, clock, seconds, error)
    assert try_to_connect(circuit_breaker, clock, seconds, error)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Port of a server that accepts connections and never sends a byte."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_only_the_first_caller_waits_for_a_silent_server(
    silent_port: int, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 2)
    circuit_breaker = CircuitBreaker()
    available = Access(
        host=postgres16.host,
        port=postgres16.port,
        user=ADMIN,
        password=postgres16.admin_password,
        sslmode="disable",
        circuit_breaker=circuit_breaker,
    )
    unavailable = dataclasses.replace(available, port=silent_port)
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(ServerUnavailable, match="cannot be reached"):
            connect(unavailable)
        seconds.append(time.monotonic() - started)
    assert seconds[0] > 1.5
    assert max(seconds[1:]) < seconds[0] / 2
    connect(available).close()


@pytest.mark.isolation
def test_a_slow_database_does_not_use_up_the_next_try_of_its_server() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert try_to_connect(circuit_breaker, clock, 10)
    clock.now += OPEN_SECONDS
    with suppress(ServerUnavailable), circuit_breaker.connecting("a:5432", "owner in hostile"):
        clock.now += 10
        raise UNAVAILABLE
    assert try_to_connect(circuit_breaker, clock, 0, None)
