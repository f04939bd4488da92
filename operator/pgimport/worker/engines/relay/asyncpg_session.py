"""Copies the rows of large tables with asyncpg, whose compiled code joins many rows into one chunk."""

import asyncio
from contextlib import suppress

import asyncpg

from pgimport.worker.engines.relay.copy_statements import build_snapshot_import, build_step_begin
from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.engines.relay.row_buffer import RowBuffer
from pgimport.worker.engines.relay.step_errors import (
    build_connect_failure,
    build_snapshot_failure,
    build_source_failure,
    build_target_failure,
    check_row_counts,
)
from pgimport.worker.engines.relay.throughput import OnBytes
from pgimport.worker.postgres.asyncpg_connect import (
    SESSION_ERRORS,
    build_loop_factory,
    connect_asyncpg,
    noticing_loss,
)
from pgimport.worker.postgres.endpoints import Endpoint

# If the network is slower than the reader, each packet is a chunk. A short pause lets the kernel join several packets.
SMALL_CHUNK_BYTES = 32 * 1024
SMALL_CHUNK_DELAY_SECONDS = 0.01
LOSS_SECONDS = 1.0  # after its connection was lost, a COPY has this time to end with the server's own error


class AsyncpgSession:
    """A session at the source and one at the shadow, in an event loop of their own.

    Only `abort` and `end_rows_early` may be called from another thread.
    """

    def __init__(self, source: Endpoint, shadow: Endpoint, snapshot: str) -> None:
        self._source_endpoint, self._shadow_endpoint, self._snapshot = source, shadow, snapshot
        self._runner = asyncio.Runner(loop_factory=build_loop_factory(source, shadow))
        self._loop = self._runner.get_loop()
        self._connections: list[asyncpg.Connection] = []  # source, shadow
        self._buffer: RowBuffer | None = None
        self._tasks: tuple[asyncio.Task[int], ...] = ()  # of the running COPY
        self._stopped = False
        self.shadow_pid: int | None = None  # process ID of the shadow's backend

    def open(self) -> None:
        """Connects to both ends and imports the snapshot. Raises StepFailed."""
        self._runner.run(self._open())

    def copy_step(self, step: RowsStep, on_bytes: OnBytes) -> dict[int, int]:
        """Copies the step in one transaction, and returns oid → number of committed rows.

        Raises StepFailed.
        """
        return self._runner.run(self._copy_step(step, on_bytes))

    def close(self) -> None:
        self._terminate()
        with suppress(Exception):  # a terminated session may raise its error again
            self._runner.close()

    def abort(self) -> None:
        """Makes the running step fail. May be called from another thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        """Cancels the tasks too: if the server does not read, asyncpg waits to send even after its transport ended."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        self._terminate()

    def _end_copy(self, connection: asyncpg.Connection) -> None:
        """Cancels the COPY of a lost connection, because asyncpg may wait for ever.

        At the target, it waits to send while its buffer is full. At the source, it waits for rows if the connection was
        lost while it passed rows on, which it notices only with TLS.
        """
        if self._tasks:
            task = self._tasks[self._connections.index(connection)]
            self._loop.call_later(LOSS_SECONDS, task.cancel)

    def end_rows_early(self) -> None:
        """Ends the rows of the running COPY, whose backend at the shadow has failed. May be called from another thread.

        asyncpg reads the server's error only after it has sent all rows.
        """
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._close_buffer)

    def _close_buffer(self) -> None:
        if self._buffer is not None:
            self._buffer.close()

    def _terminate(self) -> None:
        for connection in self._connections:
            with suppress(Exception):
                connection.terminate()

    async def _open(self) -> None:
        try:
            source = await connect_asyncpg(self._source_endpoint)
        except SESSION_ERRORS as error:
            raise build_connect_failure(error, self._source_endpoint) from error
        self._connections.append(source)
        source.add_termination_listener(self._end_copy)
        try:
            with noticing_loss(source):
                await source.execute(build_snapshot_import(self._snapshot))
        except SESSION_ERRORS as error:
            raise build_snapshot_failure(error, "a stream imported the snapshot") from error
        try:
            shadow = await connect_asyncpg(self._shadow_endpoint)
            self._connections.append(shadow)
            shadow.add_termination_listener(self._end_copy)
        except SESSION_ERRORS as error:
            raise build_target_failure(error, "a stream connected") from error
        self.shadow_pid = shadow.get_server_pid()

    async def _copy_step(self, step: RowsStep, on_bytes: OnBytes) -> dict[int, int]:
        _, shadow = self._connections
        action = f"the rows of {step.title} were copied"
        await _execute_at_target(shadow, build_step_begin(step), action)
        row_counts = {
            table_copy.table.oid: await self._copy_table(step, table_copy, on_bytes) for table_copy in step.tables
        }
        await _execute_at_target(shadow, "COMMIT", action)
        return row_counts

    async def _copy_table(self, step: RowsStep, table_copy: TableCopy, on_bytes: OnBytes) -> int:
        """Runs COPY at both ends and returns the number of rows.

        If one end fails, terminates both sessions and raises StepFailed for the end that failed first.
        """
        buffer = self._buffer = RowBuffer()
        source, shadow = self._connections
        read_task = asyncio.create_task(_read_rows(source, table_copy, buffer, on_bytes))
        write_task = asyncio.create_task(_write_rows(shadow, step, table_copy, buffer))
        tasks = self._tasks = (read_task, write_task)
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        action = f"the rows of {table_copy.table.title} were copied"
        failed_task = None
        if not self._stopped:  # or else a cancelled task has no exception
            failed_task = next((task for task in tasks if task in done and task.exception()), None)
            if failed_task is None:
                return check_row_counts(table_copy.table.title, read_task.result(), write_task.result())
        self._terminate()
        for task in tasks:  # also if `_stop` came before they were created
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if failed_task is None:
            raise build_target_failure(ConnectionAbortedError("the stream was stopped"), action)
        error = failed_task.exception()
        assert error is not None  # noqa: S101 (it has failed)
        if not isinstance(error, SESSION_ERRORS):
            raise error
        build_failure = build_source_failure if failed_task is read_task else build_target_failure
        raise build_failure(error, action) from error


async def _read_rows(source: asyncpg.Connection, table_copy: TableCopy, buffer: RowBuffer, on_bytes: OnBytes) -> int:
    """Reads a table of the source into the buffer, closes the buffer, and returns the number of rows."""
    table = table_copy.table

    async def put(chunk: bytes) -> None:
        await buffer.put(chunk)
        on_bytes(table.oid, len(chunk))
        if len(chunk) < SMALL_CHUNK_BYTES:
            await asyncio.sleep(SMALL_CHUNK_DELAY_SECONDS)

    with noticing_loss(source):
        command_tag = await source.copy_from_table(
            table.name, schema_name=table.schema, columns=table_copy.columns, output=put
        )
    buffer.close()
    return _parse_row_count(command_tag)


async def _write_rows(shadow: asyncpg.Connection, step: RowsStep, table_copy: TableCopy, buffer: RowBuffer) -> int:
    """Writes the buffer into the shadow's table until the buffer is closed, and returns the number of rows.

    Runs a COPY each time that rows arrive after a silence. FREEZE is legal as long as the transaction has truncated the
    table.
    """
    loaded_table, row_count = step.root or table_copy.table, 0
    with noticing_loss(shadow):
        while await buffer.wait_for_rows():
            command_tag = await shadow.copy_to_table(
                loaded_table.name,
                schema_name=loaded_table.schema,
                columns=table_copy.columns,
                source=buffer,
                freeze=step.root is None,
            )
            row_count += _parse_row_count(command_tag)
    return row_count


def _parse_row_count(command_tag: str) -> int:
    """Returns the number of rows in a command tag: `COPY 17` → 17."""
    return int(command_tag.rpartition(" ")[2])


async def _execute_at_target(shadow: asyncpg.Connection, statements: str, action: str) -> None:
    try:
        with noticing_loss(shadow):
            await shadow.execute(statements)
    except SESSION_ERRORS as error:
        raise build_target_failure(error, action) from error
