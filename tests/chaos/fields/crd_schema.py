"""The committed CRDs go in; every property of a kind's spec comes out, lists and their items included."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
CRDS = Path(__file__).resolve().parents[3] / "crds"
KINDS = {"Project": "projects", "PreviewDatabase": "previewdatabases", "PostgresImport": "postgresimports"}
ITEM = "[]"  # stands in a path for the items of a list
_IMMUTABLE = re.compile(r"^(\w+) is immutable")


@dataclass(frozen=True)
class Property:
    """One node of the schema below `spec`; the spec itself has an empty path."""

    kind: str
    path: tuple[str, ...]
    schema: Json = field(repr=False)
    required: bool

    @property
    def field(self) -> str:
        """`server.port`, `filter.excludeTables[]`: without the word spec."""
        return ".".join(self.path).replace(f".{ITEM}", ITEM)

    @property
    def place(self) -> str:
        return f"{self.kind} spec{'.' if self.path else ''}{self.field}"

    @property
    def type(self) -> str:
        return "quantity" if "x-kubernetes-int-or-string" in self.schema else str(self.schema["type"])


@cache
def spec_schema(kind: str) -> Json:
    text = (CRDS / f"{KINDS[kind]}.capydb.dev.yaml").read_text(encoding="utf-8")
    (version,) = yaml.safe_load(text)["spec"]["versions"]
    schema: Json = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


@cache
def properties(kind: str) -> tuple[Property, ...]:
    return tuple(_walk(Property(kind, (), spec_schema(kind), True)))


def _walk(found: Property) -> Iterator[Property]:
    yield found
    required = found.schema.get("required", ())
    for name, schema in found.schema.get("properties", {}).items():
        yield from _walk(Property(found.kind, (*found.path, name), schema, name in required))
    if "items" in found.schema:
        yield from _walk(Property(found.kind, (*found.path, ITEM), found.schema["items"], False))


@cache
def rule_messages(kind: str) -> tuple[str, ...]:
    """Of every rule in CEL but those of immutability."""
    return tuple(
        rule["message"]
        for found in properties(kind)
        for rule in found.schema.get("x-kubernetes-validations", ())
        if not _IMMUTABLE.match(rule["message"])
    )


@cache
def immutable_fields(kind: str) -> frozenset[str]:
    """Fields of the spec that never change, with all below them."""
    rules = spec_schema(kind).get("x-kubernetes-validations", ())
    return frozenset(match[1] for rule in rules if (match := _IMMUTABLE.match(rule["message"])))


def is_immutable(found: Property) -> bool:
    return bool(found.path) and found.path[0] in immutable_fields(found.kind)
