"""Finds out which extensions the objects of plain SQL need, from the names in its statements. Pure.

A name in the schema of an extension that the file itself does not create belongs to the extension, or to another one in
this schema. Bodies of functions in strings do not count: PostgreSQL stores no dependency for them either.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pgimport.model.result import SourceExtension
from pgimport.worker.archive.extension_names import find_extension
from pgimport.worker.archive.sql_tokens import parse_tokens, scan_tokens
from pgimport.worker.archive.trim import find_mentions
from pgimport.worker.engines.file.plain_statement import Statement
from pgimport.worker.scope.extension_needs import ExtensionNeeds

_NOT_IN_STRINGS = 1 << 30  # depth at which find_mentions reads no string


@dataclass
class PlainNeeds:
    """Collects the names that the statements in front of the first rows create and mention."""

    _created: set[tuple[str, str]] = field(default_factory=set)
    _mentions: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # schema, name → titles
    _is_known: bool = True

    def add(self, statement: Statement) -> None:
        """Takes one statement. Names without a schema cannot be told apart, so such a file tells nothing."""
        if statement.verb in ("set", "select") and "search_path" in statement.definition[:200]:
            words = parse_tokens(statement.definition[:200])
            self._is_known &= words[:1] == ["select"] and "'search_path', ''" in statement.definition
        subject = statement.subject
        if subject is None or not statement.is_definition or subject.kind == "EXTENSION":
            return
        self._created |= {(subject.schema, subject.name), (subject.schema, subject.tag)}
        for name in find_mentions(scan_tokens(statement.definition), _NOT_IN_STRINGS):
            self._mentions.setdefault(name, []).append(subject.title)

    def build(self, extensions: Iterable[SourceExtension]) -> ExtensionNeeds | None:
        """Returns which objects need which extension, or None if the file does not tell."""
        if not self._is_known:
            return None
        needs = ExtensionNeeds(is_partial=True)
        by_schema: dict[str, list[str]] = {}
        for item in extensions:
            by_schema.setdefault(item.schema_name or "public", []).append(item.name)
        for (schema, name), titles in self._mentions.items():
            if schema not in by_schema or (schema, name) in self._created:
                continue
            known = find_extension([(schema, name)])
            for extension in [known] if known in by_schema[schema] else by_schema[schema]:
                for title in titles:
                    needs.add(str(extension), title)
        return needs
