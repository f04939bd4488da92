"""The two ends of a copy: where each is and how to log in; connections for ourselves, environments for the clients."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from pgimport.model.names import attempt_names, attempt_password
from pgimport.model.order import OrderTarget
from pgimport.model.source_url import DEFAULT_APPLICATION_NAME, PinnedURL, SourceURL
from pgimport.worker.postgres.queries import read_query

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT = 10  # seconds
# A dead peer is noticed after about a minute; firewalls that forget idle connections are kept awake.
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One database and the role that enters it."""

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

    @property
    def address(self) -> str:
        """For people: host, port and database."""
        return f"{self.host}:{self.port}/{self.dbname}"

    def parameters(self) -> dict[str, Any]:
        """libpq's keywords, but for the password."""
        given = {
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
            "connect_timeout": self.connect_timeout,
        }
        return {name: value for name, value in given.items() if value is not None}


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
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def build_source_endpoint(pinned: PinnedURL[SourceURL]) -> Endpoint:
    """The source at its one checked address."""
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
    )


def build_shadow_endpoint(target: OrderTarget, pod_uid: str, seed: bytes) -> Endpoint:
    """The database that the operator makes for this attempt, as the role that it makes for it."""
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
    """Every address of a name, in the order the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for _, _, _, _, address in found))


def connect(endpoint: Endpoint) -> Connection:
    """A connection in autocommit whose session means the same at every server. Raises psycopg.Error."""
    connection = open_connection(endpoint)
    try:
        connection.execute(read_query("postgres/session"))
    except BaseException:
        connection.close()
        raise
    return connection


def open_connection(endpoint: Endpoint) -> Connection:
    """A connection in autocommit whose session is as the server made it. Raises psycopg.Error."""
    keywords: dict[str, Any] = {**endpoint.parameters(), **KEEPALIVES, "passfile": os.devnull}
    if endpoint.password is not None:
        keywords["password"] = endpoint.password
    return psycopg.connect(**keywords, autocommit=True, prepare_threshold=None)


def write_passfile(endpoint: Endpoint, folder: Path, name: str) -> Path:
    """libpq's password file for the clients, readable by us alone."""
    path = folder / name
    path.unlink(missing_ok=True)
    secret = (endpoint.password or "").replace("\\", "\\\\").replace(":", "\\:")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"*:*:*:*:{secret}\n")
    return path


def build_client_environment(endpoint: Endpoint, passfile: Path, base: Mapping[str, str]) -> dict[str, str]:
    """All that a client learns: nothing of our own environment but PATH, and no password."""
    return {
        "PATH": base.get("PATH", "/usr/bin:/bin"),
        "HOME": str(passfile.parent),
        "LC_ALL": "C",
        "PGPASSFILE": str(passfile),
        **{_ENVIRONMENT[name]: str(value) for name, value in endpoint.parameters().items()},
    }


# A client gets keepalives only this way: libpq reads none from the environment. Everything else it takes from there.
CLIENT_DBNAME = " ".join(f"{name}={value}" for name, value in KEEPALIVES.items())
