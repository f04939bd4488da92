"""A door for one pg_dump: its queries come in by a Unix socket; the source's answers, or ones known already, go out.

Until 18, pg_dump asks for every sequence by itself: 2,000 identity columns at 20 ms took 40 s. Here all of them are
asked for once, in the very session and snapshot that pg_dump has opened, and each of its questions is answered from
that. Everything else is passed on, word by word. https://www.postgresql.org/docs/current/protocol-message-formats.html
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

MANY_SEQUENCES = 50  # sequences from which on the door is worth its while
PORT = 5432  # a part of the socket's name
LONGEST_PATH = 107  # bytes of a socket's path, on Linux
_CANCEL = 80877102
# As pg_dump 14 to 17 write it: what is asked, and of which sequence.
_SEQUENCE = re.compile(rb"(SELECT [^;']+)( FROM pg_catalog\.pg_sequence) WHERE seqrelid = '(\d+)'::oid")
# What a client is told of at its start, and whenever it changes.
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
_STATES = {pq.TransactionStatus.INTRANS: b"T", pq.TransactionStatus.INERROR: b"E"}


@contextmanager
def run_pg_dump_proxy(source: Endpoint, folder: Path) -> Iterator[Endpoint]:
    """Where pg_dump finds the source for the length of the block; `folder` gets the socket.

    Raises OSError where there can be no socket, as in a folder with a long name.
    """
    path = folder / f".s.PGSQL.{PORT}"
    with socket.socket(socket.AF_UNIX) as door:
        if len(bytes(path)) > LONGEST_PATH:
            raise OSError(f"the path of a socket below {folder} would be too long")
        path.unlink(missing_ok=True)
        door.bind(str(path))
        path.chmod(0o600)  # nobody is asked for a password here
        door.listen()
        gateway = _PgDumpProxy(source)
        threading.Thread(target=gateway.let_in, args=(door,), name="gateway", daemon=True).start()
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
                door.shutdown(socket.SHUT_RDWR)  # ends the wait for the next one
            path.unlink(missing_ok=True)


class _PgDumpProxy:
    """Sessions of the source, one for each of pg_dump's."""

    def __init__(self, source: Endpoint) -> None:
        self._source = source
        self._open: list[Connection] = []

    def let_in(self, door: socket.socket) -> None:
        """Until the door is shut."""
        with suppress(OSError):
            while True:
                client, _ = door.accept()
                threading.Thread(target=self._serve, args=(client,), name="gateway-session", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, EOFError), client, client.makefile("rwb") as stream:
            if _read_start(stream) == _CANCEL:
                self._cancel()
                return
            try:
                connection = open_connection(self._source)
            except psycopg.Error as error:
                _Answer(stream).refuse(error)
                return
            self._open.append(connection)
            with connection:
                _Session(connection, stream).run()

    def _cancel(self) -> None:
        """pg_dump waits until this is done, and so until nothing of it is left at the source."""
        for connection in self._open:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=5)


def _read_start(stream: BufferedRWPair) -> int:
    """The first message's number: a version of the protocol, or a wish to cancel."""
    (length,) = struct.unpack("!i", _read(stream, 4))
    (number,) = struct.unpack("!i", _read(stream, length - 4)[:4])
    return int(number)


def _read(stream: BufferedRWPair, count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


@dataclass(slots=True)
class _Answer:
    """Messages to the client, written in one go."""

    stream: BufferedRWPair
    told: dict[str, bytes] = field(default_factory=dict)  # parameters

    def put(self, kind: bytes, body: bytes = b"") -> None:
        self.stream.write(kind + struct.pack("!i", len(body) + 4) + body)

    def put_parameters(self, wire: pq.abc.PGconn) -> None:
        """Those that the client does not know yet: `SET` may have changed them."""
        for name in _PARAMETERS:
            value = wire.parameter_status(name.encode())
            if value is not None and self.told.get(name) != value:
                self.told[name] = value
                self.put(b"S", name.encode() + b"\0" + value + b"\0")

    def put_ready(self, wire: pq.abc.PGconn) -> None:
        self.put_parameters(wire)
        self.put(b"Z", _STATES.get(pq.TransactionStatus(wire.transaction_status), b"I"))
        self.stream.flush()

    def send_rows(self, result: pq.abc.PGresult, columns: int, rows: range) -> None:
        described = b"".join(
            (result.fname(i) or b"")
            + b"\0"
            + struct.pack(
                "!IhIhih", result.ftable(i), result.ftablecol(i), result.ftype(i), result.fsize(i), result.fmod(i), 0
            )
            for i in range(columns)
        )
        self.put(b"T", struct.pack("!h", columns) + described)
        head = struct.pack("!h", columns)
        for row in rows:
            values = (result.get_value(row, column) for column in range(columns))
            self.put(
                b"D",
                head
                + b"".join(
                    b"\xff\xff\xff\xff" if value is None else struct.pack("!i", len(value)) + value for value in values
                ),
            )

    def put_error(self, result: pq.abc.PGresult) -> None:
        fields = ((one, result.error_field(one)) for one in pq.DiagnosticField)
        said = b"".join(bytes((one,)) + value + b"\0" for one, value in fields if value is not None)
        self.put(b"E", said + b"\0")

    def refuse(self, error: psycopg.Error) -> None:
        """There is no source any more; libpq's own words tell why."""
        fields = (b"SFATAL", b"VFATAL", b"C" + (error.sqlstate or "08006").encode(), b"M" + first_line(error).encode())
        self.put(b"E", b"\0".join(fields) + b"\0\0")
        self.stream.flush()


class _Session:
    """One client's questions, in its own session of the source."""

    def __init__(self, connection: Connection, stream: BufferedRWPair) -> None:
        self._connection, self._wire, self._stream = connection, connection.pgconn, stream
        self._answer = _Answer(stream)
        self._sequences: dict[bytes, int] = {}  # oid → row of what is known
        self._known: tuple[bytes, pq.abc.PGresult] | None = None  # what was asked of all sequences

    def run(self) -> None:
        """Until the client ends. Raises OSError and EOFError where it just goes."""
        self._answer.put(b"R", struct.pack("!i", 0))
        self._answer.put(b"K", struct.pack("!ii", self._wire.backend_pid, 0))
        self._answer.put_ready(self._wire)
        while (kind := _read(self._stream, 1)) != b"X":
            (length,) = struct.unpack("!i", _read(self._stream, 4))
            body = _read(self._stream, length - 4)
            if kind != b"Q":
                raise EOFError  # pg_dump without rows says nothing else
            self._ask(body.rstrip(b"\0"))
            if self._wire.status != pq.ConnStatus.OK:
                self._answer.refuse(psycopg.OperationalError(self._wire.error_message.decode(errors="replace")))
                return
            self._answer.put_ready(self._wire)

    def _ask(self, query: bytes) -> None:
        match = _SEQUENCE.fullmatch(query)
        if match is not None and self._tell_known(*match.groups()):
            return
        self._tell(self._wire.exec_(query))

    def _tell(self, result: pq.abc.PGresult) -> None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            if self._wire.status == pq.ConnStatus.OK:
                self._answer.put_error(result)
            return
        if result.status == pq.ExecStatus.EMPTY_QUERY:
            self._answer.put(b"I")
            return
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._answer.send_rows(result, result.nfields, range(result.ntuples))
        self._answer.put(b"C", (result.command_status or b"") + b"\0")

    def _tell_known(self, asked: bytes, of: bytes, oid: bytes) -> bool:
        """False where nothing is known of it: the source is asked then, and says what is wrong."""
        if self._known is None or self._known[0] != asked:
            result = self._wire.exec_(asked + b", seqrelid" + of)
            if result.status != pq.ExecStatus.TUPLES_OK:
                return False
            last = result.nfields - 1
            self._known = asked, result
            self._sequences = {result.get_value(row, last) or b"": row for row in range(result.ntuples)}
        row = self._sequences.get(oid)
        if row is None:
            return False
        known = self._known[1]
        self._answer.send_rows(known, known.nfields - 1, range(row, row + 1))
        self._answer.put(b"C", b"SELECT 1\0")
        return True
