"""Asks the source once more why it refuses a connection.

libpq reports no SQLSTATE for a refused connection, and its text is in the server's language. asyncpg reports the
SQLSTATE.
"""

import asyncio
import ssl
from dataclasses import replace

import asyncpg
import psycopg

from pgimport.model.required_authentication import CLEAR_PASSWORD_REFUSED, has_refused_clear_password
from pgimport.worker.postgres.asyncpg_connect import build_loop_factory, connect_asyncpg
from pgimport.worker.postgres.clear_password_guard import ClearPasswordRefused
from pgimport.worker.postgres.endpoints import Endpoint
from pgimport.worker.postgres.errors import ConnectObservation, ConnectProblem
from pgimport.worker.postgres.server_errors import read_server_error

PROBE_SECONDS = 5
_NOT_ADMITTED = "28000"  # also the SQLSTATE of a rule in pg_hba.conf that admits the user only with TLS


def observe_refusal(error: psycopg.Error, endpoint: Endpoint) -> ConnectObservation:
    """Returns what a second connection attempt, by asyncpg, shows about the error of the first.

    Makes no attempt if the error has a SQLSTATE, was a timeout, or if the URL has no password but the server wants one.
    """
    if error.sqlstate is not None:
        return ConnectObservation(refusal=read_server_error(error))
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return ConnectObservation(problem=ConnectProblem.NO_ANSWER)
    if error.pgconn is not None and error.pgconn.needs_password and endpoint.password is None:
        return ConnectObservation(problem=ConnectProblem.PASSWORD_MISSING)
    if has_refused_clear_password(str(error)):
        return ConnectObservation(problem=ConnectProblem.PASSWORD_IN_CLEAR, text=CLEAR_PASSWORD_REFUSED)
    observation = _try_login(endpoint)
    refusal = observation.refusal
    if refusal is None or refusal.sqlstate != _NOT_ADMITTED or endpoint.sslmode != "disable":
        return observation
    with_tls = _try_login(replace(endpoint, sslmode="require"))
    is_admitted = with_tls.problem is None and (with_tls.refusal is None or with_tls.refusal.sqlstate != _NOT_ADMITTED)
    return ConnectObservation(refusal=refusal, problem=ConnectProblem.TLS_WANTED if is_admitted else None)


def _try_login(endpoint: Endpoint) -> ConnectObservation:
    """Connects and disconnects. Returns an empty observation if the login succeeded."""
    with asyncio.Runner(loop_factory=build_loop_factory(endpoint)) as runner:
        return runner.run(_login(replace(endpoint, connect_timeout=PROBE_SECONDS)))


async def _login(endpoint: Endpoint) -> ConnectObservation:
    try:
        connection = await connect_asyncpg(endpoint)
    except asyncpg.PostgresError as error:
        return ConnectObservation(refusal=read_server_error(error))
    except ClearPasswordRefused as error:
        return ConnectObservation(problem=ConnectProblem.PASSWORD_IN_CLEAR, text=str(error))
    except ssl.SSLError as error:
        return ConnectObservation(problem=ConnectProblem.TLS_FAILED, text=error.reason or str(error))
    except asyncpg.InterfaceError as error:
        return ConnectObservation(problem=ConnectProblem.METHOD_UNKNOWN, text=str(error))
    except OSError as error:
        # asyncpg's own error has no subclass: the server answered that it has no TLS.
        has_no_tls = type(error) is ConnectionError
        return ConnectObservation(problem=ConnectProblem.TLS_MISSING if has_no_tls else ConnectProblem.NO_ANSWER)
    connection.terminate()
    needs_libpq = endpoint.channel_binding == "require"
    return ConnectObservation(problem=ConnectProblem.TLS_FAILED if needs_libpq else None)
