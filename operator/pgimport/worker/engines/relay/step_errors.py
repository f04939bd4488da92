"""What ends a step early: errors of either library come in; which end it was, and a `Failure`, go out.

StepFailed    one end of a stream refused or was lost; says whether another try may help
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg
import psycopg

from pgimport.model.errors import PgimportError
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.errors import (
    SNAPSHOT_LOST,
    translate_connect_error,
    translate_source_error,
    translate_target_error,
)

_LOST = ("08", "57P0")  # SQLSTATEs of a connection or a server that went away
_FULL = "53300"
# A value of half a gigabyte has a text of more than one, for which no server has room (MaxAllocSize).
_TOO_LONG = re.compile("invalid memory alloc request size|annot enlarge string buffer")
_NO_SNAPSHOT = ("22023", "42704", "55000")  # of SET TRANSACTION SNAPSHOT


class StepFailed(PgimportError):
    """One end of a stream; the other was let go."""

    def __init__(self, failure: Failure, error: psycopg.Error) -> None:
        super().__init__(failure.message)
        self.failure = failure
        state = error.sqlstate
        self.connection_lost = state is None or state.startswith(_LOST)
        self.too_many_connections = state == _FULL  # no more connections are let in
        self.text_too_long = _TOO_LONG.search(failure.message) is not None  # a row's text


def build_source_failure(error: BaseException, action: str) -> StepFailed:
    told = convert_to_psycopg(error)
    return StepFailed(translate_source_error(told, action), told)


def build_target_failure(error: BaseException, action: str) -> StepFailed:
    told = convert_to_psycopg(error)
    return StepFailed(translate_target_error(told, action), told)


def build_connect_failure(error: BaseException, source: Endpoint) -> StepFailed:
    told = convert_to_psycopg(error)
    return StepFailed(translate_connect_error(told, source.address), told)


def build_snapshot_failure(error: BaseException, action: str) -> StepFailed:
    """The holder's snapshot could not be taken over."""
    told = convert_to_psycopg(error)
    if told.sqlstate not in _NO_SNAPSHOT:
        return StepFailed(translate_source_error(told, action), told)
    return StepFailed(Failure(Reason.SOURCE_UNREACHABLE, SNAPSHOT_LOST), told)


def convert_to_psycopg(error: BaseException) -> psycopg.Error:
    """The one kind that `failures` reads; without a SQLSTATE for a connection that broke."""
    if isinstance(error, psycopg.Error):
        return error
    if isinstance(error, asyncpg.PostgresError):
        try:
            return psycopg.errors.lookup(error.sqlstate)(error.message or str(error))
        except KeyError:
            return psycopg.DatabaseError(str(error))
    return psycopg.OperationalError(str(error) or type(error).__name__)


def check_row_counts(title: str, sent: int, taken: int) -> int:
    """Both ends count for themselves. Raises StepFailed."""
    if sent != taken:
        said = f"the source sent {sent} rows of {title}, and the copy took {taken}"
        raise StepFailed(Failure(Reason.RESTORE_FAILED, said), psycopg.errors.DataException(said))
    return sent


@contextmanager
def converting_errors(failed: Callable[[BaseException, str], StepFailed], action: str) -> Iterator[None]:
    """Errors of psycopg within the block are those of one end."""
    try:
        yield
    except psycopg.Error as error:
        raise failed(error, action) from error
