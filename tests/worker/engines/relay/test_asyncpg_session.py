"""Tests that a stream ends when it is stopped, also between two of its statements."""

from collections.abc import Coroutine
from threading import Thread
from typing import Any

import pytest
from tests.support.postgres import PostgresServer
from tests.worker.superuser_endpoint import build_superuser_endpoint

from pgimport.worker.engines.relay import asyncpg_session
from pgimport.worker.engines.relay.asyncpg_session import AsyncpgSession
from pgimport.worker.engines.relay.relay_plan import Driver, RowsStep, TableCopy
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.scope.snapshot import Table


def test_a_stream_that_is_stopped_after_the_begin_of_its_step_ends(
    postgres16: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the stream waited for ever: its tasks began after those that the stop cancelled."""
    table = Table(1, "public", "items", partitioned=False, bytes=0, counted_as=None, readable=True)
    step = RowsStep((TableCopy(table, ("id",)),), Driver.ASYNCPG)
    run_at_target = asyncpg_session._run_at_target
    messages: list[str] = []
    with postgres16.database("stopped") as dbname, postgres16.connect(dbname) as holder:
        holder.execute("CREATE TABLE items AS SELECT generate_series(1, 10) AS id")
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        ((snapshot,),) = holder.execute("SELECT pg_export_snapshot()").fetchall()
        endpoint = build_superuser_endpoint(postgres16, dbname)
        session = AsyncpgSession(endpoint, endpoint, snapshot)

        async def run_and_stop(work: Coroutine[Any, Any, Any], action: str) -> Any:
            result = await run_at_target(work, action)
            session._stop()  # as `abort` calls it in the session's loop
            return result

        def copy() -> None:
            session.open()
            try:
                session.copy_step(step, lambda _oid, _count: None)
            except StepFailed as error:
                messages.append(error.failure.message)
            finally:
                session.close()

        monkeypatch.setattr(asyncpg_session, "_run_at_target", run_and_stop)
        thread = Thread(target=copy, daemon=True)
        thread.start()
        thread.join(30)
    assert len(messages) == 1
    assert "the stream was stopped" in messages[0]
