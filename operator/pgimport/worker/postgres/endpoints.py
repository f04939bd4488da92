"""Endpoints of a copy, source and shadow: connections for the worker, environment variables for the client programs."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import _encodings  # has no public way to add a codec

from pgimport.model.names import attempt_names, attempt_password
from pgimport.model.order import OrderTarget
from pgimport.model.project_spec import SSLMode
from pgimport.model.required_authentication import (
    NO_CLEAR_PASSWORD,
    has_refused_clear_password,
    required_authentication,
)
from pgimport.model.source_url import DEFAULT_APPLICATION_NAME, PinnedURL, SourceURL
from pgimport.worker.postgres.encodings import BYTES_CODEC, UNKNOWN_TO_PYTHON, find_client_encoding
from pgimport.worker.postgres.session_settings import SOURCE_LOCK_SECONDS, build_session_statement, format_options

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT = 10  # seconds
# Notices a dead peer after about a minute, and keeps firewalls from forgetting idle connections.
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# Notices a dead peer while data is sent to it. Longer than an outage of a network that a session survives.
SEND_TIMEOUT = {"tcp_user_timeout": 40_000}  # milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One database and the role that logs in to it, in libpq's terms."""

    host: str
    hostaddr: str | None = None
    port: int
    user: str
    password: str | None = field(repr=False)
    dbname: str
    sslmode: str
    application_name: str = DEFAULT_APPLICATION_NAME
    channel_binding: str | None = None
    options: str | None = None
    sslrootcert: str | None = None
    connect_timeout: int = CONNECT_TIMEOUT
    without_clear_password: bool = False  # of a connection without TLS that nobody has asked for
    sends_rows: bool = False  # such sessions have no SEND_TIMEOUT: see target_watch.py
    lock_seconds: int = 0  # how long a session of the worker waits for a lock; 0: without limit
    search_path: str = ""  # of the worker's sessions

    @property
    def require_auth(self) -> str | None:
        """libpq's parameter: the authentication that the server may ask for, or None for every one."""
        return NO_CLEAR_PASSWORD if self.without_clear_password else required_authentication(self.sslmode)

    @property
    def address(self) -> str:
        """Host, port and database for messages."""
        return f"{self.host}:{self.port}/{self.dbname}"

    def with_settings(self, settings: Mapping[str, str]) -> "Endpoint":
        """Returns the endpoint with options that set these parameters when a client program connects."""
        options = [self.options] if self.options else []
        return replace(self, options=" ".join([*options, format_options(settings)]))

    def parameters(self) -> dict[str, Any]:
        """Returns libpq's connection parameters without the password."""
        parameters = {
            "host": self.host,
            "hostaddr": self.hostaddr,
            "port": self.port,
            "user": self.user,
            "dbname": self.dbname,
            "sslmode": self.sslmode,
            "application_name": self.application_name,
            "options": self.options,
            "channel_binding": self.channel_binding,
            "sslrootcert": self.sslrootcert,
            "require_auth": self.require_auth,
            "connect_timeout": self.connect_timeout,
        }
        return {name: value for name, value in parameters.items() if value is not None}


_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "application_name": "PGAPPNAME",
    "options": "PGOPTIONS",
    "channel_binding": "PGCHANNELBINDING",
    "sslrootcert": "PGSSLROOTCERT",
    "require_auth": "PGREQUIREAUTH",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def build_source_endpoint(pinned: PinnedURL[SourceURL]) -> Endpoint:
    """Builds the endpoint of the source. `hostaddr` is the one address that was checked."""
    url = pinned.url
    return Endpoint(
        host=url.host,
        hostaddr=pinned.address,
        port=url.port,
        user=url.user,
        password=url.password,
        dbname=url.dbname,
        sslmode=url.sslmode.value,
        application_name=url.application_name,
        channel_binding=url.channel_binding,
        options=f"endpoint={url.endpoint}" if url.endpoint else None,
        sslrootcert="system" if url.system_roots else None,
        connect_timeout=url.connect_timeout or CONNECT_TIMEOUT,
        lock_seconds=SOURCE_LOCK_SECONDS,
    )


def build_shadow_endpoint(target: OrderTarget, pod_uid: str, seed: bytes) -> Endpoint:
    """Builds the endpoint of the shadow and the role that the operator creates for this attempt."""
    names = attempt_names(pod_uid)
    return Endpoint(
        host=target.host,
        port=target.port,
        user=names.role,
        password=attempt_password(seed, pod_uid),
        dbname=names.database,
        sslmode=target.sslmode.value,
    )


def resolve_host(host: str, port: int) -> list[str]:
    """Returns every address of a name, in the order that the system prefers. Raises OSError."""
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in addresses))


def connect(endpoint: Endpoint) -> Connection:
    """Opens a connection in autocommit with the settings of session_settings.py. Raises psycopg.Error."""
    connection = open_connection(endpoint)
    try:
        statement = build_session_statement(endpoint.lock_seconds, endpoint.search_path)
        connection.execute(statement.encode(connection.info.encoding, "replace"))
    except BaseException:
        connection.close()
        raise
    return connection


def open_connection(endpoint: Endpoint) -> Connection:
    """Opens a connection in autocommit with the server's own settings. Raises psycopg.Error."""
    _register_encodings()
    connection = _log_in(endpoint)
    encoding = (connection.pgconn.parameter_status(b"server_encoding") or b"").decode()
    if find_client_encoding(encoding) != encoding:
        connection.execute(f"SET client_encoding = '{find_client_encoding(encoding)}'")
    return connection


def _log_in(endpoint: Endpoint) -> Connection:
    """With sslmode `prefer`, sends the password in clear text only over TLS."""
    keywords: dict[str, Any] = {**endpoint.parameters(), **KEEPALIVES, "passfile": os.devnull}
    if endpoint.password is not None:
        keywords["password"] = endpoint.password
    if not endpoint.sends_rows:
        keywords.update(SEND_TIMEOUT)
    try:
        return psycopg.connect(**keywords, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        if endpoint.sslmode != SSLMode.PREFER or not has_refused_clear_password(str(error)):
            raise
        refusal = error
    keywords.update(sslmode=SSLMode.REQUIRE.value, require_auth=None)
    try:
        return psycopg.connect(**keywords, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        has_tls = error.pgconn is not None and error.pgconn.ssl_in_use
        raise error if has_tls else refusal from None


def settle_tls(endpoint: Endpoint, connection: Connection) -> Endpoint:
    """Returns the endpoint with the TLS that a first connection got, for clients that cannot try both ways."""
    if endpoint.sslmode != SSLMode.PREFER:
        return endpoint
    if connection.pgconn.ssl_in_use:
        return replace(endpoint, sslmode=SSLMode.REQUIRE.value)
    return replace(endpoint, sslmode=SSLMode.DISABLE.value, without_clear_password=True)


@cache
def _register_encodings() -> None:
    """Gives psycopg a codec for the encodings that Python lacks. Otherwise, it refuses every query."""
    for name in UNKNOWN_TO_PYTHON:
        for spelling in (name, name.replace("_", "")):
            _encodings.py_codecs[spelling.encode()] = BYTES_CODEC
    _encodings.pg2pyenc.cache_clear()


def write_passfile(endpoint: Endpoint, folder: Path, name: str) -> Path:
    """Writes libpq's password file for a client program, with mode 0600, and returns its path."""
    path = folder / name
    path.unlink(missing_ok=True)
    secret = (endpoint.password or "").replace("\\", "\\\\").replace(":", "\\:")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"*:*:*:*:{secret}\n")
    return path


def build_client_environment(endpoint: Endpoint, passfile: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Returns the whole environment of a client program. Takes only PATH from the worker; contains no password."""
    return {
        "PATH": base.get("PATH", "/usr/bin:/bin"),
        "HOME": str(passfile.parent),
        "LC_ALL": "C",
        "PGPASSFILE": str(passfile),
        **{_ENVIRONMENT[name]: str(value) for name, value in endpoint.parameters().items()},
    }


# Clients get keepalives by --dbname, because libpq reads no environment variables for them.
CLIENT_DBNAME = " ".join(f"{name}={value}" for name, value in KEEPALIVES.items())
# Of pg_dump, which sends no rows. pg_restore and psql do, and the target's watch ends them.
DUMP_DBNAME = " ".join(f"{name}={value}" for name, value in {**KEEPALIVES, **SEND_TIMEOUT}.items())
