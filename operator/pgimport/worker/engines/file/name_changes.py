"""Tells which objects a statement drops, renames or moves to another schema. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pgimport.worker.archive.sql_tokens import SqlToken, scan_tokens
from pgimport.worker.engines.file.search_path import SearchPath
from pgimport.worker.engines.file.statement_subject import ON_A_RELATION, WITH_ARGUMENTS, Subject
from pgimport.worker.engines.file.token_reader import TokenReader

RELATIONS = frozenset({"FOREIGN TABLE", "INDEX", "MATERIALIZED VIEW", "SEQUENCE", "TABLE", "VIEW"})
_ROUTINES = WITH_ARGUMENTS
_TYPES = frozenset({"DOMAIN", "SHELL TYPE", "TYPE"})
_CONSTRAINTS = frozenset({"CHECK CONSTRAINT", "CONSTRAINT", "FK CONSTRAINT"})
_GROUPS = (RELATIONS, _ROUTINES, _TYPES, _CONSTRAINTS)  # kinds that share their names

Name = tuple[str, str]  # schema, name


@dataclass(frozen=True, slots=True)
class NameChange:
    """One object that is dropped, renamed or moved. `new`: schema and name that it gets, None if it is dropped."""

    kind: str
    old: Name  # the schema is empty for a schema
    new: Name | None
    relation: str | None = None  # of a trigger, rule, policy or constraint: the name of its table

    def apply(self, subject: Subject) -> Subject | None:
        """Returns another object as it is named after the change, or None if it is dropped with this one."""
        if self.kind == "SCHEMA":
            return self._apply_to_content(subject)
        if subject.schema != self.old[0]:
            return subject
        if self.kind in RELATIONS and subject.relation == self.old[1]:
            return self._apply_to_part(subject)
        relation = None if self.kind in RELATIONS else subject.relation
        if subject.kind not in _find_group(self.kind) or (relation, subject.name) != (self.relation, self.old[1]):
            return subject
        if self.new is None or subject.kind in _ROUTINES:  # the arguments may be those of another routine
            return None
        tag = f"{self.relation} {self.new[1]}" if self.relation else self.new[1]
        return replace(subject, schema=self.new[0], tag=tag)

    def apply_to_name(self, name: Name) -> Name | None:
        """Returns schema and name of a relation after the change, or None if it is dropped."""
        subject = self.apply(Subject("TABLE", *name))
        return None if subject is None else (subject.schema, subject.tag)

    def _apply_to_content(self, subject: Subject) -> Subject | None:
        if subject.kind == "SCHEMA" and subject.tag == self.old[1]:
            return None if self.new is None else replace(subject, tag=self.new[1])
        if subject.schema != self.old[1]:
            return subject
        return None if self.new is None else replace(subject, schema=self.new[1])

    def _apply_to_part(self, subject: Subject) -> Subject | None:
        if self.new is None:
            return None
        has_relation = subject.tag.startswith(f"{subject.relation} ")  # the name of an index stands alone
        tag = f"{self.new[1]} {subject.name}" if has_relation else subject.tag
        return replace(subject, schema=self.new[0], tag=tag, relation=self.new[1])


def parse_name_changes(definition: str, path: SearchPath) -> tuple[NameChange, ...]:
    """Returns what DROP or ALTER … RENAME or SET SCHEMA changes. `path`: finds schemas."""
    tokens = list(scan_tokens(definition))
    reader = TokenReader(tokens, 1, path)
    if tokens and tokens[0].is_("drop"):
        return tuple(_read_dropped(reader))
    if tokens and tokens[0].is_("alter"):
        return tuple(_read_altered(reader))
    return ()


def _find_group(kind: str) -> frozenset[str]:
    return next((group for group in _GROUPS if kind in group), frozenset({kind}))


def _read_dropped(reader: TokenReader) -> Iterator[NameChange]:
    kind = reader.kind()
    if kind is None:
        return
    reader.skip("concurrently")
    reader.skip("if", "exists")
    if kind in ON_A_RELATION:
        name = reader.word()
        reader.skip("on")
        schema, relation = reader.name()
        yield NameChange(kind, (schema, name), None, relation)
        return
    while reader.at < len(reader.tokens):
        schema, name = reader.name()
        yield NameChange(kind, ("" if kind == "SCHEMA" else schema, name), None)
        reader.skip_parentheses()
        if not reader.skip(","):
            return


def _read_altered(reader: TokenReader) -> Iterator[NameChange]:
    kind = reader.kind()
    if kind is None:
        return
    reader.skip("if", "exists")
    reader.skip("only")
    if kind in ON_A_RELATION:
        name = reader.word()
        reader.skip("on")
        schema, relation = reader.name()
        if reader.skip("rename", "to"):
            yield NameChange(kind, (schema, name), (schema, reader.word()), relation)
        return
    schema, name = reader.name()
    schema = "" if kind == "SCHEMA" else schema
    reader.skip("*")
    reader.skip_parentheses()
    if reader.skip("rename", "to"):
        yield NameChange(kind, (schema, name), (schema, reader.word()))
    elif reader.skip("rename", "constraint"):
        old = reader.word()
        reader.skip("to")
        yield NameChange("CONSTRAINT", (schema, old), (schema, reader.word()), name)
    elif reader.skip("set", "schema"):
        yield NameChange(kind, (schema, name), (reader.word(), name))
    elif kind == "TABLE" and (dropped := _find_dropped_constraint(reader.tokens[reader.at :])) is not None:
        yield NameChange("CONSTRAINT", (schema, dropped), None, name)


def _find_dropped_constraint(tokens: list[SqlToken]) -> str | None:
    words = [token.text for token in tokens if not token.is_("if", "exists")]
    return words[2] if words[:2] == ["drop", "constraint"] and len(words) > 2 else None
