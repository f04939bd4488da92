"""A connection of asyncpg that cannot be used is closed."""

import asyncio
import time
from dataclasses import replace

import asyncpg
import pytest
from tests.support.postgres import PostgresServer
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.postgres import asyncpg_connect
from pgimport.worker.postgres.asyncpg_connect import build_loop_factory, connect_asyncpg

SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'unusable'"


def test_a_connection_whose_settings_are_refused_is_closed(
    postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its socket stays open until Python collects it."""
    endpoint = replace(build_superuser_endpoint(postgres16, "postgres"), application_name="unusable")
    monkeypatch.setattr(asyncpg_connect, "build_session_statement", lambda *_: "SELECT 1 / 0")

    async def connect() -> None:
        with pytest.raises(asyncpg.DivisionByZeroError) as failure:
            await connect_asyncpg(endpoint)
        # The exception keeps the connection's frame alive, so nothing is collected meanwhile.
        deadline = time.monotonic() + 10
        while postgres16.query(SESSIONS) != [(0,)]:
            assert time.monotonic() < deadline, failure.value
            await asyncio.sleep(0.05)

    with asyncio.Runner(loop_factory=build_loop_factory(endpoint)) as runner:
        runner.run(connect())
