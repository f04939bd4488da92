"""A builder: builds come in from the board, one after the other; their statements run as the attempt's role.

None of its commits waits for the disk: a database of small tables has thousands. One at its end waits for all. A
server that crashes in between ends this very session, so a builder that has settled has lost nothing.
https://www.postgresql.org/docs/current/wal-async-commit.html
"""

import psycopg
from psycopg import sql

from pgimport.model.reasons import Failure, Reason
from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.relay_plan import plan_work_memory
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, first_line, translate_target_error

_SETTINGS = (
    "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),"
    " pg_catalog.current_setting('synchronous_commit')"
)
# What a commit can wait for: a transaction that writes to the log, and changes nothing.
_MARK = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgimport', 'indexes are made'::text)"
_SHOWN = 200  # characters of a statement in an error


class IndexWorker:
    """One session at the copy; everything but `abort` is for one thread."""

    def __init__(self, shadow: Endpoint, encoding: str, builders: int) -> None:
        """Raises Stopped."""
        try:
            self._session: Connection = connect(shadow)
            self._session.execute(sql.SQL("SET client_encoding = {}").format(sql.Literal(encoding)))
            ((own, buffers, commit),) = self._session.execute(_SETTINGS).fetchall()
            memory = plan_work_memory(own, buffers, builders)
            self._session.execute(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{memory // 1024}kB")))
            self._session.execute("SET synchronous_commit = off")
            self._commit = "local" if commit == "off" else commit
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "an index builder was started")) from error

    def build(self, build: IndexBuild) -> None:
        """Raises Stopped."""
        try:
            self._session.execute(build.statement.encode(self._session.info.encoding, "surrogateescape"))
        except psycopg.Error as error:
            failure = translate_target_error(error, f"{build.title} was made")
            if failure.reason is Reason.RESTORE_FAILED:
                command = " ".join(build.statement.split())[:_SHOWN]
                said = f"{first_line(error)} (SQLSTATE {error.sqlstate})"
                failure = Failure(Reason.RESTORE_FAILED, f"{build.title}: ERROR: {said}; command was: {command}")
            raise ImportStopped(failure) from error

    def flush(self) -> None:
        """All builds so far are on the server's disk. Raises Stopped."""
        try:
            self._session.execute(sql.SQL("SET synchronous_commit = {}").format(sql.Literal(self._commit)))
            self._session.execute(_MARK)
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "its indexes were written to disk")) from error

    def abort(self) -> None:
        """From another thread: the build that runs fails."""
        try:
            self._session.cancel_safe(timeout=5)
        except psycopg.Error:
            return

    def close(self) -> None:
        self._session.close()
