"""SQL as pg_dump writes it comes in; its words, signs, texts and comments, each with its place, go out. Pure."""

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
    | (?P<sign> [^\s\w] )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class SqlToken:
    """A word in small letters, a name without its quotes, a sign; of a text or a body, `''`."""

    text: str
    quoted: bool  # a name in quotes, which is never a keyword
    start: int
    end: int
    content: str = ""  # of a text

    def is_(self, *keywords: str) -> bool:
        """Whether it is one of these keywords (or signs)."""
        return not self.quoted and self.text in keywords


def scan_tokens(definition: str) -> Iterator[SqlToken]:
    """All but comments, in their order."""
    for match in _TOKEN.finditer(definition):
        start, end = match.span()
        match match.lastgroup:
            case "word":
                yield SqlToken(match[0].lower(), False, start, end)
            case "name":
                yield SqlToken(match[0][1:-1].replace('""', '"'), True, start, end)
            case "text":
                yield SqlToken("''", False, start, end, match[0][match[0].index("'") + 1 : -1].replace("''", "'"))
            case "sign":
                yield SqlToken(match[0], False, start, end)
            case "comment":
                continue
            case _:
                yield SqlToken("''", False, start, end)


def parse_tokens(definition: str) -> list[str]:
    """A statement's words in lower case, signs as they are, names without quotes, texts and bodies as `''`."""
    return [word.text for word in scan_tokens(definition)]


def top_level_tokens(words: Iterable[SqlToken]) -> Iterator[SqlToken]:
    """What stands in no round brackets; the brackets themselves stay."""
    depth = 0
    for word in words:
        if word.is_(")"):
            depth -= 1
        if depth == 0:
            yield word
        if word.is_("("):
            depth += 1
