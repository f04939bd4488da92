"""Reads the fields of each kind's spec from the committed CRDs, lists and their items included."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.yaml_files import read_yaml

Json = dict[str, Any]
CRDS = Path(__file__).resolve().parents[3] / "crds"
KINDS = {
    "Project": "projects",
    "PreviewDatabase": "previewdatabases",
    "PostgresImport": "postgresimports",
    "PostgresImportSchedule": "postgresimportschedules",
}
ITEM = "[]"  # step of a path that means the items of a list
_IMMUTABLE = re.compile(r"^(\w+) is immutable")


@dataclass(frozen=True)
class SchemaNode:
    """One field of the schema below `spec`. The spec itself has an empty path."""

    kind: str
    path: tuple[str, ...]
    schema: Json = field(repr=False)
    required: bool

    @property
    def field(self) -> str:
        """Return the path below `spec`, like `server.port` or `filter.excludeTables[]`."""
        return ".".join(self.path).replace(f".{ITEM}", ITEM)

    @property
    def title(self) -> str:
        return f"{self.kind} spec{'.' if self.path else ''}{self.field}"

    @property
    def type(self) -> str:
        return "quantity" if "x-kubernetes-int-or-string" in self.schema else str(self.schema["type"])


@cache
def spec_schema(kind: str) -> Json:
    (version,) = read_yaml(CRDS / f"{KINDS[kind]}.capydb.dev.yaml")["spec"]["versions"]
    schema: Json = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


@cache
def schema_nodes(kind: str) -> tuple[SchemaNode, ...]:
    return tuple(_walk(SchemaNode(kind, (), spec_schema(kind), True)))


def _walk(node: SchemaNode) -> Iterator[SchemaNode]:
    yield node
    required = node.schema.get("required", ())
    for name, schema in node.schema.get("properties", {}).items():
        yield from _walk(SchemaNode(node.kind, (*node.path, name), schema, name in required))
    if "items" in node.schema:
        yield from _walk(SchemaNode(node.kind, (*node.path, ITEM), node.schema["items"], False))


@cache
def rule_messages(kind: str) -> tuple[str, ...]:
    """Return the messages of all CEL rules except those about immutable fields."""
    return tuple(
        rule["message"]
        for node in schema_nodes(kind)
        for rule in node.schema.get("x-kubernetes-validations", ())
        if not _IMMUTABLE.match(rule["message"])
    )


@cache
def immutable_fields(kind: str) -> frozenset[str]:
    """Return the names of the spec's immutable fields. Everything below them is immutable too."""
    rules = spec_schema(kind).get("x-kubernetes-validations", ())
    return frozenset(match[1] for rule in rules if (match := _IMMUTABLE.match(rule["message"])))


def is_immutable(node: SchemaNode) -> bool:
    return bool(node.path) and node.path[0] in immutable_fields(node.kind)
