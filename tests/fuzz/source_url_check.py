"""Any text in; nothing out but a failed assertion: what is accepted as a source leads to the judged address alone."""

from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from pgimport.model.reasons import Failure
from pgimport.model.source_url import FileURL, PinnedURL, SourceURL, parse_source, resolve_source
from pgimport.model.spec import AllowedSources
from pgimport.worker.engines.file.download import _build_context, _PinnedConnection
from pgimport.worker.postgres.endpoints import KEEPALIVES, build_client_environment, build_source_endpoint
from pgimport.worker.postgres.source import FileLocation

_HOME = Path("/run/private/source.pgpass")
JUDGED = "93.184.216.34"
ALLOWED = frozenset(
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
    }
)
_VARIABLES = frozenset(
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
    """Whether it was accepted. Raises AssertionError where what was accepted could lead elsewhere."""
    asked: list[tuple[str, int]] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return [JUDGED]

    url = parse_source(text)
    if isinstance(url, Failure):
        return False
    pinned = resolve_source(url, resolve, AllowedSources())
    assert not isinstance(pinned, Failure)
    assert asked == [(url.host, url.port)]
    if isinstance(url, SourceURL):
        _check_live(PinnedURL(url, pinned.address))
    else:
        _check_file(PinnedURL(url, pinned.address), resolve)
    return True


def _check_live(pinned: PinnedURL[SourceURL]) -> None:
    """As libpq itself reads what we would give it, and what its clients would find in their environment."""
    endpoint = build_source_endpoint(pinned)
    keywords = {**endpoint.parameters(), "password": endpoint.password or "", "passfile": "/dev/null"}
    read = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(make_conninfo(**keywords).encode())
        if option.val is not None
    }
    assert read.keys() <= ALLOWED
    assert read["hostaddr"] == JUDGED
    assert read["host"] == pinned.url.host
    assert "," not in read["host"] + read["hostaddr"] + read["port"]
    assert not read["host"].startswith(("/", "@"))
    assert read.get("options", "endpoint=").startswith("endpoint=")
    assert " " not in read.get("options", "")
    environment = build_client_environment(endpoint, _HOME, {})
    assert environment.keys() <= _VARIABLES
    assert environment["PGHOSTADDR"] == JUDGED
    assert not any("\x00" in value for value in environment.values())
    if endpoint.password and len(endpoint.password) > 8:
        assert endpoint.password not in "".join(environment.values()) or endpoint.password in _own(
            endpoint.parameters()
        )


def _own(parameters: dict[str, object]) -> str:
    """A password may be equal to a part of the rest of the URL."""
    return "".join(map(str, parameters.values()))


def _check_file(pinned: PinnedURL[FileURL], resolve: object) -> None:
    source = FileLocation(pinned=pinned, resolve=resolve)  # type: ignore[arg-type]
    connection = _PinnedConnection(source, _build_context(source))
    assert connection._address == JUDGED
    assert (connection.host, connection.port) == (pinned.url.host, pinned.url.port)
    assert pinned.url.target.startswith("/")
    assert pinned.url.target.isascii()
    assert not set(pinned.url.target) & set(" \r\n\t\x00\\")
