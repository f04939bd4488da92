"""Splits ALTER TABLE with several actions. Pure.

PostgreSQL refuses all actions of a statement if it refuses one. So an owner that the target lacks would cost the column
that is added beside it.
"""

from collections.abc import Iterable, Iterator

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens
from pgimport.worker.engines.file.search_path import SearchPath
from pgimport.worker.engines.file.token_reader import TokenReader

Action = list[SqlToken]
# PostgreSQL runs the actions of a statement in this order: what drops or changes a type, new columns, the rest, and
# foreign keys, which may need a key of the same statement.
_DROPS, _ADDS, _OTHERS, _FOREIGN_KEYS = range(4)


def split_actions(statement: str) -> list[str]:
    """Returns statements that do the same, one for each action, in the order in which PostgreSQL runs the actions.

    Actions on the same column, or on constraints of the same name, stay together. So do columns that get other types: a
    CHECK may compare them. Other statements stay as they are.
    """
    if "," not in statement:
        return [statement]
    tokens = list(scan_tokens(statement))
    reader = TokenReader(tokens, 0, SearchPath())
    if not reader.skip("alter", "table") or reader.is_("all", "in"):
        return [statement]
    reader.skip("if", "exists")
    reader.skip("only")
    reader.name()
    reader.skip("*")
    actions = list(_split(tokens[reader.at :]))
    retyped = {_find_changed(action) for action in actions if _changes_type(action)}
    groups: dict[object, list[Action]] = {}
    for number, action in enumerate(actions):
        changed = _find_changed(action)
        groups.setdefault("types" if changed in retyped else changed or number, []).append(action)
    if len(groups) < 2:
        return [statement]
    head = statement[: tokens[reader.at].start]
    listed = sorted(groups.values(), key=lambda group: min(map(_find_rank, group)))
    return [f"{head}{', '.join(statement[item[0].start : item[-1].end] for item in group)};" for group in listed]


def only_drops(statement: str) -> bool:
    """Returns whether ALTER does nothing but drop parts of an object, such as a constraint or a default."""
    reader = TokenReader(list(scan_tokens(statement)), 1, SearchPath())
    reader.kind()
    reader.skip("if", "exists")
    reader.skip("only")
    reader.name()
    reader.skip("*")
    return all(_is_drop(action) for action in _split(reader.tokens[reader.at :]))


def _is_drop(action: Action) -> bool:
    words = [token for token in action if not token.is_("column")]
    column_drop = len(words) > 2 and words[0].is_("alter") and words[2].is_("drop")
    return column_drop or action[0].is_("drop")


def _split(tokens: Iterable[SqlToken]) -> Iterator[Action]:
    """Yields the tokens of each action."""
    depth, action = 0, Action()
    for token in tokens:
        depth += token.is_("(", "[") - token.is_(")", "]")
        if depth == 0 and token.is_(",", ";"):
            if action:
                yield action
            action = []
        else:
            action.append(token)
    if action:
        yield action


def _find_changed(action: Action) -> tuple[str, str] | None:
    """Returns kind and name of the column or constraint that is added, dropped or altered."""
    reader = TokenReader(action, 1, SearchPath())
    if not action[0].is_("add", "alter", "drop") or _adds_unnamed(action):
        return None
    kind = "constraint" if reader.skip("constraint") else "column"
    reader.skip("column")
    _ = reader.skip("if", "not", "exists") or reader.skip("if", "exists")
    return kind, reader.word()


def _adds_unnamed(action: Action) -> bool:
    return len(action) > 1 and action[1].is_("check", "exclude", "foreign", "primary", "unique")


def _changes_type(action: Action) -> bool:
    return action[0].is_("alter") and any(token.is_("type") for token in action[2:6])


def _find_rank(action: Action) -> int:
    if action[0].is_("drop") or _changes_type(action):
        return _DROPS
    if action[0].is_("add") and not _adds_unnamed(action) and not action[1:2][0].is_("constraint"):
        return _ADDS
    return _FOREIGN_KEYS if action[0].is_("add") and any(token.is_("foreign") for token in action[1:4]) else _OTHERS
