"""Copies rows and large objects with libpq.

A step of many small tables costs one round trip: all its COPYs are sent to the source as one query. libpq is also used
for encodings other than UTF-8, for channel binding, and for COPY in binary format.
"""

import os
import socket
from contextlib import suppress

import psycopg
from psycopg import pq

from pgimport.worker.engines.relay.copy_statements import (
    build_copy_out,
    build_snapshot_import,
    build_staging,
    build_staging_transfer,
    build_step_begin,
)
from pgimport.worker.engines.relay.libpq_copy import read_result, read_rows, send_query
from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.engines.relay.row_buffer import SILENCE_SECONDS
from pgimport.worker.engines.relay.row_writer import RowWriter, describe_copy
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

CANCEL_SECONDS = 5


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
        """Copies the step in one transaction, and returns oid → number of committed rows.

        Raises StepFailed.
        """
        return _StepCopy(self.connections[0], self.connections[1], step, on_bytes).run()

    def close(self) -> None:
        for connection in self.connections:
            connection.close()

    def abort(self) -> None:
        """Makes the running step fail, also if a server is silent. May be called from another thread."""
        for connection in self.connections:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=CANCEL_SECONDS)
            with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as own_socket:
                own_socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for the server


class _StepCopy:
    """The copy of one step."""

    def __init__(self, source: Connection, shadow: Connection, step: RowsStep, on_bytes: OnBytes) -> None:
        self._source, self._shadow, self._step = source, shadow, step
        self._writer = RowWriter(shadow, step, on_bytes)
        self._staged = [item for item in step.tables if step.binary and item.text_columns]

    def run(self) -> dict[int, int]:
        step, action = self._step, f"the rows of {self._step.title} were copied"
        copies_out = "; ".join(build_copy_out(table_copy, binary=step.binary) for table_copy in step.tables)
        with converting_errors(build_target_failure, action):
            begin = "; ".join([build_step_begin(step), *(build_staging(item) for item in self._staged)])
            self._shadow.execute(begin.encode(self._shadow.info.encoding))
        with converting_errors(build_source_failure, action):
            send_query(self._source, copies_out.encode(self._source.info.encoding))
        sent = {table_copy.table.oid: self._read_table(table_copy) for table_copy in step.tables}
        with converting_errors(build_source_failure, action):
            read_result(self._source)
        self._writer.finish()
        for table_copy in step.tables:
            oid = table_copy.table.oid
            check_row_counts(table_copy.table.title, sent[oid], self._writer.row_counts[oid])
        with converting_errors(build_target_failure, action):
            for item in self._staged:
                transfer = build_staging_transfer(item, step.root)
                self._shadow.execute(transfer.encode(self._shadow.info.encoding))
            self._shadow.execute("COMMIT")
        return sent

    def _read_table(self, table_copy: TableCopy) -> int:
        """Passes the rows of one table to the writer, and returns the number that the source has sent."""
        writer = self._writer
        writer.begin_table(table_copy)
        with converting_errors(build_source_failure, describe_copy(table_copy)):
            read_result(self._source, pq.ExecStatus.COPY_OUT)
            for row in read_rows(self._source, SILENCE_SECONDS):
                if row is None:
                    writer.pause()
                else:
                    writer.add(row)
            result = read_result(self._source, pq.ExecStatus.COMMAND_OK)
        writer.end_table()
        return (result.command_tuples or 0) if result else 0
