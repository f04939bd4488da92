"""The admin's way in: an `Access` comes in, an open connection goes out; every refusal becomes an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import psycopg
from psycopg import errors as postgres

from pgimport.model.errors import Conflict, PgimportError, ServerUnavailable
from pgimport.model.reasons import Failure, Reason
from pgimport.server.circuit_breaker import CircuitBreaker

Connection = psycopg.Connection[tuple[Any, ...]]

MAINTENANCE_DATABASE = "postgres"
# Where an admin may not enter `postgres`, or it was dropped.
FALLBACK_MAINTENANCE_DATABASE = "template1"

CONNECT_SECONDS = 10
_SETTINGS = {
    # Nothing that a tenant made may answer to an unqualified name.
    "search_path": "pg_catalog",
    # CREATE and DROP DATABASE touch the disk and may wait for a checkpoint; a catalogue query takes milliseconds.
    "statement_timeout": "300s",
    "lock_timeout": "10s",
    # A process of ours that froze within a transaction must not keep databases locked.
    "idle_in_transaction_session_timeout": "60s",
    # One that froze between two statements must not act when it wakes up: longer than any statement of another session
    # that it waits for.
    "idle_session_timeout": "360s",
    "default_transaction_read_only": "off",
}
_AUTH_WORDS = ("authentication", "no password supplied", "pg_hba.conf", "not permitted to log in", 'role "')


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach a server as one role; the admin's unless a function says otherwise."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    circuit_breaker: CircuitBreaker | None = field(
        default=None, repr=False, compare=False
    )  # what is known of this and other servers

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


class Connect(Protocol):
    """The outermost seam of this room: what opens a connection."""

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection: ...


def connect(access: Access, dbname: str = MAINTENANCE_DATABASE, *, application_name: str = "pgimport") -> Connection:
    """In autocommit; raises ServerUnavailable. The maintenance database may be replaced by `template1`."""
    with access.circuit_breaker.connecting(access.address) if access.circuit_breaker is not None else nullcontext():
        return _connect(access, dbname, application_name)


def _connect(access: Access, dbname: str, application_name: str) -> Connection:
    try:
        return _open(access, dbname, application_name)
    except psycopg.OperationalError as error:
        refusal = str(error)
    except UnicodeError:  # of the resolver's codec, for a label of more than 63 characters
        refusal = "its host is no name that can be looked up"
    if dbname == MAINTENANCE_DATABASE and f'database "{MAINTENANCE_DATABASE}"' in refusal:
        try:
            return _open(access, FALLBACK_MAINTENANCE_DATABASE, application_name)
        except psycopg.OperationalError:
            pass  # the first refusal tells more
    raise ServerUnavailable(_refusal(access, refusal))


def _open(access: Access, dbname: str, application_name: str) -> Connection:
    return psycopg.connect(
        host=access.host,
        port=access.port,
        user=access.user,
        password=access.password,
        dbname=dbname,
        sslmode=access.sslmode,
        application_name=application_name,
        client_encoding="utf8",
        connect_timeout=CONNECT_SECONDS,
        gssencmode="disable",
        keepalives=1,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=60_000,
        options=" ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
        autocommit=True,
        prepare_threshold=None,
    )


def _refusal(access: Access, text: str) -> Failure:
    line = _first_line(text).rpartition("FATAL:")[2].strip()
    if any(word in line for word in _AUTH_WORDS):
        return Failure(
            Reason.SERVER_AUTH_FAILED, f"the target server {access.address} refused the role {access.user}: {line}"
        )
    return Failure(Reason.SERVER_UNREACHABLE, f"the target server {access.address} cannot be reached: {line}")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason was given")


@contextmanager
def session(access: Access, dbname: str = MAINTENANCE_DATABASE, connect: Connect = connect) -> Iterator[Connection]:
    """A connection for the length of a block; what the server refuses in it is translated here, once."""
    connection = connect(access, dbname)
    try:
        with connection:
            yield connection
    except psycopg.Error as error:
        translated = _translate(access, error)
        if translated is None:
            raise
        raise translated from error


def _translate(access: Access, error: psycopg.Error) -> PgimportError | None:
    """None: not expected, so it stays an exception with its traceback."""
    line = _first_line(error.diag.message_primary or str(error))
    match error:
        case postgres.InsufficientPrivilege():
            return ServerUnavailable(
                Failure(Reason.SERVER_NOT_FIT, f"the admin {access.user} of {access.address} lacks a right: {line}")
            )
        case postgres.ObjectInUse() | postgres.LockNotAvailable():
            return ServerUnavailable(Failure(Reason.TARGET_BUSY, f"something is in use on {access.address}: {line}"))
        case postgres.DuplicateDatabase() | postgres.DuplicateObject() | postgres.UniqueViolation():
            return Conflict(f"made by somebody else at the same moment on {access.address}: {line}")
        case postgres.InternalError_() if "concurrently" in line:
            return Conflict(f"changed by somebody else at the same moment on {access.address}: {line}")
        case psycopg.OperationalError() if error.sqlstate is None or error.sqlstate[:2] in ("08", "53", "57"):
            return ServerUnavailable(
                Failure(Reason.SERVER_UNREACHABLE, f"the target server {access.address} went away: {line}")
            )
    return None


def lock_database_name(connection: Connection, database: str) -> None:
    """Until this session ends, nobody else of ours changes what this name stands for: another operator waits.

    Raises ServerUnavailable (TargetBusy) where the other one takes long.
    """
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgimport {database}"])


def ensure_synchronous_commit(connection: Connection) -> bool:
    """From here on this session's commits wait for the disk; true where the server's default would have it otherwise.

    Else a crash could lose what was reported as done, or a part of a copy that was verified already.
    https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    """
    raised = connection.execute(
        "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    return raised.fetchone() is not None


def scram_verifier(connection: Connection, user: str, password: str) -> str:
    """What the server stores of a password, made here: the password itself is never sent and never logged."""
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


@cache
def read_query(name: str) -> bytes:
    """The text of `sql/<name>.sql`."""
    return files("pgimport.server").joinpath("sql", f"{name}.sql").read_bytes()
