"""Puts together the stderr lines of pg_dump and pg_restore.

Their parallel children share one stderr, and each message is written in pieces: the program's name, the level, then
the text with its end of line (`pg_log_generic_v` in PostgreSQL's src/common/logging.c). Between two pieces of one
process, pieces of another can come. An observed example:

    pg_restore: error: pg_restore: skipping item 2503 CONSTRAINT orders_pkey
    could not execute query: ERROR:  …

Here the first process wrote `pg_restore: error: ` and was interrupted by a whole message of the second.
"""

import re

_PIECE = re.compile(r" *(?:(?:pg_dump|pg_restore):\s?|(?P<level>error|warning|detail|hint): )")
# What `--verbose` writes, in the clients of 14 to 18. These texts have no level.
_VERBOSE_TEXT = re.compile(
    r" *(?:(?:finished|launching|skipping|processing) item |(?:processing|dumping|restoring|restored|creating|"
    r"dropping|"
    r"connecting|executing|implied|entering|finished|reading|read|saving|identifying|finding|flagging|last built-in|"
    r"disabling|enabling|allocating|attempting|transferring|reducing|no item) |"
    r"table \".*\" could not be created|from TOC entry |while (?:INITIALIZING|PROCESSING TOC|FINALIZING))"
)


class LineAssembler:
    """Gives each text the head that its own process wrote. A head is the program's name, usually with a level.

    A text that only `--verbose` prints belongs to a head without a level. Any other text belongs to the oldest head
    with a level that still waits for its text. A line without a head of its own continues the message before it.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._waiting: list[str] = []  # levels of heads that wait for their text, oldest first; empty for no level

    def add(self, line: str) -> str:
        """Takes a line without its end of line. Returns it with its head, or as it is if it continues a message."""
        position = 0
        while match := _PIECE.match(line, position):
            level = match["level"] or ""
            if level and self._waiting and not self._waiting[-1]:
                self._waiting[-1] = level
            else:
                self._waiting.append(level)
            position = match.end()
        text = line[position:]
        level_of_text = self._take_level(text, has_head=position > 0)
        if level_of_text is None:
            return line
        text = text.lstrip(" ")  # the space after a program's name is a piece of its own
        return f"{self._program}: {level_of_text}: {text}" if level_of_text else f"{self._program}: {text}"

    def _take_level(self, text: str, *, has_head: bool) -> str | None:
        """Removes the waiting head that `text` belongs to and returns its level; None if there is no such head."""
        if "" in self._waiting and _VERBOSE_TEXT.match(text):
            self._waiting.remove("")
            return ""
        levels = [level for level in self._waiting if level]
        if levels:
            self._waiting.remove(levels[0])
            return levels[0]
        if has_head and self._waiting:
            self._waiting.remove("")
            return ""
        return None
