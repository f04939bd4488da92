"""Writes the rows of a step into the shadow with COPY, and leaves no COPY open while no rows arrive.

A backend that waits in COPY FROM STDIN blocks every DROP DATABASE of its server. So the writer collects the rows of
small tables, and writes them with one query of many COPYs. If the source is silent, the writer ends the COPY of a
larger table after a whole row. When rows arrive again, it opens another COPY.
"""

import time
from collections import Counter

from psycopg import pq

from pgimport.worker.engines.relay.copy_statements import build_copy_in
from pgimport.worker.engines.relay.libpq_copy import read_result, send_end, send_query, send_rows
from pgimport.worker.engines.relay.relay_plan import RowsStep, TableCopy
from pgimport.worker.engines.relay.row_buffer import ROW_END, SILENCE_SECONDS
from pgimport.worker.engines.relay.step_errors import build_target_failure, converting_errors
from pgimport.worker.engines.relay.throughput import OnBytes
from pgimport.worker.postgres.endpoints import Connection

CHUNK_BYTES = 64 * 1024  # rows are sent in chunks of this size, because libpq returns one row at a time
COLLECTED_BYTES = 1024 * 1024  # rows of small tables are written when this many bytes are collected
# Begin and end of COPY in binary format: https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4
BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
BINARY_TRAILER = b"\xff\xff"


def describe_copy(table_copy: TableCopy) -> str:
    """Returns what a copy does, for error messages."""
    return f"the rows of {table_copy.table.title} were copied"


class RowWriter:
    """Writes one table after the other. Methods raise StepFailed for errors of the target."""

    def __init__(self, shadow: Connection, step: RowsStep, on_bytes: OnBytes) -> None:
        self._shadow, self._step, self._on_bytes = shadow, step, on_bytes
        self.row_counts: Counter[int] = Counter()  # rows that the target has received, by oid of the table
        self._collected: list[tuple[TableCopy, bytearray]] = []  # whole tables
        self._collected_bytes = 0
        self._table = step.tables[0]
        self._chunk = bytearray()
        self._is_open = False  # whether a COPY is open, of the current table
        self._copies = 0  # number of COPYs of the current table so far
        self._written_at = 0.0

    def begin_table(self, table_copy: TableCopy) -> None:
        """Makes this the current table."""
        self._table, self._chunk, self._copies = table_copy, bytearray(), 0

    def add(self, row: memoryview) -> None:
        """Adds one row of the current table."""
        self._chunk += row
        limit = CHUNK_BYTES if self._is_open or self._copies else COLLECTED_BYTES - self._collected_bytes
        if len(self._chunk) >= max(limit, CHUNK_BYTES):
            self._send()

    def pause(self) -> None:
        """Sends the collected rows of an open COPY. If there are none for SILENCE_SECONDS, ends this COPY."""
        if not self._is_open:
            return
        if self._chunk:
            self._send()
        elif time.monotonic() - self._written_at >= SILENCE_SECONDS:
            with converting_errors(build_target_failure, describe_copy(self._table)):
                if self._step.binary:
                    send_rows(self._shadow, BINARY_TRAILER)
                self._close()

    def end_table(self) -> None:
        """Ends the current table."""
        if self._is_open or self._copies:
            if self._chunk:
                self._send()
            with converting_errors(build_target_failure, describe_copy(self._table)):
                if self._is_open:
                    self._close()
        elif self._chunk:
            self._collected.append((self._table, self._chunk))
            self._collected_bytes += len(self._chunk)
            if self._collected_bytes >= COLLECTED_BYTES:
                self._write_collected()

    def finish(self) -> None:
        """Writes the collected tables."""
        self._write_collected()

    def _send(self) -> None:
        """Sends the chunk if it ends with a whole row. Opens a COPY first if none is open."""
        if not self._step.binary and not self._chunk.endswith(ROW_END):
            return
        self._write_collected()
        with converting_errors(build_target_failure, describe_copy(self._table)):
            if not self._is_open:
                self._open()
            send_rows(self._shadow, bytes(self._chunk))
        self._on_bytes(self._table.table.oid, len(self._chunk))
        self._chunk.clear()
        self._written_at = time.monotonic()

    def _open(self) -> None:
        statement = build_copy_in(self._table, self._step.root, binary=self._step.binary)
        send_query(self._shadow, statement.encode(self._shadow.info.encoding))
        read_result(self._shadow, pq.ExecStatus.COPY_IN)
        self._is_open = True
        if self._step.binary and self._copies:
            send_rows(self._shadow, BINARY_HEADER)
        self._copies += 1

    def _close(self) -> None:
        self._is_open = False
        self._end_copy(self._table)
        read_result(self._shadow)

    def _end_copy(self, table_copy: TableCopy) -> None:
        send_end(self._shadow)
        result = read_result(self._shadow, pq.ExecStatus.COMMAND_OK)
        self.row_counts[table_copy.table.oid] += (result.command_tuples or 0) if result else 0

    def _write_collected(self) -> None:
        """Writes the collected tables with one query."""
        if not self._collected:
            return
        collected, self._collected, self._collected_bytes = self._collected, [], 0
        step = self._step
        statements = "; ".join(build_copy_in(table_copy, step.root, binary=step.binary) for table_copy, _ in collected)
        with converting_errors(build_target_failure, f"the rows of {step.title} were copied"):
            send_query(self._shadow, statements.encode(self._shadow.info.encoding))
        for table_copy, rows in collected:
            with converting_errors(build_target_failure, describe_copy(table_copy)):
                read_result(self._shadow, pq.ExecStatus.COPY_IN)
                send_rows(self._shadow, bytes(rows))
                self._end_copy(table_copy)
            self._on_bytes(table_copy.table.oid, len(rows))
        with converting_errors(build_target_failure, f"the rows of {step.title} were copied"):
            read_result(self._shadow)
