"""The source: the file with its URL comes in; a checked endpoint and connections whose errors are translated go out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import Resolve, parse_source_url, resolve_source
from pgimport.model.spec import Sources
from pgimport.worker.endpoints import Connection, Endpoint, connect, source_endpoint
from pgimport.worker.failures import (
    Stopped,
    is_connect_timeout,
    translate_connect_error,
    translate_source_error,
)
from pgimport.worker.lines import Reporter


def read_source(path: Path, sources: Sources, resolve: Resolve, reporter: Reporter) -> Endpoint:
    """The URL's file → where to connect to. Raises Stopped for a URL or an address that may not be used."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Stopped(
            Failure(Reason.SOURCE_URL_INVALID, f"the file with the source URL is unreadable: {why}")
        ) from None
    reporter.hide(text.strip())
    url = parse_source_url(text)
    if isinstance(url, Failure):
        raise Stopped(url)
    reporter.hide(url.password)
    pinned = resolve_source(url, resolve, sources)
    if isinstance(pinned, Failure):
        raise Stopped(pinned)
    return source_endpoint(pinned)


def connect_source(endpoint: Endpoint) -> Connection:
    """One connection; a timeout is tried once more, for a source that sleeps. Raises Stopped."""
    try:
        try:
            return connect(endpoint)
        except psycopg.OperationalError as error:
            if not is_connect_timeout(error):
                raise
            return connect(endpoint)
    except psycopg.Error as error:
        raise Stopped(translate_connect_error(error, endpoint.place)) from None


@contextmanager
def at_source(endpoint: Endpoint, doing: str) -> Iterator[Connection]:
    """A connection for one piece of work; `doing` names it in an error. Raises Stopped."""
    connection = connect_source(endpoint)
    try:
        yield connection
    except psycopg.Error as error:
        raise Stopped(translate_source_error(error, doing)) from error
    finally:
        connection.close()
