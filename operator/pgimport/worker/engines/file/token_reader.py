"""Reads names and kinds of objects from the tokens of a statement. Pure."""

from dataclasses import dataclass

from pgimport.worker.archive.sql_tokens import SqlToken
from pgimport.worker.engines.file.search_path import SearchPath

# Kinds of more than one word, as SQL writes them → as pg_dump's table of contents does.
_LONG_KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("materialized", "view"), "MATERIALIZED VIEW"),
    (("foreign", "data", "wrapper"), "FOREIGN DATA WRAPPER"),
    (("foreign", "table"), "FOREIGN TABLE"),
    (("event", "trigger"), "EVENT TRIGGER"),
    (("user", "mapping"), "USER MAPPING"),
    (("access", "method"), "ACCESS METHOD"),
    (("operator", "class"), "OPERATOR CLASS"),
    (("operator", "family"), "OPERATOR FAMILY"),
    (("text", "search", "parser"), "TEXT SEARCH PARSER"),
    (("text", "search", "template"), "TEXT SEARCH TEMPLATE"),
    (("text", "search", "dictionary"), "TEXT SEARCH DICTIONARY"),
    (("text", "search", "configuration"), "TEXT SEARCH CONFIGURATION"),
    (("large", "object"), "LARGE OBJECT"),
)
_KINDS = frozenset(
    {"table", "view", "sequence", "type", "domain", "function", "procedure", "aggregate", "index", "trigger", "rule",
     "policy", "schema", "extension", "language", "cast", "operator", "collation", "conversion", "statistics",
     "publication", "subscription", "server", "transform", "database", "role", "user", "group", "tablespace",
     "routine", "column"}
)  # fmt: skip
_KIND_NAMES = {"language": "PROCEDURAL LANGUAGE"}


@dataclass
class TokenReader:
    """Reads names from the tokens of a statement."""

    tokens: list[SqlToken]
    at: int
    path: SearchPath

    def is_(self, *words: str) -> bool:
        """Whether the next tokens are these words."""
        return all(
            self.at + index < len(self.tokens) and self.tokens[self.at + index].is_(word)
            for index, word in enumerate(words)
        )

    def skip(self, *words: str) -> bool:
        """Skips these words if they come next."""
        if found := self.is_(*words):
            self.at += len(words)
        return found

    def find(self, *words: str) -> bool:
        """Moves behind the next token that is one of these words."""
        for index in range(self.at, len(self.tokens)):
            if self.tokens[index].is_(*words):
                self.at = index + 1
                return True
        return False

    def skip_parentheses(self) -> None:
        """Skips everything in parentheses if they come next."""
        depth = 0
        while self.at < len(self.tokens) and (depth or self.is_("(")):
            depth += self.is_("(") - self.is_(")")
            self.at += 1

    def word(self) -> str:
        """Takes one token."""
        text = self.tokens[self.at].text if self.at < len(self.tokens) else ""
        self.at += 1
        return text

    def name(self, *, is_new: bool = False) -> tuple[str, str]:
        """Takes `schema.name` or `name`, which may be an operator. `is_new`: the statement creates the object."""
        parts = [self._part()]
        while self.is_(".") and len(parts) < 3:
            self.at += 1
            parts.append(self._part())
        if len(parts) > 1:
            return parts[-2], parts[-1]
        return self.path.schemas[0] if is_new else self.path.find(parts[0]), parts[0]

    def _part(self) -> str:
        text = self.word()
        if text and not text[0].isalnum() and text[0] != "_" and not self.tokens[self.at - 1].quoted and text != "''":
            while (
                self.at < len(self.tokens)
                and not self.tokens[self.at].quoted
                and (self.tokens[self.at].text in "+-*/<>=~!@#%^&|`?")
            ):
                text += self.word()
        return text

    def kind(self) -> str | None:
        """Takes the kind of an object."""
        for words, kind in _LONG_KINDS:
            if self.skip(*words):
                return kind
        if self.at < len(self.tokens) and self.tokens[self.at].is_(*_KINDS):
            word = self.word()
            return _KIND_NAMES.get(word, word.upper())
        return None
