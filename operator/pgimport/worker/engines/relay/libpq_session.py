"""One stream of libpq: a step of many tables comes in, each end gets its COPYs as one query, counts go out.

What it costs is one round trip for all of them. It also takes what asyncpg cannot: other encodings than UTF-8, channel
binding, and rows in binary form.
"""

from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg import pq

from pgimport.worker.engines.relay.copy_statements import (
    SESSION_SETTINGS,
    build_copy_in,
    build_copy_out,
    build_snapshot_import,
    build_step_begin,
)
from pgimport.worker.engines.relay.libpq_copy import read_result, read_rows, send, send_end, send_rows
from pgimport.worker.engines.relay.relay_plan import RowsStep
from pgimport.worker.engines.relay.step_errors import (
    build_connect_failure,
    build_snapshot_failure,
    build_source_failure,
    build_target_failure,
    check_row_counts,
    converting_errors,
)
from pgimport.worker.postgres.endpoints import Connection, Endpoint
from pgimport.worker.postgres.endpoints import connect as connect_endpoint
from pgimport.worker.scope.snapshot import Table

CHUNK_BYTES = 64 * 1024  # bytes that are sent at once: libpq hands out row by row
Passed = Callable[[int, int], None]


class LibpqSession:
    """A session at each end; everything but `abort` is for one thread."""

    def __init__(self, source: Endpoint, shadow: Endpoint, snapshot: str, encoding: str) -> None:
        self._source, self._shadow, self._snapshot, self._encoding = source, shadow, snapshot, encoding
        self.ends: list[Connection] = []

    def open(self) -> None:
        """Raises StepFailed."""
        try:
            source = connect_endpoint(self._source)
        except psycopg.Error as error:
            raise build_connect_failure(error, self._source) from error
        self.ends.append(source)
        try:
            encoding = f"SET client_encoding = '{self._encoding}'"
            source.execute(f"{encoding}; {build_snapshot_import(self._snapshot)}".encode())
        except psycopg.Error as error:
            raise build_snapshot_failure(error, "its snapshot was opened again") from error
        try:
            self.ends.append(connect_endpoint(self._shadow))
            self.ends[1].execute(SESSION_SETTINGS)
            self.ends[1].execute(f"SET client_encoding = '{self._encoding}'".encode())
        except psycopg.Error as error:
            raise build_target_failure(error, "a stream was opened") from error

    def copy_step(self, step: RowsStep, passed: Passed) -> dict[int, int]:
        """Rows of each table, by its oid, when they are safe in the copy. Raises StepFailed."""
        return _Batch(self.ends[0], self.ends[1], step, passed).run()

    def close(self) -> None:
        for end in self.ends:
            end.close()

    def abort(self) -> None:
        """From another thread: the step that runs fails."""
        for end in self.ends:
            with suppress(psycopg.Error):
                end.cancel_safe(timeout=5)


class _Batch:
    """One step on its way."""

    def __init__(self, source: Connection, copy: Connection, step: RowsStep, passed: Passed) -> None:
        self._source, self._copy, self._step, self._passed = source, copy, step, passed

    def run(self) -> dict[int, int]:
        step, action = self._step, f"the rows of {self._step.title} were copied"
        ins = "; ".join(build_copy_in(rows, step.root, binary=step.binary) for rows in step.tables)
        outs = "; ".join(build_copy_out(rows, binary=step.binary) for rows in step.tables)
        with converting_errors(build_target_failure, action):
            self._copy.execute(build_step_begin(step).encode(self._copy.info.encoding))
            send(self._copy, ins.encode(self._copy.info.encoding))
        with converting_errors(build_source_failure, action):
            send(self._source, outs.encode(self._source.info.encoding))
        counts = {rows.table.oid: self._pass(rows.table) for rows in step.tables}
        with converting_errors(build_source_failure, action):
            read_result(self._source)
        with converting_errors(build_target_failure, action):
            read_result(self._copy)
            self._copy.execute("COMMIT")
        return counts

    def _pass(self, table: Table) -> int:
        action, piece = f"the rows of {table.title} were copied", bytearray()
        with converting_errors(build_target_failure, action):
            read_result(self._copy, pq.ExecStatus.COPY_IN)
        with converting_errors(build_source_failure, action):
            read_result(self._source, pq.ExecStatus.COPY_OUT)
            for row in read_rows(self._source):
                if row is not None:
                    piece += row
                if piece and (row is None or len(piece) >= CHUNK_BYTES):
                    self._put(table, piece, action)
            done = read_result(self._source, pq.ExecStatus.COMMAND_OK)
        self._put(table, piece, action)
        with converting_errors(build_target_failure, action):
            send_end(self._copy)
            taken = read_result(self._copy, pq.ExecStatus.COMMAND_OK)
        return check_row_counts(table.title, _count(done), _count(taken))

    def _put(self, table: Table, piece: bytearray, action: str) -> None:
        with converting_errors(build_target_failure, action):
            send_rows(self._copy, bytes(piece))
        self._passed(table.oid, len(piece))
        piece.clear()


def _count(result: pq.abc.PGresult | None) -> int:
    return (result.command_tuples or 0) if result else 0
