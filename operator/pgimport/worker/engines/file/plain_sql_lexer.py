"""Plain SQL of pg_dump: bytes come in; statements, rows of COPYs and lines for psql go out, one after the other.

Whole or not is seen here: every COPY must end, every text must be closed, and pg_dump's closing line must be there.
What is dropped by `judge_statement` is tidiness, not a fence: that is the role that runs it, and psql's own
restriction around it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.compression import DumpStream

CLOSING = b"-- PostgreSQL database dump complete"
MAX_STATEMENT = 256 * 1024 * 1024  # bytes; an INSERT of one large value, or a function
_COPY = re.compile(rb"\s*COPY\s.*\sFROM\s+stdin;\s*\Z", re.IGNORECASE | re.DOTALL)
# Where something begins that hides what follows, or a statement ends.
_MARK = re.compile(rb"--|/\*|['\"$;]")
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_ENDS = {b"'": re.compile(rb"'"), b'"': re.compile(rb'"'), b"E": re.compile(rb"\\.|'", re.DOTALL)}
_BLANK = re.compile(rb"\s*")
_COMMENT = re.compile(rb"/\*|\*/")
_BODY = re.compile(rb"\n\s*BEGIN ATOMIC\s*\n")
_BODY_HEAD = 65536  # bytes of a function that its BEGIN ATOMIC is looked for in
_RULE = re.compile(rb"CREATE (?:OR REPLACE )?RULE ")
_WITH_SEMICOLONS = (
    b"CREATE FUNCTION ",
    b"CREATE OR REPLACE FUNCTION ",
    b"CREATE PROCEDURE ",
    b"CREATE OR REPLACE PROCEDURE ",
    b"CREATE RULE ",
    b"CREATE OR REPLACE RULE ",
)
_HIDDEN = 100_000  # places in quotes that are remembered: statements with semicolons of their own are short
_ROWS_END = b"\\.\n"


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """To its semicolon, with the comments before it."""

    text: bytes
    line: int  # where it begins in the file
    comments: bytes  # what stood before it


@dataclass(frozen=True, slots=True)
class CopyRows:
    """A piece of the rows of the COPY before; the last one holds the closing line."""

    text: bytes
    newlines: int
    last: bool


@dataclass(frozen=True, slots=True)
class PsqlCommand:
    """A line that is psql's: `\\restrict …`."""

    text: bytes
    line: int


Item = SqlStatement | CopyRows | PsqlCommand


class PlainSqlLexer:
    """One dump, from its first byte to its last."""

    def __init__(self, stream: DumpStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._ended = False
        self._line = 1
        self.comments: list[bytes] = []  # those of the head: `-- Dumped from database version 16.4`
        self.complete = False  # pg_dump's closing line was seen

    def items(self) -> Iterator[Item]:
        """Raises Stopped where it is damaged or not whole."""
        while True:
            comments = self._skip_blank()
            if not self._buffer:
                break
            if self._buffer[:1] == b"\\":
                yield PsqlCommand(*self._cut_line())
                continue
            self.complete = False  # only a command of psql may follow the closing line
            line = self._line
            statement = self._cut_statement()
            yield SqlStatement(statement, line, comments)
            if _COPY.match(statement):
                yield from self._rows(line)
        if not self.complete:
            raise corrupt(
                f"it ends after {self._stream.bytes_unpacked} bytes without pg_dump's closing line: it is not whole"
            )

    def _more(self) -> bool:
        if self._ended:
            return False
        found = self._stream.read_some()
        self._ended = not found
        self._buffer += found
        return bool(found)

    def _cut(self, count: int) -> bytes:
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._line += found.count(b"\n")
        return found

    def _skip_blank(self) -> bytes:
        """White space and comments before a statement; returns the comments."""
        found = b""
        while self._buffer or self._more():
            blank = _BLANK.match(self._buffer)
            self._cut(blank.end() if blank else 0)
            if not self._buffer:
                continue
            if len(self._buffer) < 2 and self._more():
                continue
            if self._buffer[:2] == b"--":
                text, _ = self._cut_line()
                found += text
                if text.startswith(CLOSING):
                    self.complete = True
                if len(self.comments) < 20:
                    self.comments.append(text.strip())
            elif self._buffer[:2] == b"/*":
                found += self._cut(self._find_comment_end(0))
            else:
                break
        return found

    def _cut_line(self) -> tuple[bytes, int]:
        while (at := self._buffer.find(b"\n")) < 0 and self._more():
            self._check_size()
        line = self._line
        return self._cut(at + 1 if at >= 0 else len(self._buffer)), line

    def _check_size(self) -> None:
        if len(self._buffer) > MAX_STATEMENT:
            raise corrupt(f"the statement in line {self._line} is longer than {MAX_STATEMENT} bytes")

    def _search(self, pattern: re.Pattern[bytes], at: int, longest: int = 2) -> re.Match[bytes] | None:
        """The next match; reads on where there is none, or where one at the end might go on."""
        while (match := pattern.search(self._buffer, at)) is None or match.end() == len(self._buffer):
            # What is looked for may be cut in two: look again from where it would have begun.
            at = match.start() if match else max(at, len(self._buffer) - longest + 1)
            self._check_size()
            if not self._more():
                return match
        return match

    def _cut_statement(self) -> bytes:
        at = 0
        hidden: list[tuple[int, int]] = []  # where texts, bodies, names in quotes and comments are
        while True:
            match = self._search(_MARK, at)
            if match is None:
                raise corrupt(f"it ends inside the statement that begins in line {self._line}")
            begin, at = match.span()
            match match[0]:
                case b";":
                    if not _goes_on(self._buffer, begin, hidden):
                        return self._cut(at)
                    continue
                case b"--":
                    found = self._search(re.compile(rb"\n"), at)
                    at = found.end() if found else len(self._buffer)
                case b"/*":
                    at = self._find_comment_end(begin)
                case b"$":
                    at = self._find_dollar_end(begin)
                case quote:
                    at = self._find_quote_end(bytes(quote), begin)
            if len(hidden) < _HIDDEN:
                hidden.append((begin, at))

    def _find_quote_end(self, quote: bytes, begin: int) -> int:
        before = bytes(self._buffer[max(begin - 2, 0) : begin])
        escaped = quote == b"'" and before[-1:] in (b"E", b"e") and not (before[:-1].isalnum() or before[:-1] == b"_")
        pattern, at = _ENDS[b"E" if escaped else quote], begin + 1
        while (match := self._search(pattern, at)) is not None:
            at = match.end()
            if len(match[0]) == 1:
                return at  # a doubled quote ends one text and begins the next: the same in the end
        raise corrupt(f"it ends inside a text of the statement that begins in line {self._line}")

    def _find_dollar_end(self, begin: int) -> int:
        while (match := _DOLLAR.match(self._buffer, begin)) is None and begin + 130 > len(self._buffer):
            if not self._more():
                break
        before = bytes(self._buffer[max(begin - 1, 0) : begin])
        if match is None or before.isalnum() or before in (b"_", b"$"):
            return begin + 1
        found = self._search(re.compile(re.escape(match[0])), match.end(), len(match[0]))
        if found is None:
            raise corrupt(f"it ends inside a body of the statement that begins in line {self._line}")
        return found.end()

    def _find_comment_end(self, begin: int) -> int:
        depth, at = 0, begin
        while (match := self._search(_COMMENT, at)) is not None:
            at = match.end()
            depth += 1 if match[0] == b"/*" else -1
            if depth == 0:
                return at
        raise corrupt(f"it ends inside the comment that begins in line {self._line}")

    def _rows(self, copy_line: int) -> Iterator[CopyRows]:
        self._cut_line()  # the rest of the line of the COPY
        first = True
        while True:
            at = 0 if first and self._buffer.startswith(_ROWS_END) else self._buffer.find(b"\n" + _ROWS_END) + 1
            if at > 0 or (first and self._buffer.startswith(_ROWS_END)):
                rows = self._cut(at)
                end = self._cut(len(_ROWS_END))
                yield CopyRows(rows + end, rows.count(b"\n"), last=True)
                return
            # All but what may be the beginning of the end; a row may be longer than what is held here.
            if (given := len(self._buffer) - len(_ROWS_END)) > 0:
                rows = self._cut(given)
                first = False
                yield CopyRows(rows, rows.count(b"\n"), last=False)
            if not self._more():
                raise corrupt(f"it ends inside the rows of the COPY in line {copy_line}")


def _goes_on(buffer: bytearray, at: int, hidden: list[tuple[int, int]]) -> bool:
    """A body `BEGIN ATOMIC … END` and the brackets of a rule have semicolons of their own.

    pg_dump writes such an END at the beginning of a line.
    """
    if not buffer.startswith(_WITH_SEMICOLONS):
        return False
    head = bytes(buffer[: min(at, _BODY_HEAD)])
    if _RULE.match(head):
        shown = _show(bytes(buffer[:at]), hidden)
        return shown.count(b"(") > shown.count(b")")
    return _BODY.search(_show(head, hidden)) is not None and not buffer.endswith(b"\nEND", 0, at)


def _show(text: bytes, hidden: list[tuple[int, int]]) -> bytes:
    """Without what is in quotes."""
    shown, at = b"", 0
    for begin, end in hidden:
        shown += text[at:begin]
        at = end
    return shown + text[at:]
