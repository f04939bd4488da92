"""One statement of a dump with what the worker knows about it."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import pairwise

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.sql_tokens import find_top_level_tokens, parse_tokens, scan_tokens
from pgimport.worker.archive.superuser_only import find_superuser_reason
from pgimport.worker.archive.trim import ObjectName
from pgimport.worker.engines.file.name_changes import NameChange, parse_name_changes
from pgimport.worker.engines.file.plain_sql_lexer import SqlStatement
from pgimport.worker.engines.file.search_path import SearchPath
from pgimport.worker.engines.file.statement_rules import HEAD, TargetFacts, judge_statement
from pgimport.worker.engines.file.statement_subject import Subject, parse_entry_comment, parse_subject
from pgimport.worker.engines.file.tablespaces import remove_tablespaces
from pgimport.worker.postgres.refusals import UNIQUE_VIOLATION
from pgimport.worker.text import shorten_line

_MAX_TITLE = 100  # characters
_WITH_OIDS = re.compile(rb"\s+WITH\s+OIDS\s*;\Z", re.IGNORECASE)
_OIDS_OPTION = re.compile(rb"\s+WITH\s*\(\s*OIDS\s*(?:=\s*(?:TRUE|ON|1|'true'))?\s*\)(?=\s*;\Z)", re.IGNORECASE)
_LARGE_OBJECT = re.compile(r"\s*SELECT\s+(?:pg_catalog\.)?lo_create\('?[0-9]+'?\)\s*;?\s*", re.IGNORECASE)
_PLACED_KINDS = frozenset({"CONSTRAINT", "INDEX", "MATERIALIZED VIEW", "TABLE"})
ROUTINES = frozenset({"AGGREGATE", "FUNCTION", "PROCEDURE"})  # their names contain the types of arguments


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and its object. The text of a long INSERT is not kept."""

    text: bytes
    line: int  # of the dump, in which it begins
    definition: str  # its first HEAD bytes as text
    subject: Subject | None
    partition: ObjectName | None = None  # whose rows a COPY into another table has, according to pg_dump's comment
    tolerated: bool = False  # an error is ignored
    changes: tuple[NameChange, ...] = ()  # objects that it drops, renames or moves
    settings: tuple[bytes, ...] = ()  # statements that must run before it, if it runs later than in the dump

    def tolerates(self, sqlstate: str) -> bool:
        """Returns whether nothing is lost if the target refuses the statement with this SQLSTATE.

        pg_dump before 17 creates large objects in --section=pre-data and in --data-only, so a file made of both creates
        each of them twice.
        """
        return self.tolerated or (sqlstate == UNIQUE_VIOLATION and _LARGE_OBJECT.fullmatch(self.definition) is not None)

    @property
    def verb(self) -> str:
        """Returns the first word, such as `create`."""
        return self.definition.split(None, 1)[0].lower().rstrip(";") if self.definition.strip() else ""

    @property
    def fills_rows(self) -> bool:
        """Whether it writes rows or the content of a large object."""
        return self.verb in ("copy", "insert") or (self.verb == "select" and "lowrite" in self.definition[:200])

    @property
    def fills_new_table(self) -> bool:
        """Whether it creates a table from the rows of a query."""
        if self.subject is None or self.subject.kind != "TABLE" or self.verb not in ("create", "select"):
            return False
        return self.verb == "select" or any(
            token.is_("as") for token in find_top_level_tokens(scan_tokens(self.definition))
        )

    @property
    def is_definition(self) -> bool:
        """Whether it creates an object that a table of contents would list."""
        if self.verb == "select":
            return self.fills_new_table
        return self.verb == "create" or (self.verb == "alter" and self.subject is not None and self.subject.is_entry)

    @property
    def access_method(self) -> str | None:
        """The access method that tables get from this statement on, or None if it sets none."""
        tokens = parse_tokens(self.definition[:200]) if self.verb == "set" else []
        return tokens[3] if tokens[1:2] == ["default_table_access_method"] and len(tokens) > 3 else None

    @property
    def changes_object(self) -> bool:
        """Whether it only changes an object that exists, as ADD COLUMN does.

        ADD MAPPING does not: pg_dump completes each text search configuration with it.
        """
        kind = self.subject.kind.split() if self.subject is not None else []
        words = self.definition[:_MAX_TITLE].upper().split()
        completes = kind[:2] == ["TEXT", "SEARCH"] and ("add", "mapping") in pairwise(parse_tokens(self.definition))
        return bool(kind) and words[: len(kind) + 1] == ["ALTER", *kind] and not completes

    @property
    def populates_view(self) -> bool:
        """Whether it leaves rows in a materialised view."""
        creates_view = self.verb == "create" and self.subject is not None and self.subject.kind == "MATERIALIZED VIEW"
        if not creates_view and self.verb != "refresh":
            return False
        return parse_tokens(self.definition)[-4:-1] != ["with", "no", "data"]

    @property
    def forces_security(self) -> bool:
        """Whether row security would then hide rows from their owner, who counts them."""
        return "force" in parse_tokens(self.definition)

    def mentions_one_of(self, names: Collection[str | None]) -> bool:
        """Whether one of the names is in the statement or in its settings."""
        texts = (self.definition, *(setting.decode("utf-8", "replace") for setting in self.settings))
        return any(token.text in names for text in texts for token in scan_tokens(text))

    @property
    def title(self) -> str:
        """Kind and name of its object, or the line. A change of an object has its own words."""
        if self.changes_object:
            return shorten_line(self.definition.rstrip().rstrip(";"), _MAX_TITLE)
        return self.subject.title if self.subject else f"STATEMENT in line {self.line}"


def parse_statement(item: SqlStatement, codec: str, path: SearchPath) -> Statement:
    """Decodes a statement and finds its object, from its tokens and pg_dump's comment before it."""
    definition = item.text[:HEAD].decode(codec, "replace")
    subject = parse_subject(definition, path)
    announced = parse_entry_comment(item.comments.decode(codec, "replace")) if item.comments else None
    if subject is not None and announced is not None and _tells_more(announced, subject):
        subject = announced
    elif subject is not None and subject.kind in ROUTINES:
        subject = replace(subject, is_exact=False)
    changes = parse_name_changes(definition, path) if item.text[:5].lower() in (b"alter", b"drop ") else ()
    return Statement(
        item.text, item.line, definition, subject, partition=_find_partition(subject, announced), changes=changes
    )


def _find_partition(subject: Subject | None, announced: Subject | None) -> ObjectName | None:
    """Returns schema and name of the partition whose rows pg_dump loads through a table above it."""
    if subject is None or announced is None or not subject.kind == announced.kind == "TABLE DATA":
        return None
    name = (announced.schema, announced.tag)
    return name if name != (subject.schema, subject.tag) else None


def remove_oids(statement: Statement) -> Statement:
    """Removes WITH OIDS from CREATE TABLE: PostgreSQL 12 removed it, and a dump without --oids has no values of it."""
    text = _OIDS_OPTION.sub(b"", _WITH_OIDS.sub(b";", statement.text[-200:]))
    if text == statement.text[-200:]:
        return statement
    text = statement.text[:-200] + text
    return replace(statement, text=text, definition=text[:HEAD].decode("utf-8", "replace"))


def remove_placement(statement: Statement, codec: str) -> Statement:
    """Removes the tablespaces from a statement that creates or changes a relation."""
    if statement.verb not in ("create", "alter") or b"tablespace" not in statement.text.lower():
        return statement
    kind = statement.subject.kind if statement.subject is not None else ""
    if kind not in _PLACED_KINDS:
        return statement
    text = remove_tablespaces(statement.text.decode(codec, "surrogateescape"))
    definition = text[:HEAD].encode(codec, "surrogateescape").decode(codec, "replace")
    return replace(statement, text=text.encode(codec, "surrogateescape"), definition=definition)


def _tells_more(announced: Subject, subject: Subject) -> bool:
    """Whether pg_dump's comment says more than the tokens: it has the types of arguments, but no newlines in names."""
    if subject.kind == "TABLE" and announced.kind == "SEQUENCE":  # ALTER TABLE … ADD GENERATED … AS IDENTITY
        return True
    if subject.kind != announced.kind:
        return False
    return subject.kind in ("CAST", "TRANSFORM") or (subject.kind in ROUTINES and subject.name == announced.name)


def is_sql_routine(definition: str) -> bool:
    """Whether CREATE FUNCTION or PROCEDURE is in the language SQL with its body in a string. Pure."""
    words = [token.text for token in find_top_level_tokens(scan_tokens(definition))]
    return any(pair == ("language", "sql") for pair in pairwise(words))


def forecast_skipped(item: SqlStatement, codec: str) -> SkippedObject | None:
    """Returns the object that the import will most likely skip, for the preflight report."""
    statement = parse_statement(item, codec, SearchPath())
    verdict = judge_statement(statement.definition, statement.subject, TargetFacts())
    subject = statement.subject
    if verdict.skipped is not None or subject is None or statement.verb != "create":
        return verdict.skipped
    reason = find_superuser_reason(subject.kind, statement.definition)
    if reason is None:
        return None
    return SkippedObject(object=subject.title, reason=reason, group=SkipGroup.REFUSED)
