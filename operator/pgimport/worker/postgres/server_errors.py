"""Reads a server's error completely, describes it in one line, and knows what cures its SQLSTATE. Pure.

Accepts errors of psycopg and of asyncpg, which have the same fields under different names.
"""

import re
from dataclasses import dataclass
from typing import Any

from pgimport.model.row_values import ErrorFields, close_mark, mark_values
from pgimport.worker.text import shorten_line

FIELD_LENGTH = 300  # characters of DETAIL, HINT or CONTEXT in a message
CONTEXT_LINES = 2  # innermost levels of a call stack in a message
_PREFIXES = re.compile(r"^(connection (to server .*?failed|failed): )+")
_SEVERITY = re.compile(r"^(error: )?(?:FATAL|ERROR|PANIC): +")
# `PL/pgSQL function app.f(integer) line 3 at RETURN` or `SQL function "f" statement 1`, in any language of the server.
_FUNCTION = re.compile(r'(?P<signature>(?<![\w"])(?:"(?:[^"]|"")++"|\w++)(?:\.(?:"(?:[^"]|"")++"|\w++))?\([^()]*+\))')
_QUOTED_FUNCTION = re.compile(r'["»„«] ?(?P<name>[\w$]+) ?["«»“”]')
_COPY = "COPY "  # how the context of a row begins, in every language
NOT_FOUND = ("42883", "42P01", "42704", "3F000")  # function, table, other object or schema does not exist
_DEFAULT_SEARCH_PATH = "public"

_STANDBY_CONFLICT = (
    "If the source is a standby, set hot_standby_feedback = on or a longer max_standby_streaming_delay there, or import"
    " from the primary."
)
_DAMAGED = "The source's storage is damaged. Restore the source from a backup, or exclude the table with spec.filter."
CONNECT_ADVICE: dict[str, str] = {
    "42501": "At the source, run GRANT CONNECT ON DATABASE … TO the user of the source URL.",
    "55000": (
        "Name the application's database in the source URL. If this is that database, ask its owner to run"
        " ALTER DATABASE … ALLOW_CONNECTIONS true."
    ),
}
SOURCE_ADVICE: dict[str, str] = {
    "26000": "Use the URL of the database server instead of a pooler's.",
    "28000": "Let pg_hba.conf of the source admit this user, database and address, or correct the source URL.",
    "40001": f"Import again. {_STANDBY_CONFLICT}",
    "40P01": "Import again when no migration runs at the source.",
    "42501": (
        "Give the source user the right that the error names (for row-level security, ALTER ROLE … BYPASSRLS), or"
        " exclude the object and what uses it with spec.filter."
    ),
    "53100": "Free space on the source's disk.",
    "53200": (
        "Raise max_locks_per_transaction or the memory of the source server, or import fewer tables with spec.filter."
    ),
    "53300": "Raise max_connections or the user's connection limit at the source, or lower spec.jobs.",
    "53400": "Raise the limit that the error names at the source, for example temp_file_limit.",
    "54000": "Exclude the table with spec.filter, or make the value smaller at the source.",
    "57014": "Import again. Find out who cancels the statements of pgimport at the source, or which timeout ends them.",
    "57P01": "Import again when the source server does not restart.",
    "57P03": "Import again when the source server has started. A standby needs hot_standby = on.",
    "58P01": "Install the missing file at the source, or exclude the object with spec.filter.",
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
TARGET_ADVICE: dict[str, str] = {
    "0A000": "Use a target whose version and build support the feature, or exclude the object with spec.filter.",
    "22021": "Import into a target database with the source's encoding, or correct the value at the source.",
    "22P05": "Import into a target database with the source's encoding, or correct the value at the source.",
    "25006": "The target server only reads: it is a standby. Use the primary as the target server.",
    "53200": "Raise max_locks_per_transaction or the memory of the target server, or lower spec.jobs.",
    "53300": "Raise max_connections of the target server, or lower spec.jobs.",
    "53400": "Raise the limit that the error names at the target server, for example temp_file_limit.",
    "55006": "Import again when no other session uses the object.",
    "57014": "Import again. Find out who cancels the statements of pgimport at the target server.",
    "58P01": "Install the missing file, usually an extension's library, on the target server.",
}


_UNKNOWN_NAME_ADVICE = (
    "A value of this column names a role or an object that the copy lacks. Create a missing role on the target server,"
    " or import a missing object too. With filter.excludeTableData, the table comes without rows."
)
_CHECK_VIOLATION = "23514"  # constraints of tables wait for the rows, so it is a partition's bound or a domain
_UNFIT_ROW_ADVICE = (
    "If the row does not fit its partition, the target sorts or hashes the partition key otherwise than the source."
    " Import into a database with the source's locale, or import a file of pg_dump --load-via-partition-root. If a"
    " domain refuses the value, correct the value at the source."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerError(ErrorFields):
    """The fields of an error message. `sqlstate` is None for an error of the client, such as a lost connection."""

    def describe(self) -> str:
        """Returns one line: message, DETAIL, HINT, CONTEXT and SQLSTATE. Values of rows have marks."""
        marked = mark_values(self)
        fields = {"DETAIL": marked.detail, "HINT": marked.hint, "CONTEXT": _shorten_context(marked.context)}
        parts = [
            marked.message,
            *(f"{name}: {close_mark(shorten_line(text, FIELD_LENGTH))}" for name, text in fields.items() if text),
        ]
        return "; ".join(parts) + (f" (SQLSTATE {self.sqlstate})" if self.sqlstate else "")


def read_server_error(error: BaseException) -> ServerError:
    """Reads the fields of an error of psycopg or asyncpg. Any other exception has only a message."""
    diagnostics: Any = getattr(error, "diag", None)
    if diagnostics is not None and diagnostics.message_primary is not None:
        return ServerError(
            message=first_line(diagnostics.message_primary),
            sqlstate=getattr(error, "sqlstate", None),
            detail=diagnostics.message_detail,
            hint=diagnostics.message_hint,
            context=diagnostics.context,
        )
    return ServerError(
        message=first_line(getattr(error, "message", None) or error),
        sqlstate=getattr(error, "sqlstate", None),
        detail=getattr(error, "detail", None),
        hint=getattr(error, "hint", None),
        context=getattr(error, "context", None),
    )


def describe_message(error: BaseException) -> str:
    """Returns the primary message of a server's error, and its SQLSTATE. Values of rows have marks."""
    fields = read_server_error(error)
    marked = mark_values(ErrorFields(message=fields.message, sqlstate=fields.sqlstate, context=fields.context))
    return marked.message + (f" (SQLSTATE {fields.sqlstate})" if fields.sqlstate else "")


def first_line(error: BaseException | str) -> str:
    """Returns the first line of a message, without libpq's `connection to server … failed:` and `FATAL:` in front."""
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[-1 if "Multiple connection attempts" in text else 0]
    return _SEVERITY.sub("", _PREFIXES.sub("", line)).strip()


def find_source_advice(error: ServerError) -> str:
    """Returns what to do about an error at the source, or nothing if its reason's hint says it."""
    return build_search_path_advice(error) or SOURCE_ADVICE.get(error.sqlstate or "", "")


def find_target_advice(error: ErrorFields) -> str:
    """Returns what to do about an error in the shadow, or nothing if its reason's hint says it."""
    if error.sqlstate == _CHECK_VIOLATION and error.is_of_a_row:
        return _UNFIT_ROW_ADVICE
    if error.sqlstate in NOT_FOUND and (error.context or "").startswith(_COPY):
        return _UNKNOWN_NAME_ADVICE
    return build_search_path_advice(error) or TARGET_ADVICE.get(error.sqlstate or "", "")


def build_search_path_advice(error: ErrorFields) -> str:
    """Returns the statement that cures a function whose body names an object without its schema, else nothing.

    An import has the search_path of the source's database, as far as it is known, and an empty one for indexes.
    """
    if error.sqlstate not in NOT_FOUND or not error.context:
        return ""
    function = _find_function(error.context)
    if function is None:
        return ""
    schema = function.rpartition("(")[0].rpartition(".")[0]
    schemas = ", ".join(dict.fromkeys([*([schema] if schema else []), _DEFAULT_SEARCH_PATH]))
    return (
        "The function's body names an object without its schema, which the import's search_path does not have. At the"
        f" source, run ALTER FUNCTION {function} SET search_path = {schemas}; and add the schema of the object that the"
        " error names."
    )


def _find_function(context: str) -> str | None:
    """Returns the innermost function of a call stack, as `schema.name(types)` where the server says so."""
    for line in context.splitlines():
        if line.startswith(_COPY) or not ("SQL" in line or "PL/" in line):
            continue
        match = _FUNCTION.search(line) if "PL/" in line else None
        if match is not None:
            return match["signature"]
        if match := _QUOTED_FUNCTION.search(line):
            return match["name"]
    return None


def _shorten_context(context: str | None) -> str | None:
    return " / ".join(context.splitlines()[:CONTEXT_LINES]) if context else None
