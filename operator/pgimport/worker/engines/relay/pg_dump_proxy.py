"""Proxy between one pg_dump and the source that reads all sequences with one query.

pg_dump before 18 sends a query for each sequence: 2,000 identity columns took 40 s at a round-trip time of 20 ms. The
proxy listens on a Unix socket. It reads all sequences once, in the session and snapshot that pg_dump has opened, and
answers pg_dump's queries for single sequences from that result. It passes all other queries on unchanged.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BufferedRWPair
from pathlib import Path

import psycopg
from psycopg import pq

from pgimport.worker.postgres.endpoints import Connection, Endpoint, open_connection
from pgimport.worker.postgres.errors import first_line

MANY_SEQUENCES = 50  # the proxy is used for at least this number of sequences
PORT = 5432  # only part of the socket's file name
MAX_SOCKET_PATH = 107  # bytes, on Linux
_CANCEL_REQUEST = 80877102
# How pg_dump 14 to 17 read one sequence: the columns, the table, and the sequence's oid.
_SEQUENCE_QUERY = re.compile(rb"(SELECT [^;']+)( FROM pg_catalog\.pg_sequence) WHERE seqrelid = '(\d+)'::oid")
# Parameters that a server reports when a session starts, and whenever one changes.
_PARAMETERS = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "standard_conforming_strings",
    "DateStyle",
    "IntervalStyle",
    "integer_datetimes",
    "is_superuser",
    "session_authorization",
    "TimeZone",
    "default_transaction_read_only",
    "in_hot_standby",
)
_TRANSACTION_STATUS = {pq.TransactionStatus.INTRANS: b"T", pq.TransactionStatus.INERROR: b"E"}


@contextmanager
def run_pg_dump_proxy(source: Endpoint, folder: Path) -> Iterator[Endpoint]:
    """Yields the endpoint at which pg_dump reaches the source while the block runs. The socket is in `folder`.

    Raises OSError if there can be no socket, for example because the folder's path is too long.
    """
    path = folder / f".s.PGSQL.{PORT}"
    with socket.socket(socket.AF_UNIX) as listener:
        if len(bytes(path)) > MAX_SOCKET_PATH:
            raise OSError(f"the path of a socket below {folder} would be too long")
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)  # the proxy asks for no password
        listener.listen()
        proxy = _PgDumpProxy(source)
        threading.Thread(target=proxy.accept_clients, args=(listener,), name="pg-dump-proxy", daemon=True).start()
        try:
            yield Endpoint(
                host=str(folder),
                port=PORT,
                user=source.user,
                password=None,
                dbname=source.dbname,
                sslmode="disable",
                application_name=source.application_name,
            )
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
            path.unlink(missing_ok=True)


class _PgDumpProxy:
    """Serves each client connection with a session of its own at the source."""

    def __init__(self, source: Endpoint) -> None:
        self._source = source
        self._sessions: list[Connection] = []

    def accept_clients(self, listener: socket.socket) -> None:
        """Serves clients, each in a thread, until the listener is shut down."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), name="pg-dump-session", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client, client.makefile("rwb") as stream:
            if _read_startup_code(stream) == _CANCEL_REQUEST:
                self._cancel_sessions()
                return
            try:
                connection = open_connection(self._source)
            except psycopg.Error as error:
                _ProtocolWriter(stream).write_fatal_error(error)
                return
            self._sessions.append(connection)
            with connection:
                _ProxySession(connection, stream).run()

    def _cancel_sessions(self) -> None:
        """Cancels the running statements at the source. pg_dump waits for their end before it exits."""
        for connection in self._sessions:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)


def _read_startup_code(stream: BufferedRWPair) -> int:
    """Reads the first message and returns its code: a protocol version, or the code of a CancelRequest."""
    (length,) = struct.unpack("!i", _read_exactly(stream, 4))
    (code,) = struct.unpack("!i", _read_exactly(stream, length - 4)[:4])
    return int(code)


def _read_exactly(stream: BufferedRWPair, count: int) -> bytes:
    """Raises EOFError if the client has closed the connection."""
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


@dataclass(slots=True)
class _ProtocolWriter:
    """Writes messages of the wire protocol to the client. They are sent with the next ReadyForQuery."""

    stream: BufferedRWPair
    known_parameters: dict[str, bytes] = field(default_factory=dict)  # name → value that the client was told

    def write(self, kind: bytes, body: bytes = b"") -> None:
        """Writes one message."""
        self.stream.write(kind + struct.pack("!i", len(body) + 4) + body)

    def write_parameters(self, pgconn: pq.abc.PGconn) -> None:
        """Writes a ParameterStatus for each parameter that is new or has changed."""
        for name in _PARAMETERS:
            value = pgconn.parameter_status(name.encode())
            if value is not None and self.known_parameters.get(name) != value:
                self.known_parameters[name] = value
                self.write(b"S", name.encode() + b"\0" + value + b"\0")

    def write_ready(self, pgconn: pq.abc.PGconn) -> None:
        """Writes ReadyForQuery and sends all messages."""
        self.write_parameters(pgconn)
        self.write(b"Z", _TRANSACTION_STATUS.get(pq.TransactionStatus(pgconn.transaction_status), b"I"))
        self.stream.flush()

    def write_rows(self, result: pq.abc.PGresult, columns: int, rows: range) -> None:
        """Writes a RowDescription of the first columns, and a DataRow for each of these rows."""
        descriptions = (_build_column_description(result, column) for column in range(columns))
        column_count = struct.pack("!h", columns)
        self.write(b"T", column_count + b"".join(descriptions))
        for row in rows:
            values = (_build_value(result.get_value(row, column)) for column in range(columns))
            self.write(b"D", column_count + b"".join(values))

    def write_error(self, result: pq.abc.PGresult) -> None:
        """Writes an ErrorResponse with all fields of the result's error."""
        fields = ((code, result.error_field(code)) for code in pq.DiagnosticField)
        body = b"".join(bytes((code,)) + value + b"\0" for code, value in fields if value is not None)
        self.write(b"E", body + b"\0")

    def write_fatal_error(self, error: psycopg.Error) -> None:
        """Writes an ErrorResponse with libpq's message, because the source is not reachable, and sends it."""
        fields = (b"SFATAL", b"VFATAL", b"C" + (error.sqlstate or "08006").encode(), b"M" + first_line(error).encode())
        self.write(b"E", b"\0".join(fields) + b"\0\0")
        self.stream.flush()


def _build_column_description(result: pq.abc.PGresult, column: int) -> bytes:
    """Builds one field of a RowDescription, for values in text format."""
    numbers = struct.pack(
        "!IhIhih",
        result.ftable(column),
        result.ftablecol(column),
        result.ftype(column),
        result.fsize(column),
        result.fmod(column),
        0,
    )
    return (result.fname(column) or b"") + b"\0" + numbers


def _build_value(value: bytes | None) -> bytes:
    """Builds one value of a DataRow. NULL has the length -1."""
    return struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value


class _ProxySession:
    """Answers the queries of one client over its session at the source."""

    def __init__(self, connection: Connection, stream: BufferedRWPair) -> None:
        self._pgconn, self._stream = connection.pgconn, stream
        self._writer = _ProtocolWriter(stream)
        self._sequence_rows: dict[bytes, int] = {}  # oid → row of the result below
        self._sequences: tuple[bytes, pq.abc.PGresult] | None = None  # SELECT list, and its result for all sequences

    def run(self) -> None:
        """Answers queries until the client terminates. Raises OSError or EOFError if the connection breaks."""
        self._writer.write(b"R", struct.pack("!i", 0))  # AuthenticationOk
        self._writer.write(b"K", struct.pack("!ii", self._pgconn.backend_pid, 0))  # BackendKeyData
        self._writer.write_ready(self._pgconn)
        while (kind := _read_exactly(self._stream, 1)) != b"X":  # Terminate
            (length,) = struct.unpack("!i", _read_exactly(self._stream, 4))
            body = _read_exactly(self._stream, length - 4)
            if kind != b"Q":
                raise EOFError  # with --schema-only, pg_dump sends only simple queries
            self._answer_query(body.rstrip(b"\0"))
            if self._pgconn.status != pq.ConnStatus.OK:
                message = self._pgconn.error_message.decode(errors="replace")
                self._writer.write_fatal_error(psycopg.OperationalError(message))
                return
            self._writer.write_ready(self._pgconn)

    def _answer_query(self, query: bytes) -> None:
        match = _SEQUENCE_QUERY.fullmatch(query)
        if match is not None and self._answer_sequence_query(*match.groups()):
            return
        self._write_result(self._pgconn.exec_(query))

    def _write_result(self, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            if self._pgconn.status == pq.ConnStatus.OK:
                self._writer.write_error(result)
            return
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            self._writer.write(b"I")
            return
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._writer.write_rows(result, result.nfields, range(result.ntuples))
        self._writer.write(b"C", (result.command_status or b"") + b"\0")

    def _answer_sequence_query(self, select_list: bytes, from_clause: bytes, oid: bytes) -> bool:
        """Answers from the result for all sequences.

        Returns False if that result lacks the sequence or failed. The query then goes to the source.
        """
        if self._sequences is None or self._sequences[0] != select_list:
            result = self._pgconn.exec_(select_list + b", seqrelid" + from_clause)
            if result.status != pq.ExecStatus.TUPLES_OK:
                return False
            oid_column = result.nfields - 1
            self._sequences = select_list, result
            self._sequence_rows = {result.get_value(row, oid_column) or b"": row for row in range(result.ntuples)}
        row = self._sequence_rows.get(oid)
        if row is None:
            return False
        result = self._sequences[1]
        self._writer.write_rows(result, result.nfields - 1, range(row, row + 1))
        self._writer.write(b"C", b"SELECT 1\0")
        return True
