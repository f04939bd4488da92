"""Translates errors of psycopg and asyncpg at either end into `StepFailed`, which tells whether to repeat the step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import asyncpg
import psycopg

from pgimport.model.errors import PgimportError
from pgimport.model.reasons import Failure, Reason
from pgimport.worker.postgres.domain_violations import DomainViolation, find_domain_violation
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.errors import (
    ConnectObservation,
    translate_connect_error,
    translate_snapshot_error,
    translate_source_error,
    translate_target_error,
)
from pgimport.worker.postgres.login_probe import observe_refusal
from pgimport.worker.postgres.server_errors import read_server_error

_CONNECTION_LOST = ("08", "57P0")  # first characters of the SQLSTATEs of a lost connection or a stopped server
_TOO_MANY_CONNECTIONS = "53300"
# As text, a `bytea` value of 512 MiB needs more than 1 GiB, which the server cannot allocate (MaxAllocSize). The server
# reports it as an internal error or as an exceeded limit.
_TEXT_TOO_LONG = ("XX000", "54000")


class StepFailed(PgimportError):
    """A step failed at one end of a stream. The session at the other end is closed too."""

    def __init__(
        self,
        failure: Failure,
        error: psycopg.Error,
        sqlstate: str | None = None,
        violation: DomainViolation | None = None,
    ) -> None:
        """`sqlstate`: the server's, if `error` has none. `violation`: if a row violates the CHECK of a domain."""
        super().__init__(failure.message)
        self.failure, self.violation = failure, violation
        sqlstate = error.sqlstate or sqlstate
        self.connection_lost = sqlstate is None or sqlstate.startswith(_CONNECTION_LOST)
        self.too_many_connections = sqlstate == _TOO_MANY_CONNECTIONS
        self.text_too_long = sqlstate in _TEXT_TOO_LONG  # or another internal error: then binary format fails too


def build_source_failure(error: BaseException, action: str) -> StepFailed:
    """Translates an error of a statement at the source."""
    return StepFailed(translate_source_error(read_server_error(error), action), convert_to_psycopg(error))


def build_target_failure(error: BaseException, action: str) -> StepFailed:
    """Translates an error of a statement in the shadow."""
    failure = translate_target_error(read_server_error(error), action)
    return StepFailed(failure, convert_to_psycopg(error), violation=find_domain_violation(error))


def build_connect_failure(error: BaseException, source: Endpoint) -> StepFailed:
    """Translates an error of a connection attempt to the source."""
    psycopg_error = convert_to_psycopg(error)
    if isinstance(error, psycopg.Error):
        observation = observe_refusal(error, source)
    else:
        refusal = read_server_error(error)
        observation = ConnectObservation(refusal=refusal if refusal.sqlstate else None)
    failure = translate_connect_error(psycopg_error, source.address, observation)
    refused = observation.refusal
    return StepFailed(failure, psycopg_error, refused.sqlstate if refused else None)


def build_snapshot_failure(error: BaseException, action: str) -> StepFailed:
    """Translates an error of importing the snapshot into a stream's transaction."""
    return StepFailed(translate_snapshot_error(read_server_error(error), action), convert_to_psycopg(error))


def convert_to_psycopg(error: BaseException) -> psycopg.Error:
    """Converts an error of asyncpg or of the operating system into psycopg's class of the same SQLSTATE.

    An error without SQLSTATE becomes an OperationalError: the connection was lost.
    """
    if isinstance(error, psycopg.Error):
        return error
    if isinstance(error, asyncpg.PostgresError):
        try:
            return psycopg.errors.lookup(error.sqlstate)(error.message or str(error))
        except KeyError:
            return psycopg.DatabaseError(str(error))
    return psycopg.OperationalError(str(error) or type(error).__name__)


def check_row_counts(title: str, sent: int, received: int) -> int:
    """Returns the number of rows of a table if both ends counted the same. Raises StepFailed."""
    if sent != received:
        message = f"the source sent {sent} rows of {title}, and the target received {received}"
        raise StepFailed(Failure(Reason.RESTORE_FAILED, message), psycopg.errors.DataException(message))
    return sent


@contextmanager
def converting_errors(build_failure: Callable[[BaseException, str], StepFailed], action: str) -> Iterator[None]:
    """Turns psycopg's errors within the block into the StepFailed that `build_failure` returns."""
    try:
        yield
    except psycopg.Error as error:
        raise build_failure(error, action) from error
