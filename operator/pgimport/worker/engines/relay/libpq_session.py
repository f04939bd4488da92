"""Copies rows and large objects with libpq.

A step of many small tables costs one round trip: all its COPYs are sent as one query. libpq is also used
for encodings other than UTF-8, for channel binding, and for COPY in binary format.
"""

from contextlib import suppress

import psycopg
from psycopg import pq

from pgimport.worker.engines.relay.copy_statements import (
    build_copy_in,
    build_copy_out,
    build_snapshot_import,
    build_staging,
    build_staging_transfer,
    build_step_begin,
)
from pgimport.worker.engines.relay.libpq_copy import read_result, read_rows, send_end, send_query, send_rows
from pgimport.worker.engines.relay.relay_plan import RowsStep
from pgimport.worker.engines.relay.step_errors import (
    build_connect_failure,
    build_snapshot_failure,
    build_source_failure,
    build_target_failure,
    check_row_counts,
    converting_errors,
)
from pgimport.worker.engines.relay.throughput import OnBytes
from pgimport.worker.postgres.encodings import find_client_encoding
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.scope.snapshot import Table

CHUNK_BYTES = 64 * 1024  # rows are sent in chunks of this size, because libpq returns one row at a time


class LibpqSession:
    """A session at the source and one at the shadow. Only `abort` may be called from another thread."""

    def __init__(self, source: Endpoint, shadow: Endpoint, snapshot: str, encoding: str) -> None:
        self._source_endpoint, self._shadow_endpoint = source, shadow
        self._snapshot, self._encoding = snapshot, encoding
        self.connections: list[Connection] = []  # source, shadow

    def open(self) -> None:
        """Connects to both ends and imports the snapshot. Raises StepFailed."""
        set_encoding = f"SET client_encoding = '{find_client_encoding(self._encoding)}'"
        try:
            source = connect(self._source_endpoint)
        except psycopg.Error as error:
            raise build_connect_failure(error, self._source_endpoint) from error
        self.connections.append(source)
        with converting_errors(build_snapshot_failure, "a stream imported the snapshot"):
            source.execute(f"{set_encoding}; {build_snapshot_import(self._snapshot)}".encode())
        with converting_errors(build_target_failure, "a stream connected"):
            shadow = connect(self._shadow_endpoint)
            self.connections.append(shadow)
            shadow.execute(set_encoding.encode())

    def copy_step(self, step: RowsStep, on_bytes: OnBytes) -> dict[int, int]:
        """Copies the step in one transaction, and returns the committed rows of each table by oid.

        Raises StepFailed.
        """
        return _StepCopy(self.connections[0], self.connections[1], step, on_bytes).run()

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def abort(self) -> None:
        """Makes the running step fail. May be called from another thread."""
        for connection in self.connections:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)


class _StepCopy:
    """The copy of one step."""

    def __init__(self, source: Connection, shadow: Connection, step: RowsStep, on_bytes: OnBytes) -> None:
        self._source, self._shadow, self._step, self._on_bytes = source, shadow, step, on_bytes
        self._staged = [item for item in step.tables if step.binary and item.text_columns]

    def run(self) -> dict[int, int]:
        step, action = self._step, f"the rows of {self._step.title} were copied"
        copies_in = "; ".join(build_copy_in(table_copy, step.root, binary=step.binary) for table_copy in step.tables)
        copies_out = "; ".join(build_copy_out(table_copy, binary=step.binary) for table_copy in step.tables)
        with converting_errors(build_target_failure, action):
            begin = "; ".join([build_step_begin(step), *(build_staging(item) for item in self._staged)])
            self._shadow.execute(begin.encode(self._shadow.info.encoding))
            send_query(self._shadow, copies_in.encode(self._shadow.info.encoding))
        with converting_errors(build_source_failure, action):
            send_query(self._source, copies_out.encode(self._source.info.encoding))
        row_counts = {table_copy.table.oid: self._copy_table(table_copy.table) for table_copy in step.tables}
        with converting_errors(build_source_failure, action):
            read_result(self._source)
        with converting_errors(build_target_failure, action):
            read_result(self._shadow)
            for item in self._staged:
                transfer = build_staging_transfer(item, step.root)
                self._shadow.execute(transfer.encode(self._shadow.info.encoding))
            self._shadow.execute("COMMIT")
        return row_counts

    def _copy_table(self, table: Table) -> int:
        """Copies the rows of one table with the next COPY at both ends, and returns their number."""
        action, chunk = f"the rows of {table.title} were copied", bytearray()
        with converting_errors(build_target_failure, action):
            read_result(self._shadow, pq.ExecStatus.COPY_IN)
        with converting_errors(build_source_failure, action):
            read_result(self._source, pq.ExecStatus.COPY_OUT)
            for row in read_rows(self._source):
                if row is not None:
                    chunk += row
                if chunk and (row is None or len(chunk) >= CHUNK_BYTES):
                    self._send(table, chunk, action)
            source_result = read_result(self._source, pq.ExecStatus.COMMAND_OK)
        self._send(table, chunk, action)
        with converting_errors(build_target_failure, action):
            send_end(self._shadow)
            shadow_result = read_result(self._shadow, pq.ExecStatus.COMMAND_OK)
        return check_row_counts(table.title, _count_rows(source_result), _count_rows(shadow_result))

    def _send(self, table: Table, chunk: bytearray, action: str) -> None:
        """Sends the chunk and clears it."""
        with converting_errors(build_target_failure, action):
            send_rows(self._shadow, bytes(chunk))
        self._on_bytes(table.oid, len(chunk))
        chunk.clear()


def _count_rows(result: pq.abc.PGresult | None) -> int:
    return (result.command_tuples or 0) if result else 0
