"""Removes the tablespaces from the statements of plain SQL. Pure.

Tablespaces are directories of the source's server, so no import copies them. pg_dump itself writes them only as
`SET default_tablespace`, but other tools write clauses.
"""

from collections.abc import Iterator, Sequence

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens

_WORD = "tablespace"
# Words behind which `tablespace` is the name of an object: the word is not reserved.
_BEFORE_NAMES = (
    "add", "alter", "column", "constraint", "drop", "exists", "index", "of", "on", "only", "partition", "references",
    "rename", "table", "to", "view", ".",
)  # fmt: skip
_ENDS = ("as", "where")  # words behind which CREATE TABLE, INDEX and MATERIALIZED VIEW have expressions


def remove_tablespaces(definition: str) -> str:
    """Returns a statement that creates a table, index, materialised view or key without its TABLESPACE clauses."""
    if _WORD not in definition.lower():
        return definition
    kept, at = list[str](), 0
    for begin, end in _find_clauses(list(scan_tokens(definition))):
        kept.append(definition[at:begin].rstrip())
        at = end
    return "".join([*kept, definition[at:]])


def _find_clauses(tokens: Sequence[SqlToken]) -> Iterator[tuple[int, int]]:
    """Yields begin and end of `USING INDEX TABLESPACE x`, `TABLESPACE x` behind the columns, `, SET TABLESPACE x`."""
    depth = 0
    for index, token in enumerate(tokens[:-1]):
        depth += token.is_("(") - token.is_(")")
        if depth == 0 and token.is_(*_ENDS):
            return
        before, name = tokens[max(index - 2, 0) : index], tokens[index + 1]
        if not token.is_(_WORD) or not before or not (name.quoted or name.text[0].isalpha() or name.text[0] == "_"):
            continue
        starts_action = depth == 0 and before[0].is_(",") and before[-1].is_("set")
        if starts_action or (before[0].is_("using") and before[-1].is_("index")):
            yield before[0].start, name.end
        elif depth == 0 and before[-1].is_("set"):
            if tokens[min(index + 2, len(tokens) - 1)].is_(","):
                yield before[-1].start, tokens[index + 2].end
        elif depth == 0 and not before[-1].is_(*_BEFORE_NAMES):
            yield token.start, name.end
