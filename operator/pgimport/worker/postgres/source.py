"""Reads the source's URL, checks its address and opens connections to it."""

import ssl
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
    translate_connect_error,
    translate_source_error,
)
from pgimport.worker.report.reporter import Reporter

_VERIFYING = (SSLMode.VERIFY_CA, SSLMode.VERIFY_FULL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLocation:
    """A dump file at its checked address, with the rules for addresses that it may redirect to."""

    pinned: PinnedURL[FileURL]
    ca: Path | None = None  # the user's CA; None: the system's
    sources: AllowedSources = field(default_factory=AllowedSources)
    resolve: Resolve = field(repr=False)

    @property
    def address(self) -> str:
        """Scheme and host for messages: path and query may be secret."""
        return self.pinned.url.origin

    def follow(self, url: FileURL) -> "FileLocation":
        """Returns the location after a redirect. Raises ImportStopped for an address that is not allowed."""
        return replace(self, pinned=pin(url, self.resolve, self.sources))


@dataclass(frozen=True, slots=True)
class LocalDump:
    """A dump on the machine that runs the worker: a file, a folder of pg_dump, or a pipe of the command line."""

    path: Path

    @property
    def is_pipe(self) -> bool:
        """True for standard input and the like, which can be read only once."""
        return self.path.parent == Path("/dev/fd")

    @property
    def address(self) -> str:
        """The path for messages."""
        return "standard input" if self.is_pipe else str(self.path)


DumpLocation = FileLocation | LocalDump


def read_source_location(
    environment: WorkerEnvironment, order: Order, resolve: Resolve, reporter: Reporter
) -> Endpoint | DumpLocation:
    """Reads the URL from its file and checks its address. Raises ImportStopped for one that is not allowed."""
    sources = order.sources
    if environment.source_path is not None:
        return LocalDump(environment.source_path)
    try:
        text = environment.source_url.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ImportStopped(
            Failure(Reason.SOURCE_URL_INVALID, f"the file with the source URL is unreadable: {cause}")
        ) from None
    reporter.hide(text.strip())
    url = parse_upload_url(text, order.upload_origin) if order.upload_origin else parse_source(text)
    if isinstance(url, Failure):
        raise ImportStopped(url)
    if isinstance(url, FileURL):
        reporter.hide(url.target if len(url.target) > 1 else None)
        reporter.hide(url.target.partition("?")[2] or None)
        pinned = _resolve_store(url, resolve) if order.upload_origin else pin(url, resolve, sources)
        return FileLocation(pinned=pinned, ca=environment.ca, sources=sources, resolve=resolve)
    reporter.hide(url.password)
    return _add_ca(build_source_endpoint(pin(url, resolve, sources)), url, environment.ca)


def pin(url: URL, resolve: Resolve, sources: AllowedSources) -> PinnedURL[URL]:
    """Resolves the URL's host and returns it with one checked address. Raises ImportStopped."""
    pinned = resolve_source(url, resolve, sources)
    if isinstance(pinned, Failure):
        raise ImportStopped(pinned)
    return pinned


def _resolve_store(url: FileURL, resolve: Resolve) -> PinnedURL[FileURL]:
    """Resolves the platform's store of uploaded dumps, which may have a private address. Raises ImportStopped."""
    try:
        return PinnedURL(url, resolve(url.host, url.port)[0])
    except (OSError, UnicodeError, IndexError):
        message = f"the upload store's host name {url.host} cannot be resolved"
        raise ImportStopped(Failure(Reason.SOURCE_UNREACHABLE, message)) from None


def _add_ca(endpoint: Endpoint, url: SourceURL, ca: Path | None) -> Endpoint:
    """Adds the user's CA. Raises ImportStopped if libpq would not verify the server's certificate with it."""
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
    check_ca(ca)
    return replace(endpoint, sslrootcert=str(ca))


def check_ca(ca: Path) -> None:
    """Raises ImportStopped if the file of the user's CA has no certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError:  # an SSLError, too
        message = "the secret of spec.source.caSecretRef does not hold a PEM certificate"
        advice = "Write the CA's certificate into it, as text between BEGIN CERTIFICATE and END CERTIFICATE."
        raise ImportStopped(Failure(Reason.SOURCE_TLS_FAILED, message, advice)) from None


def open_source_connection(endpoint: Endpoint, enter: Callable[[Endpoint], Connection] = connect) -> Connection:
    """Opens a connection. Raises ImportStopped.

    Tries once more after a timeout, because a suspended source may be starting, and if the second login of
    `login_probe` succeeded.
    """
    try:
        return enter(endpoint)
    except psycopg.Error as error:
        failure, may_pass = _explain_refusal(error, endpoint)
    if may_pass:
        try:
            return enter(endpoint)
        except psycopg.Error as error:
            failure, _ = _explain_refusal(error, endpoint)
    raise ImportStopped(_add_provider_hint(failure, endpoint.host))


def _explain_refusal(error: psycopg.Error, endpoint: Endpoint) -> tuple[Failure, bool]:
    """Returns the failure, and whether another attempt may succeed at once."""
    from pgimport.worker.postgres.login_probe import observe_refusal  # imports asyncpg, which takes 0.05 s

    observation = observe_refusal(error, endpoint)
    may_pass = isinstance(error, psycopg.errors.ConnectionTimeout) or observation.is_admitted
    return translate_connect_error(error, endpoint.address, observation), may_pass


def _add_provider_hint(failure: Failure, host: str) -> Failure:
    """If a host cannot be reached, adds to the failure what usually helps at its provider."""
    hint = find_host_hint(host) if failure.reason is Reason.SOURCE_UNREACHABLE else None
    return replace(failure, message=f"{failure.message}; {hint}") if hint else failure


@contextmanager
def source_connection(endpoint: Endpoint, action: str) -> Iterator[Connection]:
    """Yields a connection for one step, which `action` names in an error. Raises ImportStopped."""
    connection = open_source_connection(endpoint)
    try:
        yield connection
    except psycopg.Error as error:
        raise ImportStopped(translate_source_error(error, action)) from error
    finally:
        connection.close()
