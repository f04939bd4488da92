"""Splits SQL, as pg_dump writes it, into tokens with their positions. Pure."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<dollar> \$(?P<tag>[A-Za-z_\x80-\U0010ffff]?[A-Za-z0-9_\x80-\U0010ffff]*)\$.*?\$(?P=tag)\$ )
    | (?P<text> [Ee]'(?:[^'\\]|\\.|'')*' | [BbXx]?'(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<number> [0-9][0-9A-Za-z_.]* )
    | (?P<sign> [^\s\w] )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SqlToken:
    """A word in lower case, a quoted name without its quotes, a symbol, a number, or `''` for a string or a body."""

    text: str
    quoted: bool  # a name in double quotes, which is never a keyword
    start: int
    end: int
    content: str = ""  # of a string or a function body

    def is_(self, *keywords: str) -> bool:
        """True if it is one of these keywords or symbols."""
        return not self.quoted and self.text in keywords


def scan_tokens(definition: str) -> Iterator[SqlToken]:
    """Yields all tokens but comments."""
    for match in _TOKEN.finditer(definition):
        start, end = match.span()
        match match.lastgroup:
            case "word":
                yield SqlToken(match[0].lower(), False, start, end)
            case "name":
                yield SqlToken(match[0][1:-1].replace('""', '"'), True, start, end)
            case "text":
                yield SqlToken("''", False, start, end, match[0][match[0].index("'") + 1 : -1].replace("''", "'"))
            case "sign" | "number":
                yield SqlToken(match[0], False, start, end)
            case "comment":
                continue
            case _:
                delimiter = len(match["tag"]) + 2
                yield SqlToken("''", False, start, end, match[0][delimiter:-delimiter])


def parse_tokens(definition: str) -> list[str]:
    """Returns only the texts of all tokens."""
    return [token.text for token in scan_tokens(definition)]


def find_top_level_tokens(tokens: Iterable[SqlToken]) -> Iterator[SqlToken]:
    """Yields the tokens outside of parentheses, and the parentheses themselves."""
    depth = 0
    for token in tokens:
        if token.is_(")"):
            depth -= 1
        if depth == 0:
            yield token
        if token.is_("("):
            depth += 1
