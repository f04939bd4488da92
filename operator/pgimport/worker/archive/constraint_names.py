"""Chooses the names of constraints as PostgreSQL does for those without one. Pure.

The source of the rules is `ChooseConstraintName` and `makeObjectName` in PostgreSQL.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from pgimport.worker.archive.sql_tokens import SqlToken, split_items

_MAX_NAME = 63  # bytes
_LABELS = {"check": "check", "foreign": "fkey", "exclude": "excl"}


class ConstraintNames:
    """The names of the unnamed constraints in one CREATE TABLE or CREATE DOMAIN."""

    def __init__(self, owner: str, columns: Sequence[str]) -> None:
        self._owner = owner
        self._positions = {column: number for number, column in enumerate(columns)}
        self._used: set[str] = set()
        self._numbers: Counter[tuple[str, str]] = Counter()  # columns and label → number of the next name

    def choose(self, tokens: Sequence[SqlToken]) -> str:
        """Returns the name of the constraint of a table that begins with CHECK, FOREIGN KEY or EXCLUDE."""
        label = _LABELS.get(tokens[0].text, "check")
        columns = self._find_columns(tokens)
        if label == "check" and len(columns) != 1:
            columns = []
        key = ("_".join(columns), label)
        while (name := build_name(self._owner, key[0], f"{label}{self._numbers[key] or ''}")) in self._used:
            self._numbers[key] += 1
        self._used.add(name)
        return name

    def _find_columns(self, tokens: Sequence[SqlToken]) -> list[str]:
        """Returns the columns of a key, or those that a CHECK names, each once."""
        if not tokens[0].is_("check"):
            return [item[0].text for item in split_items(tokens) if item]
        named = {token.text for token, following in pairwise(tokens) if not (token.content or following.is_("("))}
        return sorted(named & self._positions.keys(), key=self._positions.__getitem__)


def build_name(owner: str, columns: str, label: str) -> str:
    """Returns `orders_total_check`, shortened to the length of a name."""
    names = [owner.encode(), columns.encode()]
    free = _MAX_NAME - len(label) - (2 if columns else 1)
    while len(names[0]) + len(names[1]) > free:
        longer = 0 if len(names[0]) > len(names[1]) else 1
        names[longer] = names[longer][:-1]
    return "_".join([*(name.decode(errors="ignore") for name in names if name), label])
