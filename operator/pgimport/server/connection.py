"""Connections to a target server, locks and settings of a session, and the translation of PostgreSQL's errors."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.resources import files
from typing import Any, Protocol, runtime_checkable

import psycopg
from psycopg import errors as postgres
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import make_conninfo

from pgimport.model.errors import Conflict, PgimportError, Refused, ServerUnavailable
from pgimport.model.project_spec import SSLMode
from pgimport.model.reasons import Failure, Reason
from pgimport.model.required_authentication import (
    CLEAR_PASSWORD_REFUSED,
    has_refused_clear_password,
    required_authentication,
)
from pgimport.server.login_probe import read_refusal_sqlstate
from pgimport.server.server_access import Access

Connection = psycopg.Connection[tuple[Any, ...]]

MAINTENANCE_DATABASE = "postgres"
# Used if the admin may not connect to `postgres`, or if that database was dropped.
FALLBACK_MAINTENANCE_DATABASE = "template1"

CONNECT_SECONDS = 10
TRANSACTION_TIMEOUT_VERSION = 170000
_SETTINGS = {
    # An unqualified name must never resolve to an object that a tenant created.
    "search_path": "pg_catalog",
    # CREATE and DROP DATABASE write to the disk and may wait for a checkpoint. A catalog query takes milliseconds.
    "statement_timeout": "300s",
    "lock_timeout": "10s",
    # If the operator freezes within a transaction, the server must release its locks.
    "idle_in_transaction_session_timeout": "60s",
    # If the operator freezes between two statements, it must not continue later with outdated knowledge. The limit is
    # longer than statement_timeout, because a session may wait for a statement of another session.
    "idle_session_timeout": "360s",
    "default_transaction_read_only": "off",
    # The owner of a database may name a library that does not exist. Then no session starts.
    "local_preload_libraries": "",
}
# libpq sends nothing if the server wants a password and there is none.
_NO_PASSWORD = "28P01"  # noqa: S105 (a SQLSTATE)
_AUTHENTICATION_CLASS = "28"  # SQLSTATEs of a wrong password, an unknown role, and a rule of pg_hba.conf
# The database does not exist, is not the role's to enter, accepts no connections, or pg_hba.conf does not admit to it.
_DATABASE_REFUSED = ("3D000", "42501", "55000", "28000")
# What libpq writes in front of the server's message: `…failed: FATAL:  `, with the severity in the server's language.
_LIBPQ_PREFIX = re.compile(r"^(?:connection (?:to server .*? )?failed: )+(?:[^:]{1,40}:  )?")
UNREADABLE = "\ufffd"  # replaces each byte that is no text in UTF-8
# Functions of the server that report a row of a catalogue which another session changed, as an internal error.
_CHANGED_BY_ANOTHER = ("simple_heap_update", "simple_heap_delete")


class Connect(Protocol):
    """Opens a connection; tests pass their own, which fails at a chosen statement."""

    def __call__(self, access: Access, dbname: str = MAINTENANCE_DATABASE, /) -> Connection: ...


@runtime_checkable
class KeepsConnections(Protocol):
    """A `Connect` that decides itself when a connection is closed."""

    def release(self, connection: Connection, *, failed: bool) -> None: ...


def connect(access: Access, dbname: str = MAINTENANCE_DATABASE, *, application_name: str = "pgimport") -> Connection:
    """Opens a connection in autocommit mode. Raises ServerUnavailable.

    Falls back from the maintenance database to `template1`.
    """
    breaker = access.circuit_breaker
    operation = "" if dbname == MAINTENANCE_DATABASE else f"{access.user} in {dbname}"
    with breaker.connecting(access.address, operation) if breaker is not None else nullcontext():
        return _connect(access, dbname, application_name)


def _connect(access: Access, dbname: str, application_name: str) -> Connection:
    try:
        return _open(access, dbname, application_name)
    except psycopg.OperationalError as error:
        refusal = str(error)
        has_logged_in = error.pgconn is not None and error.pgconn.used_password
        sqlstate = _read_sqlstate(access, error, dbname, application_name)
    except UnicodeError:  # Python's IDNA codec: a label of the host name has more than 63 characters
        refusal, has_logged_in, sqlstate = "the host name cannot be resolved", False, None
    if dbname == MAINTENANCE_DATABASE and sqlstate in _DATABASE_REFUSED:
        try:
            return _open(access, FALLBACK_MAINTENANCE_DATABASE, application_name)
        except psycopg.OperationalError:
            pass  # the first error is more useful
    elif dbname != MAINTENANCE_DATABASE and has_logged_in:  # the server may refuse only the client_encoding
        try:
            return _open_without_conversion(access, dbname, application_name)
        except psycopg.OperationalError:
            pass
    raise ServerUnavailable(_connection_failure(access, refusal, sqlstate))


def _read_sqlstate(access: Access, error: psycopg.Error, dbname: str, application_name: str) -> str | None:
    """Returns the SQLSTATE of a refused login. None if no server answered, or not in time."""
    if error.sqlstate is not None:
        return error.sqlstate
    connection = error.pgconn
    if connection is None or isinstance(error, postgres.ConnectionTimeout):
        return None
    if connection.needs_password:
        return _NO_PASSWORD
    has_tls = access.sslmode == SSLMode.PREFER and connection.ssl_in_use
    sslmode = SSLMode.REQUIRE.value if has_tls else access.sslmode
    parameters = _build_parameters(access, sslmode, dbname, application_name, "utf8")
    return read_refusal_sqlstate(make_conninfo("", **parameters))


def _open_without_conversion(access: Access, dbname: str, application_name: str) -> Connection:
    """Opens a connection to a database whose encoding the server cannot convert to UTF8: MULE_INTERNAL.

    Each byte of a text becomes one character.
    """
    connection = _open(access, dbname, application_name, client_encoding="sql_ascii")
    for type_name in ("text", "name", "varchar", "bpchar"):
        connection.adapters.register_loader(type_name, _BytesLoader)
    return connection


class _TextLoader(Loader):
    """Loads text, also from a shared catalog into which a session of a database with another encoding wrote it."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(errors="replace")


class _BytesLoader(Loader):
    """Loads text as LATIN1, which has a character for each byte."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("latin-1")


def _open(access: Access, dbname: str, application_name: str, client_encoding: str = "utf8") -> Connection:
    """Opens a connection. With sslmode `prefer`, sends the password in clear text only over TLS."""
    try:
        return _log_in(access, access.sslmode, dbname, application_name, client_encoding)
    except psycopg.OperationalError as error:
        if access.sslmode != SSLMode.PREFER or not has_refused_clear_password(str(error)):
            raise
        refusal = error
    try:
        return _log_in(access, SSLMode.REQUIRE.value, dbname, application_name, client_encoding)
    except psycopg.OperationalError as error:
        has_tls = error.pgconn is not None and error.pgconn.ssl_in_use
        raise error if has_tls else refusal from None


def _log_in(access: Access, sslmode: str, dbname: str, application_name: str, client_encoding: str) -> Connection:
    parameters = _build_parameters(access, sslmode, dbname, application_name, client_encoding)
    connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
    connection.adapters.register_loader("text", _TextLoader)
    if connection.info.server_version >= TRANSACTION_TIMEOUT_VERSION:
        try:
            connection.execute("SET transaction_timeout = 0")  # an older server would refuse it as one of _SETTINGS
        except BaseException:
            connection.close()
            raise
    return connection


def _build_parameters(
    access: Access, sslmode: str, dbname: str, application_name: str, client_encoding: str
) -> dict[str, str | int | None]:
    return {
        "host": access.host,
        "port": access.port,
        "user": access.user,
        "password": access.password,
        "dbname": dbname,
        "sslmode": sslmode,
        "require_auth": required_authentication(sslmode),
        "application_name": application_name,
        "client_encoding": client_encoding,
        "connect_timeout": CONNECT_SECONDS,
        "gssencmode": "disable",
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "options": " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items()),
    }


def _connection_failure(access: Access, text: str, sqlstate: str | None) -> Failure:
    if has_refused_clear_password(text):
        return Failure(
            Reason.SERVER_AUTH_FAILED,
            f"the target server {access.address}: {CLEAR_PASSWORD_REFUSED}",
            "Turn on ssl at the server, or let it admit the admin by scram-sha-256 in pg_hba.conf. If you accept that"
            " passwords are sent in clear text, set the server's sslmode to disable.",
        )
    line = _LIBPQ_PREFIX.sub("", _first_line(text)).strip()
    code = f" (SQLSTATE {sqlstate})" if sqlstate else ""
    if (sqlstate or "").startswith(_AUTHENTICATION_CLASS):
        return Failure(
            Reason.SERVER_AUTH_FAILED,
            f"the target server {access.address} refused the role {access.user}: {line}{code}",
        )
    return Failure(Reason.SERVER_UNREACHABLE, f"the target server {access.address} cannot be reached: {line}{code}")


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


@contextmanager
def session(access: Access, dbname: str = MAINTENANCE_DATABASE, connect: Connect = connect) -> Iterator[Connection]:
    """Opens a connection for a block, and translates PostgreSQL's errors into ours."""
    connection = connect(access, dbname)
    failed = True
    try:
        yield connection
        failed = False
    except psycopg.Error as error:
        raise _translate_error(access, error) from error
    finally:
        if isinstance(connect, KeepsConnections):
            connect.release(connection, failed=failed)
        else:
            connection.close()


def execute_together(connection: Connection, statements: Iterable[sql.Composable]) -> None:
    """Executes statements in one transaction and with one round trip; does nothing if there are none.

    PostgreSQL runs the statements of one simple query as one transaction, unless the session is in one already.
    """
    if text := list(statements):
        connection.execute(sql.SQL(";\n").join(text))


def _translate_error(access: Access, error: psycopg.Error) -> PgimportError:
    """Returns an error with the server's message. It is Refused if the server would refuse the same statement again."""
    line = _first_line(error.diag.message_primary or str(error))
    match error:
        case postgres.InsufficientPrivilege():
            return ServerUnavailable(
                Failure(Reason.SERVER_NOT_FIT, f"the admin {access.user} of {access.address} lacks a right: {line}")
            )
        case postgres.ObjectInUse() | postgres.LockNotAvailable():
            return ServerUnavailable(Failure(Reason.TARGET_BUSY, f"an object is in use on {access.address}: {line}"))
        case postgres.DuplicateDatabase() | postgres.DuplicateObject() | postgres.UniqueViolation():
            return Conflict(f"another session created the same object on {access.address}: {line}")
        case postgres.InternalError_() if error.diag.source_function in _CHANGED_BY_ANOTHER:
            return Conflict(f"another session changed the same object on {access.address}: {line}")
        case psycopg.OperationalError() if error.sqlstate is None or error.sqlstate[:2] == "08":
            return _build_unreachable(f"the connection to the target server {access.address} was lost: {line}")
    return _translate_sqlstate(access, error, line)


# Deadlocks and the like: the operator observes again and repeats the action.
_CONFLICT_CLASSES = ("40",)
# Lack of a resource, a shutdown, a cancelled statement, a session that a timeout ended, an internal error: the operator
# tries again later.
_TRANSIENT_CLASSES = ("25P03", "25P04", "53", "57", "XX")
_READ_ONLY, _DISK_FULL = "25006", "53100"


def _translate_sqlstate(access: Access, error: psycopg.Error, line: str) -> PgimportError:
    sqlstate = error.sqlstate or ""
    fields = {"DETAIL": error.diag.message_detail, "HINT": error.diag.message_hint}
    words = "; ".join([line, *(f"{name}: {' '.join(text.split())}" for name, text in fields.items() if text)])
    message = f"the target server {access.address}: {words}" + (f" (SQLSTATE {sqlstate})" if sqlstate else "")
    if sqlstate == _DISK_FULL:
        return ServerUnavailable(Failure(Reason.TARGET_FULL, message))
    if sqlstate == _READ_ONLY:
        return ServerUnavailable(Failure(Reason.SERVER_NOT_FIT, message))
    if sqlstate.startswith(_CONFLICT_CLASSES):
        return Conflict(message)
    if sqlstate.startswith(_TRANSIENT_CLASSES):
        return _build_unreachable(message)
    return Refused(Failure(Reason.SERVER_REFUSED, message))


def _build_unreachable(message: str) -> ServerUnavailable:
    return ServerUnavailable(Failure(Reason.SERVER_UNREACHABLE, message))


def ensure_synchronous_commit(connection: Connection) -> bool:
    """Makes this session's commits wait until they are on disk; returns True if the server's default does not.

    A crash could otherwise lose a change that was reported as done, or rows that were already verified.
    https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT
    """
    changed = connection.execute(
        "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'"
    )
    return changed.fetchone() is not None


def scram_verifier(connection: Connection, user: str, password: str) -> str:
    """Computes the verifier that the server stores, so that the password itself is never sent and never logged."""
    return connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()


@cache
def read_query(name: str) -> bytes:
    """Reads `sql/<name>.sql`."""
    return files("pgimport.server").joinpath("sql", f"{name}.sql").read_bytes()
