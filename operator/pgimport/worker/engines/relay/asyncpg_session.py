"""One stream of asyncpg: a step of large tables comes in, its rows pass from source to copy, their counts go out."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg

from pgimport.worker.engines.relay.asyncpg_connect import build_loop_factory, connect
from pgimport.worker.engines.relay.copy_statements import SESSION_SETTINGS, build_snapshot_import, build_step_begin
from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.engines.relay.row_buffer import RowBuffer
from pgimport.worker.engines.relay.step_errors import (
    build_connect_failure,
    build_snapshot_failure,
    build_source_failure,
    build_target_failure,
    check_row_counts,
)
from pgimport.worker.postgres.endpoints import Endpoint

Passed = Callable[[int, int], None]  # oid of a table, bytes of it that passed just now
T = TypeVar("T")
# A line slower than its reader brings each packet by itself; a short rest lets the kernel put a few together.
SMALL_CHUNK_BYTES = 32 * 1024  # bytes of a piece
SMALL_CHUNK_DELAY_SECONDS = 0.01


class AsyncpgSession:
    """A session at each end, in an event loop of their own: everything but `abort` is for one thread."""

    def __init__(self, source: Endpoint, shadow: Endpoint, snapshot: str) -> None:
        self._source, self._shadow, self._snapshot = source, shadow, snapshot
        self._runner = asyncio.Runner(loop_factory=build_loop_factory(source, shadow))
        self._loop = self._runner.get_loop()
        self._ends: list[asyncpg.Connection] = []
        self._pipe: RowBuffer | None = None
        self.shadow_pid: int | None = None  # of the server's process at the copy

    def open(self) -> None:
        """Raises StepFailed."""
        self._runner.run(self._open())

    def copy_step(self, step: RowsStep, passed: Passed) -> dict[int, int]:
        """Rows of each table, by its oid, when they are safe in the copy. Raises StepFailed."""
        return self._runner.run(self._copy(step, passed))

    def close(self) -> None:
        self._terminate()
        with suppress(Exception):  # what was terminated may still complain
            self._runner.close()

    def abort(self) -> None:
        """From another thread: the step that runs fails."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._terminate)

    def end_rows_early(self) -> None:
        """From another thread: the copy's server has failed, which asyncpg hears when it has no more rows to send."""
        with suppress(RuntimeError):  # its loop is closed
            self._loop.call_soon_threadsafe(self._close_pipe)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()

    def _terminate(self) -> None:
        for session in self._ends:
            with suppress(Exception):
                session.terminate()

    async def _open(self) -> None:
        try:
            source = await connect(self._source)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise build_connect_failure(error, self._source) from error
        self._ends.append(source)
        try:
            await source.execute(build_snapshot_import(self._snapshot))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise build_snapshot_failure(error, "its snapshot was opened again") from error
        try:
            self._ends.append(await connect(self._shadow))
            await self._ends[1].execute(SESSION_SETTINGS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise build_target_failure(error, "a stream was opened") from error
        self.shadow_pid = self._ends[1].get_server_pid()

    async def _copy(self, step: RowsStep, passed: Passed) -> dict[int, int]:
        source, copy = self._ends
        action = f"the rows of {step.title} were copied"
        await _run_at_target(copy.execute(build_step_begin(step)), action)
        counts = {rows.table.oid: await self._pass(source, copy, step, rows, passed) for rows in step.tables}
        await _run_at_target(copy.execute("COMMIT"), action)
        return counts

    async def _pass(
        self, source: asyncpg.Connection, copy: asyncpg.Connection, step: RowsStep, rows: TableCopy, passed: Passed
    ) -> int:
        """The end that fails first is the one that is told; both are let go then."""
        pipe = self._pipe = RowBuffer()
        oid, into = rows.table.oid, step.root or rows.table

        async def put(piece: bytes) -> None:
            await pipe.put(piece)
            passed(oid, len(piece))
            if len(piece) < SMALL_CHUNK_BYTES:
                await asyncio.sleep(SMALL_CHUNK_DELAY_SECONDS)

        async def read() -> int:
            told = await source.copy_from_table(
                rows.table.name, schema_name=rows.table.schema, columns=rows.columns, output=put
            )
            pipe.close()
            return _parse_count(told)

        async def write() -> int:
            return _parse_count(
                await copy.copy_to_table(
                    into.name, schema_name=into.schema, columns=rows.columns, source=pipe, freeze=step.root is None
                )
            )

        reading, writing = asyncio.create_task(read()), asyncio.create_task(write())
        done, _ = await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((task for task in (reading, writing) if task in done and task.exception()), None)
        if failed is None:
            return check_row_counts(rows.table.title, reading.result(), writing.result())
        error = failed.exception()
        self._terminate()
        for task in (reading, writing):
            task.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
        assert error is not None  # noqa: S101 (it has failed)
        if not isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            raise error
        action = f"the rows of {rows.table.title} were copied"
        raise (build_source_failure if failed is reading else build_target_failure)(error, action) from error


def _parse_count(told: str) -> int:
    """`COPY 17` → 17."""
    return int(told.rpartition(" ")[2])


async def _run_at_target(work: Coroutine[Any, Any, T] | Awaitable[T], action: str) -> T:
    try:
        return await work
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise build_target_failure(error, action) from error
