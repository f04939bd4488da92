"""Splits SQL, as pg_dump writes it, into tokens with their positions. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\* )
    | (?P<dollar> \$(?P<tag>[A-Za-z_\x80-\U0010ffff]?[A-Za-z0-9_\x80-\U0010ffff]*)\$ )
    | (?P<text> [Ee]'(?:[^'\\]++|\\.|'')*+' | [BbXx]?'(?:[^']++|'')*+' )
    | (?P<name> "(?:[^"]++|"")*+" )
    | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* )
    | (?P<number> [0-9][0-9A-Za-z_.]* )
    | (?P<sign> [^\s\w] )
    """,
    re.VERBOSE | re.DOTALL,
)

_NOT_A_COLUMN = ("constraint", "check", "primary", "unique", "foreign", "exclude", "like")
# First words of the clauses of a column or domain.
_CLAUSES = (
    "check",
    "collate",
    "compression",
    "constraint",
    "default",
    "generated",
    "not",
    "null",
    "primary",
    "references",
    "storage",
    "unique",
)
_BEFORE_A_NAME = tuple(".:,+-*/<>=~!@#%^&|`?")  # what follows is a name, as in `public.storage()`
_DOLLAR_QUOTE = re.compile(r"(?=(\$[A-Za-z0-9_\x80-\U0010ffff]*\$))")


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
    """Yields all tokens except comments, in linear time. Yields an unterminated quote as a symbol."""
    quotes, at = _QuoteEnds(definition), 0
    while (match := _TOKEN.search(definition, at)) is not None:
        start, at = match.span()
        match match.lastgroup:
            case "word":
                yield SqlToken(match[0].lower(), False, start, at)
            case "name":
                yield SqlToken(match[0][1:-1].replace('""', '"'), True, start, at)
            case "text":
                yield SqlToken("''", False, start, at, match[0][match[0].index("'") + 1 : -1].replace("''", "'"))
            case "sign" | "number":
                yield SqlToken(match[0], False, start, at)
            case "comment" if match[0] != "/*":
                continue
            case _:
                closing = "*/" if match[0] == "/*" else match[0]
                end = quotes.find(closing, at)
                if end < 0:
                    at = start + 1
                    yield SqlToken(definition[start], False, start, at)
                    continue
                content, at = definition[at:end], end + len(closing)
                if closing != "*/":
                    yield SqlToken("''", False, start, at, content)


class _QuoteEnds:
    """Finds the ends of comments and dollar quotes.

    Remembers the last position of each closing text, so that many unterminated quotes do not make scanning quadratic.
    """

    def __init__(self, definition: str) -> None:
        self._definition = definition
        self._last: dict[str, int] | None = None  # dollar quote or `*/` → position of the last one

    def find(self, closing: str, at: int) -> int:
        """Returns the position of the next `closing`, or -1."""
        if self._last is None:
            self._last = {match[1]: match.start() for match in _DOLLAR_QUOTE.finditer(self._definition)}
            self._last["*/"] = self._definition.rfind("*/")
        return self._definition.find(closing, at) if self._last.get(closing, -1) >= at else -1


def parse_tokens(definition: str) -> list[str]:
    """Returns only the texts of all tokens."""
    return [token.text for token in scan_tokens(definition)]


def split_statements(definition: str) -> list[str]:
    """Returns the statements of a definition without functions, each with its semicolon."""
    statements, begin = list[str](), 0
    for token in find_top_level_tokens(scan_tokens(definition)):
        if token.is_(";"):
            statements.append(definition[begin : token.end].strip())
            begin = token.end
    rest = definition[begin:].strip()
    return [*statements, rest] if rest else statements


def split_options(statement: str) -> list[str]:
    """Returns a statement for each option of `ALTER TABLE … SET (a=1, b=2);`. Others stay as they are."""
    tokens = list(scan_tokens(statement))
    items = [item for item in split_items(tokens) if item]
    opening = next((index for index, token in enumerate(tokens) if token.is_("(")), 0)
    if not tokens[opening - 1 :][:1] or not tokens[opening - 1].is_("set") or len(items) < 2:
        return [statement]
    head, tail = statement[: items[0][0].start], statement[items[-1][-1].end :]
    return [f"{head}{statement[item[0].start : item[-1].end]}{tail}" for item in items]


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


def split_items(tokens: Iterable[SqlToken]) -> Iterator[list[SqlToken]]:
    """Yields the tokens of each of the comma-separated items in the first parentheses of a statement."""
    depth, item = 0, list[SqlToken]()
    for token in tokens:
        depth -= token.is_(")") or (depth > 1 and token.is_("]"))
        if depth == 0 and token.is_(")", ";"):
            break
        if depth == 1 and token.is_(","):
            yield item
            item = []
        elif depth:
            item.append(token)
        depth += token.is_("(") or (depth > 0 and token.is_("["))
    yield item


def split_columns(tokens: Iterable[SqlToken]) -> Iterator[list[SqlToken]]:
    """Yields the tokens of each column in the definition of a table: name, type, and what follows."""
    return (item for item in split_items(tokens) if item and is_column(item))


def is_column(item: Sequence[SqlToken]) -> bool:
    """Whether an item in the definition of a table is a column. Only EXCLUDE can be the name of one without quotes."""
    if item[0].is_("exclude"):
        return not (len(item) > 1 and item[1].is_("using", "("))
    return not item[0].is_(*_NOT_A_COLUMN)


def split_clauses(tokens: Sequence[SqlToken]) -> Iterator[list[SqlToken]]:
    """Yields name and type of a column or domain, then each clause, such as `CONSTRAINT c CHECK (…)`.

    A default may be `CASE … THEN NULL ELSE 1 END`.
    """
    depth, clause = 0, list[SqlToken]()
    for index, token in enumerate(tokens):
        depth -= token.is_(")", "]", "end")
        if clause and depth == 0 and _begins_clause(clause, token, tokens[index + 1 : index + 2]):
            yield clause
            clause = []
        clause.append(token)
        depth += token.is_("(", "[", "case")
    if clause:
        yield clause


def _begins_clause(clause: list[SqlToken], token: SqlToken, following: Sequence[SqlToken]) -> bool:
    """Whether a token ends the clause before it. `DEFAULT NULL` and `ON DELETE SET DEFAULT` are one clause each."""
    if not token.is_(*_CLAUSES) or (clause[0].is_("constraint") and len(clause) < 3):
        return False
    if clause[-1].is_(*_BEFORE_A_NAME):
        return False
    if token.is_("not") and following and following[0].is_("deferrable", "enforced", "valid"):
        return False
    return not clause[-1].is_("by", "default", "is", "not", "nulls", "set")


def remove_comments(definition: str) -> str:
    """Returns the text without comments: what is put behind one must not become a part of it."""
    if "--" not in definition and "/*" not in definition:
        return definition
    kept, at = list[str](), 0
    for token in scan_tokens(definition):
        gap = definition[at : token.start]
        kept += [" " if gap.strip() else gap, definition[token.start : token.end]]
        at = token.end
    return "".join(kept)
