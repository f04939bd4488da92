"""Checks that a source URL is refused, or that it leads to the checked address only."""

from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from pgimport.model.project_spec import AllowedSources
from pgimport.model.reasons import Failure
from pgimport.model.source_url import FileURL, PinnedURL, SourceURL, parse_source, resolve_source
from pgimport.worker.engines.file.download import _build_context, _PinnedConnection
from pgimport.worker.postgres.endpoints import KEEPALIVES, SEND_TIMEOUT, build_client_environment, build_source_endpoint
from pgimport.worker.postgres.source import FileLocation

_HOME = Path("/run/private/source.pgpass")
CHECKED_ADDRESS = "93.184.216.34"
ALLOWED_KEYWORDS = frozenset(
    {
        "host",
        "hostaddr",
        "port",
        "user",
        "password",
        "dbname",
        "sslmode",
        "application_name",
        "options",
        "channel_binding",
        "sslrootcert",
        "connect_timeout",
        "passfile",
        *KEEPALIVES,
        *SEND_TIMEOUT,
    }
)
_ALLOWED_VARIABLES = frozenset(
    {
        "PATH",
        "HOME",
        "LC_ALL",
        "PGPASSFILE",
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGSSLMODE",
        "PGAPPNAME",
        "PGOPTIONS",
        "PGCHANNELBINDING",
        "PGSSLROOTCERT",
        "PGCONNECT_TIMEOUT",
    }
)


def check_url(text: str) -> bool:
    """Return whether the URL is accepted. Raises AssertionError if an accepted URL could lead to another address."""
    resolved: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        resolved.append((host, port))
        return [CHECKED_ADDRESS]

    url = parse_source(text)
    if isinstance(url, Failure):
        return False
    pinned = resolve_source(url, resolve, AllowedSources())
    assert not isinstance(pinned, Failure)
    assert resolved == [(url.host, url.port)]
    if isinstance(url, SourceURL):
        _check_conninfo(PinnedURL(url, pinned.address))
    else:
        _check_connection(PinnedURL(url, pinned.address), resolve)
    return True


def _check_conninfo(pinned: PinnedURL[SourceURL]) -> None:
    """Check the connection parameters as libpq parses them, and the environment of its client programs."""
    endpoint = build_source_endpoint(pinned)
    keywords = {**endpoint.parameters(), "password": endpoint.password or "", "passfile": "/dev/null"}
    parsed = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(make_conninfo(**keywords).encode())
        if option.val is not None
    }
    assert parsed.keys() <= ALLOWED_KEYWORDS
    assert parsed["hostaddr"] == CHECKED_ADDRESS
    assert parsed["host"] == pinned.url.host
    assert "," not in parsed["host"] + parsed["hostaddr"] + parsed["port"]
    assert not parsed["host"].startswith(("/", "@"))
    assert parsed.get("options", "endpoint=").startswith("endpoint=")
    assert " " not in parsed.get("options", "")
    environment = build_client_environment(endpoint, _HOME, {})
    assert environment.keys() <= _ALLOWED_VARIABLES
    assert environment["PGHOSTADDR"] == CHECKED_ADDRESS
    assert not any("\x00" in value for value in environment.values())
    if endpoint.password and len(endpoint.password) > 8:
        assert endpoint.password not in "".join(environment.values()) or endpoint.password in _join_values(
            endpoint.parameters()
        )


def _join_values(parameters: dict[str, object]) -> str:
    """Join the other parts of the URL: a password may be equal to one of them."""
    return "".join(map(str, parameters.values()))


def _check_connection(pinned: PinnedURL[FileURL], resolve: object) -> None:
    source = FileLocation(pinned=pinned, resolve=resolve)  # type: ignore[arg-type]
    connection = _PinnedConnection(source, _build_context(source))
    assert connection._address == CHECKED_ADDRESS
    assert (connection.host, connection.port) == (pinned.url.host, pinned.url.port)
    assert pinned.url.target.startswith("/")
    assert pinned.url.target.isascii()
    assert not set(pinned.url.target) & set(" \r\n\t\x00\\")
