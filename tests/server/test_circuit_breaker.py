"""A server that keeps its callers waiting holds up one of them, and nobody who asks another server."""

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
from pgimport.server.access import Access
from pgimport.server.circuit_breaker import OPEN_SECONDS, CircuitBreaker
from pgimport.server.connection import connect

AWAY = ServerUnavailable(Failure(Reason.SERVER_UNREACHABLE, "it cannot be reached"))


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(circuit_breaker: CircuitBreaker, clock: Clock, seconds: float, error: ServerUnavailable | None = AWAY) -> bool:
    """Whether the server was asked; it takes so long to refuse, or answers (None)."""
    asked = False
    with suppress(ServerUnavailable), circuit_breaker.connecting("a:5432"):
        asked = True
        clock.now += seconds
        if error is not None:
            raise error
    return asked


def test_nobody_waits_again_until_its_rest_is_over_and_then_one_alone() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert ask(circuit_breaker, clock, 10)
    assert not ask(circuit_breaker, clock, 10)
    clock.now += OPEN_SECONDS
    with circuit_breaker.connecting("a:5432"):
        assert not ask(circuit_breaker, clock, 10), "another one asks for all"
    assert ask(circuit_breaker, clock, 0, None)


def test_another_server_is_asked_meanwhile() -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    ask(circuit_breaker, clock, 10)
    with circuit_breaker.connecting("b:5432"):
        pass


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        pytest.param(0.1, AWAY, id="refused at once"),
        pytest.param(
            10, ServerUnavailable(dataclasses.replace(AWAY.failure, reason=Reason.SERVER_AUTH_FAILED)), id="a login"
        ),
    ],
)
def test_what_keeps_nobody_waiting_is_asked_each_time(seconds: float, error: ServerUnavailable) -> None:
    clock = Clock()
    circuit_breaker = CircuitBreaker(clock)
    assert ask(circuit_breaker, clock, seconds, error)
    assert ask(circuit_breaker, clock, seconds, error)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_server_that_says_nothing_is_waited_for_once(
    silent: int, postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CONNECT_SECONDS", 2)
    known = CircuitBreaker()
    good = Access(
        host=postgres16.host,
        port=postgres16.port,
        user=ADMIN,
        password=postgres16.admin_password,
        sslmode="disable",
        circuit_breaker=known,
    )
    bad = dataclasses.replace(good, port=silent)
    waited = []
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(ServerUnavailable, match="cannot be reached"):
            connect(bad)
        waited.append(time.monotonic() - began)
    assert waited[0] > 1.5
    assert max(waited[1:]) < 1
    connect(good).close()
