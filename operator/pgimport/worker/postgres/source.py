"""The source: the file with its URL comes in; a checked place to read from goes out, with connections to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from pgimport.model.order import Order
from pgimport.model.project_spec import AllowedSources, SSLMode
from pgimport.model.providers import find_host_hint
from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_addresses import Resolve
from pgimport.model.source_url import (
    URL,
    FileURL,
    PinnedURL,
    SourceURL,
    parse_source,
    parse_upload_url,
    resolve_source,
)
from pgimport.worker.environment import WorkerEnvironment
from pgimport.worker.postgres.endpoints import Connection, Endpoint, build_source_endpoint, connect
from pgimport.worker.postgres.errors import (
    ImportStopped,
    is_connect_timeout,
    translate_connect_error,
    translate_source_error,
)
from pgimport.worker.report.reporter import Reporter

_VERIFYING = (SSLMode.VERIFY_CA, SSLMode.VERIFY_FULL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocation:
    """A dump file at its one checked address, and how to judge where it redirects to."""

    pinned: PinnedURL[FileURL]
    ca: Path | None = None  # of the user; else the system's
    sources: AllowedSources = field(default_factory=AllowedSources)
    resolve: Resolve = field(repr=False)

    @property
    def address(self) -> str:
        """For people: path and query may hold the right to read it."""
        return self.pinned.url.origin

    def follow(self, url: FileURL) -> "FileLocation":
        """The same file elsewhere. Raises Stopped where that may not be reached."""
        return replace(self, pinned=pin(url, self.resolve, self.sources))


def read_source_location(
    environment: WorkerEnvironment, order: Order, resolve: Resolve, reporter: Reporter
) -> Endpoint | FileLocation:
    """The URL's file → where to read from. Raises Stopped for a URL or an address that may not be used."""
    sources = order.sources
    try:
        text = environment.source_url.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ImportStopped(
            Failure(Reason.SOURCE_URL_INVALID, f"the file with the source URL is unreadable: {why}")
        ) from None
    reporter.hide(text.strip())
    url = parse_upload_url(text, order.upload_origin) if order.upload_origin else parse_source(text)
    if isinstance(url, Failure):
        raise ImportStopped(url)
    if isinstance(url, FileURL):
        reporter.hide(url.target if len(url.target) > 1 else None)
        reporter.hide(url.target.partition("?")[2] or None)
        pinned = _find_store(url, resolve) if order.upload_origin else pin(url, resolve, sources)
        return FileLocation(pinned=pinned, ca=environment.ca, sources=sources, resolve=resolve)
    reporter.hide(url.password)
    return _with_ca(build_source_endpoint(pin(url, resolve, sources)), url, environment.ca)


def pin(url: URL, resolve: Resolve, sources: AllowedSources) -> PinnedURL[URL]:
    """Raises Stopped."""
    pinned = resolve_source(url, resolve, sources)
    if isinstance(pinned, Failure):
        raise ImportStopped(pinned)
    return pinned


def _find_store(url: FileURL, resolve: Resolve) -> PinnedURL[FileURL]:
    """The upload store is the platform's, and may have a private address. Raises Stopped."""
    try:
        return PinnedURL(url, resolve(url.host, url.port)[0])
    except (OSError, UnicodeError, IndexError):
        what = f"the upload store's host name {url.host} cannot be resolved"
        raise ImportStopped(Failure(Reason.SOURCE_UNREACHABLE, what)) from None


def _with_ca(endpoint: Endpoint, url: SourceURL, ca: Path | None) -> Endpoint:
    """A CA that would not be looked at gives a false sense of safety: then the import stops."""
    if ca is None:
        return endpoint
    if url.system_roots:
        raise ImportStopped(
            Failure(
                Reason.SOURCE_URL_INVALID,
                "spec.source.caSecretRef gives a CA and the source URL says sslrootcert=system: choose one of them",
            )
        )
    if url.sslmode not in _VERIFYING:
        raise ImportStopped(
            Failure(
                Reason.SOURCE_URL_INVALID,
                f"spec.source.caSecretRef gives a CA, but with sslmode={url.sslmode.value} nothing is checked against"
                " it: write sslmode=verify-full (or verify-ca) into the source URL",
            )
        )
    return replace(endpoint, sslrootcert=str(ca))


def open_source_connection(endpoint: Endpoint, enter: Callable[[Endpoint], Connection] = connect) -> Connection:
    """One connection; a timeout is tried once more, for a source that sleeps. Raises Stopped."""
    try:
        try:
            return enter(endpoint)
        except psycopg.OperationalError as error:
            if not is_connect_timeout(error):
                raise
            return enter(endpoint)
    except psycopg.Error as error:
        raise ImportStopped(_with_hint(translate_connect_error(error, endpoint.address), endpoint.host)) from None


def _with_hint(failure: Failure, host: str) -> Failure:
    """What usually is the matter at this provider, where a host cannot be reached."""
    hint = find_host_hint(host) if failure.reason is Reason.SOURCE_UNREACHABLE else None
    return Failure(failure.reason, f"{failure.message}; {hint}") if hint else failure


@contextmanager
def source_connection(endpoint: Endpoint, action: str) -> Iterator[Connection]:
    """A connection for one piece of work; `doing` names it in an error. Raises Stopped."""
    connection = open_source_connection(endpoint)
    try:
        yield connection
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, action)) from error
    finally:
        connection.close()
