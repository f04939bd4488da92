"""Marks the values of rows in what pg_dump and pg_restore write to stderr. Pure.

They print no SQLSTATE. They run with LC_ALL=C, so their labels are English. Other words are in the server's language.
"""

import re
from dataclasses import replace

from pgimport.model.row_values import HIDDEN_VALUE, ErrorFields, close_mark, hide_values, mark_values

MAX_LINE = 200  # characters of a line in a message
_SERVER_MESSAGE = re.compile(r"^(.*?\b[^:\s]{1,40}:  )(.*)$")
_OF_A_ROW = re.compile(r"^(?:pg_restore: error: )?(?:COPY failed for table|error returned by PQputCopyData)")
_LABEL = re.compile(r"^(DETAIL|HINT|CONTEXT): +(.*)$")
_OTHER_LABEL = re.compile(r"^(?:Error message from server|Query was|LINE \d+):")
_COMMAND = re.compile(r"^(Command was: |STATEMENT: +|QUERY: +|LINE \d+: )(.*)$")
_HEAD = ("pg_dump: ", "pg_restore: ")


def mark_client_error(head: str, lines: list[str]) -> str:
    """Returns the first error of a client as one text, from its first line and the lines that follow."""
    labels: list[tuple[str, str]] = []
    others: list[str] = []
    for line in lines:
        if match := _LABEL.match(line):
            labels.append((match[1], match[2]))
        elif _OTHER_LABEL.match(line):
            others.append(line.strip()[:MAX_LINE])
        elif labels and labels[-1][0] == "CONTEXT":
            labels[-1] = ("CONTEXT", f"{labels[-1][1]}\n{line}")
    match = _SERVER_MESSAGE.match(head)
    prefix, message = (match[1], match[2]) if match else (head, "")
    marked = _mark_fields(message, dict(labels), of_a_row=_OF_A_ROW.match(head) is not None)
    parts = [prefix + marked.message, *others]
    for label, text in (("DETAIL", marked.detail), ("HINT", marked.hint), ("CONTEXT", marked.context)):
        parts += [f"{label}: {close_mark(' / '.join(text.splitlines())[:MAX_LINE])}"] if text else []
    return "; ".join(parts)


def hide_command_values(command: str) -> str:
    """Cuts a statement before the values that it inserts."""
    return re.sub(r"\bVALUES\b.*", "VALUES …", command)


class ClientLines:
    """Hides the values of rows in the lines of a client, for the log."""

    def __init__(self) -> None:
        self._hides_continuation = False
        self._is_of_a_row = False  # whether a row of COPY caused the last error

    def hide(self, line: str) -> str | None:
        """Takes the next line. Returns it without values; None if it continues a text that can be a value."""
        if line.startswith(_HEAD):
            self._is_of_a_row = self._hides_continuation = _OF_A_ROW.match(line) is not None
            match = _SERVER_MESSAGE.match(line) if self._is_of_a_row else None
            return line if match is None else f"{match[1]}{HIDDEN_VALUE}"  # only a later line tells who wrote it
        if match := _LABEL.match(line):
            self._hides_continuation = True
            marked = _mark_fields("", {match[1]: match[2]}, of_a_row=False)
            text = {"DETAIL": marked.detail, "HINT": marked.hint, "CONTEXT": marked.context}[match[1]] or ""
            return f"{match[1]}: {HIDDEN_VALUE if self._is_of_a_row and match[1] == 'HINT' else hide_values(text)}"
        if match := _COMMAND.match(line):
            self._hides_continuation = "INSERT" in line
            return match[1] + hide_command_values(match[2])
        return None if self._hides_continuation else line


def _mark_fields(message: str, labels: dict[str, str], *, of_a_row: bool) -> ErrorFields:
    context = labels.get("CONTEXT")
    fields = ErrorFields(message=message, detail=labels.get("DETAIL"), hint=labels.get("HINT"), context=context)
    if not of_a_row:
        return mark_values(fields)
    marked = mark_values(replace(fields, context=f"{context or ''}\nCOPY "))
    return replace(marked, context=mark_values(fields).context)
