"""Tells whether a server refuses an object, or cannot execute a statement at the moment. Pure.

A refusal would be the same in the next attempt. The import then skips the object. All other errors end the attempt.
SQLSTATEs: PostgreSQL's documentation, appendix A.
"""

from dataclasses import dataclass, replace

import psycopg

from pgimport.model.row_values import ErrorFields, close_mark, mark_values
from pgimport.worker.postgres.server_errors import ServerError, build_search_path_advice
from pgimport.worker.text import shorten_line

# Classes whose cause is the connection, the session's transaction, concurrency, resources, an operator or the system.
_NO_REFUSAL_CLASSES = ("08", "28", "3D", "40", "53", "57", "58")
_NO_REFUSALS = frozenset({"25006", "25P02", "25P03", "25P04", "55P03"})
# A file that the object needs, such as a library, is not installed.
_UNDEFINED_FILE = "58P01"
INTEGRITY_VIOLATION = "23"  # class of the SQLSTATEs for rows that violate a constraint
FOREIGN_KEY_VIOLATION, UNIQUE_VIOLATION, CHECK_VIOLATION, EXCLUSION_VIOLATION = "23503", "23505", "23514", "23P01"
_MAX_FIELD = 500  # characters of one field of an error


def is_refusal(sqlstate: str | None) -> bool:
    """Returns whether an error with this SQLSTATE would come again. None, a lost connection, is no refusal."""
    if sqlstate is None or sqlstate in _NO_REFUSALS:
        return False
    return sqlstate == _UNDEFINED_FILE or not sqlstate.startswith(_NO_REFUSAL_CLASSES)


def is_violation(sqlstate: str | None) -> bool:
    """Returns whether rows violate a constraint or a unique index."""
    return sqlstate is not None and sqlstate.startswith(INTEGRITY_VIOLATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The fields of a server's error. Texts may have several lines; a missing field is empty."""

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""
    context: str = ""
    found_key: str | None = None  # of a violation whose DETAIL has no key

    def with_key(self, key: str | None) -> "Refusal":
        return replace(self, found_key=key)

    @property
    def reason(self) -> str:
        """The server's words as one line, and what to do if a function depends on search_path.

        Values of rows have marks. DETAIL of a violation is left to `key`.
        """
        of_a_violation = is_violation(self.sqlstate)
        marked = mark_values(
            ErrorFields(
                message=shorten_line(self.message, _MAX_FIELD),
                sqlstate=self.sqlstate,
                detail=None if of_a_violation else shorten_line(self.detail, _MAX_FIELD),
                hint=shorten_line(self.hint, _MAX_FIELD),
                context=None if of_a_violation else self.context,
            )
        )
        parts = [f"{marked.message} (SQLSTATE {self.sqlstate})"]
        if marked.detail:
            parts.append(f"DETAIL: {marked.detail}")
        if marked.hint:
            parts.append(f"HINT: {marked.hint}")
        if marked.context:
            parts.append(f"CONTEXT: {close_mark(shorten_line(marked.context, _MAX_FIELD))}")
        advice = build_search_path_advice(
            ServerError(message=self.message, sqlstate=self.sqlstate, context=self.context)
        )
        return ". ".join(["; ".join(parts), *([advice] if advice else [])])

    @property
    def key(self) -> str | None:
        """The key of the row that violates a constraint, as in `(id)=(7)`, or None. It is production data."""
        if self.found_key or not is_violation(self.sqlstate):
            return self.found_key
        # `Key (id)=(7) is duplicated.`: every language has this form. An exclusion constraint has two keys.
        begin, end = self.detail.find("("), self.detail.rfind(")")
        middle = self.detail.find(")=(", begin + 2, end) if begin >= 0 else -1
        return shorten_line(self.detail[begin : end + 1], _MAX_FIELD) if middle > 0 else None


def build_refusal(error: psycopg.Error) -> Refusal | None:
    """Returns the fields of an error that is a refusal, or None for another error."""
    sqlstate = error.sqlstate
    if sqlstate is None or not is_refusal(sqlstate):
        return None
    fields = error.diag
    return Refusal(
        sqlstate=sqlstate,
        message=fields.message_primary or str(error),
        detail=fields.message_detail or "",
        hint=fields.message_hint or "",
        context=fields.context or "",
    )
