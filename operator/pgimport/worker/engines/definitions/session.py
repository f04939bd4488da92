"""A session in the shadow that creates objects.

It commits asynchronously, because a database of small tables needs thousands of commits. One synchronous commit at the
end makes all of them durable. If the server crashes before that, this session fails, and with it the import.
https://www.postgresql.org/docs/current/wal-async-commit.html
"""

from contextlib import suppress

import psycopg
from psycopg import sql

from pgimport.worker.engines.definitions.statements import ArchiveSettings
from pgimport.worker.memory import MIB
from pgimport.worker.postgres.encodings import find_client_encoding
from pgimport.worker.postgres.endpoints import Connection, Endpoint, connect
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.refusals import Refusal, build_refusal
from pgimport.worker.postgres.server_errors import NOT_FOUND
from pgimport.worker.postgres.shadow_state import DEFAULT_SEARCH_PATH
from pgimport.worker.text import quote_name

_SERVER_SETTINGS = (
    "SELECT pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),"
    " pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),"
    " pg_catalog.current_setting('synchronous_commit')"
)
_SET = "SELECT pg_catalog.set_config(%s, %s, false)"
# Writes a WAL record in a transaction that changes nothing else, so that its commit has something to flush.
_WRITE_WAL_RECORD = "SELECT pg_catalog.pg_logical_emit_message(true, 'pgimport', 'indexes are built'::text)"
_CANCEL_SECONDS = 5
MIN_WORK_MEMORY, MAX_WORK_MEMORY = 64 * MIB, 1024 * MIB  # of one index build
UNDEFINED_FUNCTION = "42883"  # also of an operator


class DefinitionSession:
    """Executes the statements of an archive. Only `abort` may be called from another thread."""

    def __init__(
        self, shadow: Endpoint, settings: ArchiveSettings, sessions: int, search_path: str = DEFAULT_SEARCH_PATH
    ) -> None:
        """Connects, and sets maintenance_work_mem for `sessions` parallel sessions. Raises ImportStopped.

        `search_path`: that of the source's sessions.
        """
        self._codec = settings.codec
        self._search_path = search_path
        self._operator_schemas: str | None = None  # quoted and separated by commas; None: not read yet
        try:
            self.connection: Connection = connect(shadow)
            ((work_memory, shared_buffers, commit_mode),) = self.connection.execute(_SERVER_SETTINGS).fetchall()
            memory = plan_work_memory(work_memory, shared_buffers, sessions)
            parameters = {
                **settings.session_settings,
                "maintenance_work_mem": f"{memory // 1024}kB",
                "synchronous_commit": "off",
            }
            set_all = ", ".join(["pg_catalog.set_config(%s, %s, false)"] * len(parameters))
            values = [text for parameter in parameters.items() for text in parameter]
            self.connection.execute(f"SELECT {set_all}".encode(), values)  # one round trip
            encoding = sql.Literal(find_client_encoding(settings.client_encoding))
            self.connection.execute(sql.SQL("SET client_encoding = {}").format(encoding))
            self._final_commit_mode = "local" if commit_mode == "off" else commit_mode
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "a session for definitions connected")) from error

    def __enter__(self) -> "DefinitionSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, statements: str, title: str) -> Refusal | None:
        """Executes statements in one transaction. Returns the target's refusal, if any.

        Raises ImportStopped for an error that another attempt may not meet.
        """
        refusal = self._try(statements, title)
        if refusal is None or refusal.sqlstate not in NOT_FOUND:
            return refusal
        if not refusal.context:
            is_operator = refusal.sqlstate == UNDEFINED_FUNCTION
            return self._try_with_operators(statements, title, refusal) if is_operator else refusal
        return self._try_with_path(self._search_path, statements, title, refusal)

    def _try(self, statements: str, title: str) -> Refusal | None:
        try:
            self.connection.execute(statements.encode(self._codec, "surrogateescape"))
        except psycopg.Error as error:
            refusal = None if self.connection.closed else build_refusal(error)
            if refusal is None:
                raise ImportStopped(translate_target_error(error, f"{title} was created")) from error
            return refusal
        return None

    def _try_with_operators(self, statements: str, title: str, refusal: Refusal) -> Refusal | None:
        """Tries again with the schemas of operators in the search_path. Returns the first refusal if that fails too.

        pg_dump writes no operator for NULLIF, IS DISTINCT FROM and the like. With an empty search_path, the server then
        does not find the operator of an extension's type such as hstore. All other names are qualified.
        """
        if self._operator_schemas is None:
            self._operator_schemas = read_operator_path(self.connection)
        if not self._operator_schemas:
            return refusal
        return self._try_with_path(self._operator_schemas, statements, title, refusal)

    def _try_with_path(self, search_path: str, statements: str, title: str, refusal: Refusal) -> Refusal | None:
        """Tries again with a search_path: a function's body may need the one that the source's sessions have."""
        set_path = sql.SQL("SELECT pg_catalog.set_config('search_path', {}, true)").format(sql.Literal(search_path))
        return None if self._try(f"{set_path.as_string()}; {statements}", title) is None else refusal

    def execute_batch(self, statements: str) -> bool:
        """Executes statements in one transaction. Returns False if one of them failed, which rolls back all.

        Raises ImportStopped if the connection is lost.
        """
        try:
            self.connection.execute(statements.encode(self._codec, "surrogateescape"))
        except psycopg.Error as error:
            if self.connection.closed:
                raise ImportStopped(translate_target_error(error, "definitions were created")) from error
            return False
        return True

    def flush(self) -> None:
        """Waits until the WAL of all statements of this session is on the server's disk. Raises ImportStopped."""
        try:
            self.connection.execute(_SET, ["synchronous_commit", self._final_commit_mode])
            self.connection.execute(_WRITE_WAL_RECORD)
        except psycopg.Error as error:
            raise ImportStopped(translate_target_error(error, "definitions were written to disk")) from error

    def abort(self) -> None:
        """Cancels the statement that runs. May be called from another thread."""
        with suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self) -> None:
        self.connection.close()


def read_operator_path(connection: Connection) -> str:
    """Returns the schemas of operators as a search_path; empty if there are none. Raises psycopg.Error."""
    return ", ".join(quote_name(name) for (name,) in connection.execute(read_query("verify/operator_schemas")))


def plan_work_memory(current: int, shared_buffers: int, sessions: int) -> int:
    """Returns maintenance_work_mem of one session, in bytes.

    All sessions together get half of the server's shared buffers. A session never gets less than the server's own
    setting `current`.
    """
    share = min(max(shared_buffers // (2 * sessions), MIN_WORK_MEMORY), MAX_WORK_MEMORY)
    return max(current, share)
