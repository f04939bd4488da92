"""Finds columns of type `money` in the definitions of a dump. Pure.

The text of such a value depends on `lc_monetary` of the session that dumped it, which no dump contains: `12.34` of
es_AR is `$ 12,34`, and an en_US session reads it as 1234.
"""

from pgimport.worker.archive.sql_tokens import scan_tokens, split_columns


class MoneyColumns:
    """Collects the columns from definitions, in the order of a dump: a type comes before the tables that use it."""

    def __init__(self) -> None:
        self._types: set[tuple[str, ...]] = {("money",), ("pg_catalog", ".", "money")}
        self.names: list[str] = []  # `public.orders.total`

    def add(self, definition: str) -> None:
        """Reads one statement and ignores all but CREATE TABLE, CREATE DOMAIN and CREATE TYPE."""
        tokens = list(scan_tokens(definition))
        words = [token.text for token in tokens]
        while words[1:2] and words[1] in ("unlogged", "foreign", "temporary"):
            del tokens[1], words[1]
        if words[:1] != ["create"] or len(words) < 4 or words[1] not in ("table", "domain", "type"):
            return
        name, rest = _split_name(words[2:])
        if words[1] == "domain":
            if rest[:1] == ["as"] and self._is_money(rest[1:]):
                self._types.add(tuple(name))
            return
        columns = [item[0].text for item in split_columns(tokens) if self._is_money([token.text for token in item[1:]])]
        if words[1] == "table":
            self.names += ["".join([*name, ".", column]) for column in columns]
        elif columns:
            self._types.add(tuple(name))

    def _is_money(self, words: list[str]) -> bool:
        """True if the words begin with a type that contains money."""
        return any(
            tuple(words[: len(name)]) == name and words[len(name) : len(name) + 1] != ["."] for name in self._types
        )


def _split_name(words: list[str]) -> tuple[list[str], list[str]]:
    length = 3 if words[1:2] == ["."] else 1
    return words[:length], words[length:]
