"""Makes equal the two texts that a server prints for one chain of AND or OR before and after a restore. Pure.

PostgreSQL stores `ROW(a, b, c) IS DISTINCT FROM ROW(x, y, z)` and `a IN (x, y, z)` as chains of two operands each, and
prints `(((a = x) OR (a = y)) OR (a = z))`. When it reads this text again, it makes one chain of three operands, and
from then on prints `((a = x) OR (a = y) OR (a = z))`.
"""

from dataclasses import dataclass, field

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens

_OPERATORS = ("and", "or")


@dataclass(slots=True)
class _Group:
    """Parentheses. `inner` holds those groups directly within it that are operands of a chain."""

    opening: int  # index of a token
    operators: set[str] = field(default_factory=set)
    inner: list[tuple[int, int, str]] = field(default_factory=list)  # indexes of both parentheses, operator


def flatten_boolean_groups(text: str) -> str:
    """Returns the text without the parentheses around a chain of AND or OR that is an operand of such a chain."""
    tokens = list(scan_tokens(text))
    groups: list[_Group] = []
    removed: set[int] = set()
    for index, token in enumerate(tokens):
        if token.is_("("):
            groups.append(_Group(index))
        elif token.is_(")") and groups:
            group = groups.pop()
            for opening, closing, operator in group.inner:
                if group.operators == {operator}:
                    removed |= {opening, closing}
            if groups and (chain := _find_chain(tokens, group, index)) is not None:
                groups[-1].inner.append((group.opening, index, chain))
        elif token.is_(*_OPERATORS) and groups:
            groups[-1].operators.add(token.text)
    pieces, at = [], 0
    for index in sorted(removed):
        pieces.append(text[at : tokens[index].start])
        at = tokens[index].end
    return "".join([*pieces, text[at:]])


def _find_chain(tokens: list[SqlToken], group: _Group, closing: int) -> str | None:
    """Returns the operator of a group that is a chain of one operator and an operand of the same one, else None."""
    if len(group.operators) != 1 or closing + 1 == len(tokens):
        return None
    (operator,) = group.operators
    before, after = tokens[group.opening - 1], tokens[closing + 1]
    is_operand = before.is_(operator) or after.is_(operator)
    return operator if is_operand and before.is_(operator, "(") and after.is_(operator, ")") else None
