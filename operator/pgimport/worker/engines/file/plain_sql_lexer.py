"""Splits plain SQL of pg_dump into statements, rows of COPY, and psql commands.

It also detects truncated dumps: every COPY must end, every quote must be closed, and pg_dump's last line must be
there. It is not a security boundary. The attempt's role and psql's `\\restrict` are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pgimport.worker.archive.sql_tokens import find_top_level_tokens, scan_tokens
from pgimport.worker.archive.toc import corrupt
from pgimport.worker.engines.file.dump_stream import DumpStream

LAST_LINE = b"-- PostgreSQL database dump complete"
_FIRST_LINES = (b"-- PostgreSQL database dump\n", b"-- PostgreSQL database cluster dump\n")
_LAST_LINES = (LAST_LINE, b"-- PostgreSQL database cluster dump complete")
_VERSION_COMMENT = b"-- Dumped "
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Statements that people write behind a dump. They restore no object, so nothing may be missing before them.
_CLOSING_STATEMENT = re.compile(rb"(?:SET|RESET|COMMIT|END|ANALYZE|VACUUM)\b", re.IGNORECASE)
_RESET_ALL = re.compile(rb"RESET\s+ALL\s*;\Z", re.IGNORECASE)  # last statement of files of the Supabase CLI
# First words of all statements of PostgreSQL's reference.
_FIRST_WORDS = frozenset(
    b"ABORT ALTER ANALYSE ANALYZE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE"
    b" DELETE DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE"
    b" REASSIGN REFRESH REINDEX RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE"
    b" UNLISTEN UPDATE VACUUM VALUES WITH".split()
)
_FIRST_WORD = re.compile(rb"[A-Za-z]{1,20}(?![A-Za-z_0-9])|[(;]")
MAX_STATEMENT = 256 * 1024 * 1024  # bytes; an INSERT of a large value, or a function, may be long
_COPY = re.compile(rb"COPY\b.*\bFROM\b.*\bSTDIN\b", re.IGNORECASE | re.DOTALL)
# Start of a comment or of quoted text, or end of a statement.
_DELIMITER = re.compile(rb"--|/\*|['\"$;]")
_DOLLAR_QUOTE = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_QUOTE_ENDS = {b"'": re.compile(rb"'"), b'"': re.compile(rb'"'), b"E": re.compile(rb"\\.|'", re.DOTALL)}
_NEWLINE = re.compile(rb"\n")
_BLANK = re.compile(rb"\s*")
_COMMENT_BORDER = re.compile(rb"/\*|\*/")
_STRING_SETTING = re.compile(rb"SET\s+(?:SESSION\s+)?standard_conforming_strings\b.*\b(on|off)\b", re.I | re.S)
BLANKS = rb"(?:\s|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)+"
_ROUTINE = re.compile(b"(?:CREATE|CREATE%bOR%bREPLACE)%b(?:FUNCTION|PROCEDURE)\\b" % (BLANKS, BLANKS, BLANKS), re.I)
_WORD_OR_PARENTHESIS = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*|[()]")
_MAX_COMMENTS = 65536  # bytes of the comments before a statement that are kept, the last ones
_MAX_FIRST_COMMENTS = 1000  # lines
_ROWS_END = b"\\.\n"  # last line of a COPY


@dataclass(frozen=True, slots=True)
class SqlStatement:
    """One statement including its semicolon."""

    text: bytes
    line: int  # line of the file in which it begins
    comments: bytes  # the comments before it


@dataclass(frozen=True, slots=True)
class CopyRows:
    """A piece of the rows of the COPY before it; the last piece includes the line `\\.`."""

    text: bytes
    newlines: int
    last: bool


@dataclass(frozen=True, slots=True)
class PsqlCommand:
    """A line with a command of psql, such as `\\restrict …`."""

    text: bytes
    line: int


Item = SqlStatement | CopyRows | PsqlCommand


class PlainSqlLexer:
    """Splits one dump, from its first byte to its last."""

    def __init__(self, stream: DumpStream) -> None:
        self._stream = stream
        self._buffer = bytearray()
        self._ended = False
        self._line = 1
        self.comments: list[bytes] = []  # the first ones, such as `-- Dumped from database version 16.4`
        self._has_escapes = False  # whether a backslash has a meaning in each string
        self.complete = False  # whether pg_dump's last line was read
        self._ended_once = False  # whether a last line was read before
        self._announced = False  # whether a first line was read: the last line must follow

    def items(self) -> Iterator[Item]:
        """Yields the parts of the dump. Raises ImportStopped if it is damaged or truncated."""
        self._skip_byte_order_mark()
        while True:
            comments = self._skip_blank()
            if not self._buffer:
                break
            if self._buffer[:1] == b"\\":
                yield PsqlCommand(*self._take_line())
                continue
            self._check_first_word()
            line = self._line
            statement = self._take_statement()
            self._note_completeness(statement)
            if (setting := _STRING_SETTING.match(statement)) is not None:
                self._has_escapes = setting[1].lower() == b"off"
            yield SqlStatement(statement, line, comments)
            if _COPY.match(statement) and find_copy_options(statement.decode("latin-1")) is not None:
                yield from self._read_rows(line)
        if not self.complete:
            raise corrupt(
                f"it ends after {self._stream.bytes_unpacked} bytes without pg_dump's last line: the file is truncated"
            )

    def _skip_byte_order_mark(self) -> None:
        while len(self._buffer) < len(_BYTE_ORDER_MARK) and self._read_more():
            pass
        if self._buffer.startswith(_BYTE_ORDER_MARK):
            del self._buffer[: len(_BYTE_ORDER_MARK)]

    def _note_completeness(self, statement: bytes) -> None:
        if not self._announced and _RESET_ALL.match(statement):
            self.complete = True
        elif not _CLOSING_STATEMENT.match(statement):
            self.complete = False

    def _note_comment(self, text: bytes) -> None:
        if text.startswith(_LAST_LINES):
            self.complete = self._ended_once = True
            self._announced = False
        elif text in _FIRST_LINES:
            self.complete, self._announced = False, True

    def _check_first_word(self) -> None:
        """Raises ImportStopped for a text that is no statement, such as a message of a program."""
        while len(self._buffer) < 24 and self._read_more():
            pass
        match = _FIRST_WORD.match(self._buffer)
        if match is not None and (match[0] in b"(;" or bytes(match[0]).upper() in _FIRST_WORDS):
            return
        place = "behind the end of the dump, " if self._ended_once and self.complete else ""
        text = bytes(self._buffer[:60]).split(b"\n")[0].decode("utf-8", "replace").strip()
        shown = "".join(letter if letter.isprintable() else " " for letter in text)
        raise corrupt(
            f"line {self._line} is no SQL, but most likely the output of another program ({place}{shown!r}):"
            " dump again with `pg_dump --file`, or without 2>&1 and without a terminal"
        )

    def _read_more(self) -> bool:
        if self._ended:
            return False
        chunk = self._stream.read_some()
        if (zero := chunk.find(b"\0")) >= 0:  # psql would lose the rest of the line, and with it the end of a COPY
            line = self._line + self._buffer.count(b"\n") + chunk.count(b"\n", 0, zero)
            raise corrupt(f"line {line} contains a zero byte, which no text of PostgreSQL has: dump again")
        self._ended = not chunk
        self._buffer += chunk
        return bool(chunk)

    def _take(self, count: int) -> bytes:
        text = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._line += text.count(b"\n")
        return text

    def _skip_blank(self) -> bytes:
        """Skips white space and comments before a statement. Returns the last comments."""
        comments = bytearray()
        while self._buffer or self._read_more():
            blank = _BLANK.match(self._buffer)
            self._take(blank.end() if blank else 0)
            if not self._buffer:
                continue
            if len(self._buffer) < 2 and self._read_more():
                continue
            if self._buffer[:2] == b"--":
                text, _ = self._take_line()
                comments += text
                self._note_comment(text)
                count = len(self.comments)
                if count < 20 or (count < _MAX_FIRST_COMMENTS and text.startswith(_VERSION_COMMENT)):
                    self.comments.append(text.strip())
            elif self._buffer[:2] == b"/*":
                comments += self._take(self._find_comment_end(0))
            else:
                break
            if len(comments) > 2 * _MAX_COMMENTS:
                del comments[:-_MAX_COMMENTS]
        return bytes(comments[-_MAX_COMMENTS:])

    def _take_line(self) -> tuple[bytes, int]:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            self._check_size()
            if not self._read_more():
                break
        line = self._line
        return self._take(end + 1 if end >= 0 else len(self._buffer)), line

    def _check_size(self) -> None:
        if len(self._buffer) > MAX_STATEMENT:
            raise corrupt(f"the statement that begins in line {self._line} is longer than {MAX_STATEMENT} bytes")

    def _search(self, pattern: re.Pattern[bytes], start: int, longest: int = 2) -> re.Match[bytes] | None:
        """Returns the next match. Reads more if there is none, or if the match ends at the end of the buffer.

        `longest`: length of the longest text that may match.
        """
        while (match := pattern.search(self._buffer, start)) is None or match.end() == len(self._buffer):
            # The text may be split between two chunks: search again from its possible start.
            start = match.start() if match else max(start, len(self._buffer) - longest + 1)
            self._check_size()
            if not self._read_more():
                return match
        return match

    def _take_statement(self) -> bytes:
        at = 0
        body = _StatementBody()
        while True:
            unquoted = at
            match = self._search(_DELIMITER, at)
            if match is None:
                raise corrupt(f"it ends inside the statement that begins in line {self._line}")
            begin, at = match.span()
            body.add_unquoted(self._buffer, unquoted, begin)
            match match[0]:
                case b";":
                    if not body.is_open:
                        return self._take(at)
                case b"--":
                    newline = self._search(_NEWLINE, at)
                    at = newline.end() if newline else len(self._buffer)
                case b"/*":
                    at = self._find_comment_end(begin)
                case b"$":
                    at = self._find_dollar_end(begin)
                case quote:
                    at = self._find_quote_end(bytes(quote), begin)

    def _find_quote_end(self, quote: bytes, begin: int) -> int:
        before = bytes(self._buffer[max(begin - 2, 0) : begin])
        has_prefix = before[-1:] in (b"E", b"e") and not (before[:-1].isalnum() or before[:-1] == b"_")
        escaped = quote == b"'" and (has_prefix or self._has_escapes)
        pattern, at = _QUOTE_ENDS[b"E" if escaped else quote], begin + 1
        while (match := self._search(pattern, at)) is not None:
            at = match.end()
            if len(match[0]) == 1:
                return at  # a doubled quote counts as the end of one text and the beginning of the next
        raise corrupt(f"it ends inside a quoted text of the statement that begins in line {self._line}")

    def _find_dollar_end(self, begin: int) -> int:
        while (match := _DOLLAR_QUOTE.match(self._buffer, begin)) is None and begin + 130 > len(self._buffer):
            if not self._read_more():
                break
        before = bytes(self._buffer[max(begin - 1, 0) : begin])
        if match is None or before.isalnum() or before in (b"_", b"$"):
            return begin + 1
        closing_quote, at = bytes(match[0]), match.end()
        while (end := self._buffer.find(closing_quote, at)) < 0:
            at = max(at, len(self._buffer) - len(closing_quote) + 1)
            self._check_size()
            if not self._read_more():
                raise corrupt(f"it ends inside a dollar-quoted text of the statement that begins in line {self._line}")
        return end + len(closing_quote)

    def _find_comment_end(self, begin: int) -> int:
        depth, at = 0, begin
        while (match := self._search(_COMMENT_BORDER, at)) is not None:
            at = match.end()
            depth += 1 if match[0] == b"/*" else -1
            if depth == 0:
                return at
        raise corrupt(f"it ends inside the comment that begins in line {self._line}")

    def _read_rows(self, copy_line: int) -> Iterator[CopyRows]:
        self._take_line()  # the rest of the line of the COPY
        first = True
        while True:
            at = 0 if first and self._buffer.startswith(_ROWS_END) else self._buffer.find(b"\n" + _ROWS_END) + 1
            if at > 0 or (first and self._buffer.startswith(_ROWS_END)):
                rows = self._take(at)
                end = self._take(len(_ROWS_END))
                yield CopyRows(rows + end, rows.count(b"\n"), last=True)
                return
            # Keep the bytes that may begin the last line. Pass on the rest: a row may be longer than the buffer.
            if (count := len(self._buffer) - len(_ROWS_END)) > 0:
                rows = self._take(count)
                first = False
                yield CopyRows(rows, rows.count(b"\n"), last=False)
            if not self._read_more():
                raise corrupt(f"it ends inside the rows of the COPY in line {copy_line}")


def find_copy_options(statement: str) -> list[str] | None:
    """Returns the words behind `COPY … FROM STDIN`, or None if the rows do not follow the statement. Pure."""
    tokens = list(find_top_level_tokens(scan_tokens(statement)))
    for token, following in pairwise(tokens):
        if token.is_("from") and following.is_("stdin"):
            rest = (token for token in scan_tokens(statement) if token.start > following.start and not token.is_(";"))
            return [(token.content or token.text).lower() for token in rest]
    return None


class _StatementBody:
    """Decides as psql does whether a semicolon is inside parentheses, or inside `BEGIN ATOMIC … END` of a routine.

    Reads each byte outside of quotes and comments once.
    """

    def __init__(self) -> None:
        self._parentheses = 0
        self._blocks = 0  # BEGIN and CASE that are open

    def add_unquoted(self, buffer: bytearray, begin: int, end: int) -> None:
        """Adds text outside of quotes and comments."""
        if _ROUTINE.match(buffer) is None:
            self._parentheses += buffer.count(b"(", begin, end) - buffer.count(b")", begin, end)
            return
        for match in _WORD_OR_PARENTHESIS.finditer(buffer, begin, end):
            match match[0].lower():
                case b"(":
                    self._parentheses += 1
                case b")":
                    self._parentheses -= 1
                case b"begin" if self._parentheses <= 0:
                    self._blocks += 1
                case b"case" if self._parentheses <= 0 and self._blocks:
                    self._blocks += 1
                case b"end" if self._parentheses <= 0 and self._blocks:
                    self._blocks -= 1

    @property
    def is_open(self) -> bool:
        """Whether a semicolon does not end the statement."""
        return self._parentheses > 0 or self._blocks > 0
