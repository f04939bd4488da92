"""Runs index builds in a session of the attempt's role.

The builds commit asynchronously, because a database of small tables needs thousands of commits. One synchronous commit
at the end makes all of them durable. If the server crashes before that, this session fails, and with it the import.
https://www.postgresql.org/docs/current/wal-async-commit.html
"""

from dataclasses import replace

import psycopg
from psycopg import sql

from pgimport.model.reasons import Reason
from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.relay_plan import plan_work_memory
from pgimport.worker.postgres.encodings import find_client_encoding
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.server_errors import read_server_error

_SETTINGS = (
    "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),"
    " pg_catalog.current_setting('synchronous_commit')"
)
# Writes a WAL record in a transaction that changes nothing else, so that its commit has something to flush.
_WRITE_WAL_RECORD = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgimport', 'indexes are built'::text)"
_STATEMENT_LENGTH = 200  # characters of a statement in an error message


class IndexWorker:
    """Runs builds in one session of the shadow. Only `abort` may be called from another thread."""

    def __init__(self, shadow: Endpoint, encoding: str, index_workers: int) -> None:
        """Connects, and sets maintenance_work_mem for `index_workers` parallel sessions. Raises ImportStopped."""
        try:
            self._session: Connection = connect(shadow)
            client_encoding = sql.Literal(find_client_encoding(encoding))
            self._session.execute(sql.SQL("SET client_encoding = {}").format(client_encoding))
            ((work_memory, shared_buffers, commit_mode),) = self._session.execute(_SETTINGS).fetchall()
            memory = plan_work_memory(work_memory, shared_buffers, index_workers)
            self._session.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{memory // 1024}kB")))
            self._session.execute("SET synchronous_commit = off")
            self._final_commit_mode = "local" if commit_mode == "off" else commit_mode
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "an index worker connected")) from error

    def build(self, build: IndexBuild) -> None:
        """Runs the statement of one build. Raises ImportStopped."""
        try:
            self._session.execute(build.statement.encode(self._session.info.encoding, "surrogateescape"))
        except psycopg.Error as error:
            failure = translate_target_error(error, f"the statement of {build.title} was executed")
            if failure.reason is Reason.RESTORE_FAILED:
                command = " ".join(build.statement.split())[:_STATEMENT_LENGTH]
                message = f"{build.title}: ERROR: {read_server_error(error).describe()}; command was: {command}"
                failure = replace(failure, message=message)
            raise ImportStopped(failure) from error

    def flush(self) -> None:
        """Waits until the WAL of all builds of this session is on the server's disk. Raises ImportStopped."""
        try:
            self._session.execute(sql.SQL("SET synchronous_commit = {}").format(sql.Literal(self._final_commit_mode)))
            self._session.execute(_WRITE_WAL_RECORD)
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "its indexes were written to disk")) from error

    def abort(self) -> None:
        """Cancels the statement that runs. May be called from another thread."""
        try:
            self._session.cancel_safe(timeout=5)
        except psycopg.Error:
            return

    def close(self) -> None:
        self._session.close()
