"""Lets the CHECKs and foreign keys of a table wait until the rows of the whole file are there.

They may read rows that come later, and the source's own rows may violate them. So they are dropped before the first
rows of their table, and added at the end, if need be NOT VALID. The server itself prints name and definition. So the
form in the file has no meaning: in CREATE TABLE with or without a name, in ADD COLUMN, by LIKE, or inherited.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.archive.trim import CHECK
from pgimport.worker.engines.file.plain_executor import PlainExecutor
from pgimport.worker.engines.file.plain_statement import Statement
from pgimport.worker.engines.file.statement_subject import Subject
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.text import quote_name

# Statements that change, copy or need the constraints of a table or what they name: verb → words, if not always.
_NEEDS_CONSTRAINTS: dict[str, frozenset[str] | None] = {
    "alter": frozenset({"attach", "detach", "drop", "inherit", "rename", "schema", "type"}),
    "create": frozenset({"like"}),
    "call": None,
    "delete": None,
    "do": None,
    "drop": None,
    "merge": None,
    "truncate": None,
    "update": None,
    "with": None,
}
NOT_VALID = " NOT VALID"
_KINDS = {"c": CHECK, "f": "FK CONSTRAINT"}  # pg_constraint.contype → kind of an archive's entry


@dataclass
class WaitingConstraints:
    """The CHECKs and foreign keys that are dropped at the moment."""

    executor: PlainExecutor
    settings: dict[str, bytes]  # those of the file at the moment
    _waiting: list[Statement] = field(default_factory=list)  # in the order in which they were dropped

    def release(self, table: str, line: int) -> None:
        """Drops the constraints that rows of a table meet. `table`: its name in the file. Raises ImportStopped.

        If one of them cannot be dropped, all stay.
        """
        settings = tuple(self.settings.values())
        for kind, schema, relation, name, definition in _parse(self.executor.run_block(_build_release(table))):
            subject = Subject(_KINDS[kind], schema, f"{relation} {name}", relation)
            if self.executor.content.withdraw_not_valid(subject.title):  # rows that violated it may be deleted
                definition = definition.removesuffix(NOT_VALID)
            text = f"ALTER TABLE {quote_name(schema, relation)} ADD CONSTRAINT {quote_name(name)} {definition};"
            self._waiting.append(Statement(text.encode(self.executor.codec), line, text, subject, settings=settings))

    def must_return_before(self, statement: Statement) -> bool:
        """Returns whether a statement would not do the same without the constraints that wait."""
        if not self._waiting or statement.verb not in _NEEDS_CONSTRAINTS:
            return False
        words = _NEEDS_CONSTRAINTS[statement.verb]
        is_other = statement.verb == "create" and (statement.subject is None or statement.subject.kind != "TABLE")
        return not is_other and (words is None or not words.isdisjoint(parse_tokens(statement.definition)))

    def save(self) -> Callable[[], None]:
        """Remembers which constraints wait. Returns a function that restores it, after a ROLLBACK of the file."""
        saved = list(self._waiting)

        def restore() -> None:
            self._waiting = list(saved)

        return restore

    def take(self) -> list[Statement]:
        """Returns the statements that add all constraints again, those of children before their parent's.

        A child that has a constraint on its own can only get it before its parent, whose constraint is then merged.
        """
        statements, self._waiting = self._waiting[::-1], []
        return statements


def _build_release(table: str) -> str:
    """Returns a block of PL/pgSQL that drops the constraints, and leaves their definitions in `shown`. Pure."""
    delimiter = "$taker$"
    name = "" if delimiter in table else table
    return (
        "DECLARE waiting record; released jsonb := '[]'; has_more boolean; below oid[]; above oid[]; parents oid[];"
        f" taker oid := pg_catalog.to_regclass({delimiter}{name}{delimiter}); BEGIN\n"
        f"{read_query('engines/release_constraints').decode()}"
        "shown := pg_catalog.encode(pg_catalog.convert_to(released::text, 'UTF8'), 'hex'); END;"
    )


def _parse(shown: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields kind, schema, table, name and definition of each constraint. Pure."""
    yield from json.loads(bytes.fromhex(shown) or "[]")
