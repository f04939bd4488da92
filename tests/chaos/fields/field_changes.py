"""Derives the valid and invalid changes to try from the schema of a field."""

import copy
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.fields import sample_values as samples
from tests.chaos.fields.crd_schema import ITEM, Json, SchemaNode, schema_nodes
from tests.chaos.fields.sample_values import ABSENT, SampleValue

_WRONG_TYPE: dict[str, Any] = {
    "string": 7,
    "integer": "seven",
    "boolean": "yes",
    "object": "text",
    "array": "text",
    "quantity": True,
}
_MINIMUM, _MAXIMUM = 0, 2**63 - 1  # for an integer whose schema has no limits
UNKNOWN = "noSuchField"


class NotDerivable(Exception):
    """Neither the schema nor the table of sample values gives a value to try."""


@dataclass(frozen=True)
class Change:
    """One value for one field. Afterwards the condition Ready must have one of `reasons`."""

    node: SchemaNode
    description: str
    value: Any
    other_fields: dict[str, Any]
    reasons: tuple[str, ...] = ()  # empty if the change must be refused

    @property
    def valid(self) -> bool:
        return bool(self.reasons)

    @property
    def title(self) -> str:
        return f"{self.node.title}: {self.description}"

    def apply(self, spec: Json) -> Json:
        """Return a changed copy of the spec."""
        changed = set_fields(self.node.kind, spec, self.other_fields)
        if not self.node.path:
            return {**changed, **self.value}
        _set(changed, self.node.kind, self.node.path, self.value)
        return changed


def _set(spec: Json, kind: str, path: tuple[str, ...], value: Any) -> None:
    """Set a value in place. Missing objects around it are created with their required fields only."""
    container: Any = spec
    for depth, step in enumerate(path[:-1], 1):
        if step == ITEM:
            container = container[0]
        elif path[depth] == ITEM:
            container[step] = [build_minimal_value(_find(kind, path[: depth + 1]))]
            container = container[step]
        else:
            container = container.setdefault(step, build_minimal_value(_find(kind, path[:depth])))
    if value is ABSENT:
        container.pop(path[-1], None)
    elif path[-1] == ITEM:
        container[0] = value
    elif isinstance(value, dict) and UNKNOWN in value:
        container[path[-1]] = {**container.get(path[-1], build_minimal_value(_find(kind, path))), **value}
    else:
        container[path[-1]] = value


def _find(kind: str, path: tuple[str, ...]) -> SchemaNode:
    return next(node for node in schema_nodes(kind) if node.path == path)


def build_minimal_value(node: SchemaNode) -> Any:
    """Build a valid value with the required fields only."""
    if node.type != "object":
        return next(iter(_derive_valid_values(node))).value
    return {name: build_minimal_value(_find(node.kind, (*node.path, name))) for name in node.schema.get("required", ())}


def derive_changes(node: SchemaNode) -> list[Change]:
    """Derive the changes of a field: at least one valid and one invalid. Raises NotDerivable."""
    valid = [_build_valid_change(node, sample) for sample in _derive_valid_values(node)]
    if node.path and not node.required and node.path[-1] != ITEM:
        required = samples.REQUIRED_BY_REMOVAL.get((node.kind, node.field), {})
        valid.append(Change(node, "missing", ABSENT, required, samples.HEALTHY[node.kind]))
    invalid = [
        Change(node, description, value, _find_required_changes(node))
        for description, value in _derive_invalid_values(node)
    ]
    if not invalid or (not valid and node.type != "object"):
        raise NotDerivable(f"{node.title}: its schema gives no {'valid' if invalid else 'invalid'} change")
    return [*valid, *invalid]


def _find_required_changes(node: SchemaNode) -> dict[str, Any]:
    return samples.REQUIRED_CHANGES.get((node.kind, node.field), {})


def _build_valid_change(node: SchemaNode, sample: SampleValue) -> Change:
    key = (node.kind, node.field)
    exact = (
        samples.EXPECTED_REASONS_OF_VALUES.get((*key, sample.value)) if isinstance(sample.value, str | bool) else None
    )
    reasons = sample.reasons or exact or samples.EXPECTED_REASONS.get(key) or samples.HEALTHY[node.kind]
    return Change(
        node,
        f"= {_shorten(sample.value)}",
        sample.value,
        {**_find_required_changes(node), **sample.other_fields},
        reasons,
    )


def _shorten(value: Any) -> str:
    if isinstance(value, list) and len(value) > 2:
        return f"{len(value)} items"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:20]}… ({len(text)} characters)"


def _derive_valid_values(node: SchemaNode) -> Iterator[SampleValue]:
    schema, key = node.schema, (node.kind, node.field)
    yield from samples.VALUES.get(key, ())
    if "enum" in schema:
        if key not in samples.VALUES:
            yield from map(SampleValue, schema["enum"])
    elif "format" in schema and node.type == "string":
        yield from _look_up(samples.VALUES_OF_FORMATS, schema["format"], node)
    elif "pattern" in schema and schema["pattern"] not in samples.FREE_TEXT_PATTERNS:
        yield from _look_up(samples.VALUES_OF_PATTERNS, schema["pattern"], node)
    elif node.type == "boolean":
        forbidden = samples.FORBIDDEN_VALUES.get(key, ())
        yield from (SampleValue(value) for value in (True, False) if value not in forbidden)
    elif node.type == "integer":
        low, high = schema.get("minimum", _MINIMUM), schema.get("maximum", _MAXIMUM)
        yield from map(SampleValue, (low, high))
    elif node.type == "array":
        item = _find(node.kind, (*node.path, ITEM))
        values = [sample.value for sample in _derive_valid_values(item)] or [build_minimal_value(item)]
        yield SampleValue([])
        yield SampleValue(values[:2])
        yield SampleValue(_name_apart(list(itertools.islice(itertools.cycle(values), schema["maxItems"]))))
    elif node.type == "string":
        yield from _derive_texts(node)


def _name_apart(items: list[Any]) -> list[Any]:
    """Give each of these items a name of its own, if they have names: a rule may want that."""
    if not all(isinstance(item, dict) and "name" in item for item in items):
        return items
    return [item | {"name": f"{item['name']}-{number}"} for number, item in enumerate(items)]


def _derive_texts(node: SchemaNode) -> Iterator[SampleValue]:
    """Yield the shortest and the longest text that the schema allows, and one with unusual characters.

    If a CEL rule restricts the text, only the sample values are tried.
    """
    if (node.kind, node.field) not in samples.VALUES:
        raise NotDerivable(f"{node.title}: a text without a pattern needs a value in sample_values.py")
    if "x-kubernetes-validations" in node.schema:
        return
    yield SampleValue("x" * node.schema.get("minLength", 0))
    yield SampleValue("x" * node.schema["maxLength"])
    pattern = node.schema.get("pattern", "")
    yield SampleValue("".join(character for character in samples.ODD_TEXT if re.search(pattern, character)))


def _look_up(table: dict[str, tuple[SampleValue, ...]], key: str, node: SchemaNode) -> tuple[SampleValue, ...]:
    if key not in table:
        raise NotDerivable(f"{node.title}: no values are known for {key}")
    return table[key]


def _derive_invalid_values(node: SchemaNode) -> Iterator[tuple[str, Any]]:
    schema = node.schema
    if node.path:
        yield "of another type", _WRONG_TYPE[node.type]
    if node.required and node.path:
        yield "missing", ABSENT
    if "enum" in schema:
        yield "not in its list", "no-such-value"
    if schema.get("minLength"):
        yield "empty", ""
    if "maxLength" in schema:
        yield "too long", "x" * (schema["maxLength"] + 1)
    if "pattern" in schema:
        if not re.search(schema["pattern"], " ! "):
            yield "against its pattern", " ! "
        yield from _describe_forbidden(samples.FORBIDDEN_DESPITE_PATTERN.get(schema["pattern"], ()))
    if schema.get("format") == "date-time":
        yield "no time", "yesterday"
    if "minimum" in schema:
        yield "below its minimum", schema["minimum"] - 1
    if "maximum" in schema:
        yield "above its maximum", schema["maximum"] + 1
    if "maxItems" in schema:
        item = build_minimal_value(_find(node.kind, (*node.path, ITEM)))
        yield "too many", [item] * (schema["maxItems"] + 1)
    if node.type == "object" and "x-kubernetes-preserve-unknown-fields" not in schema:
        yield "with an unknown field", {UNKNOWN: 1}
    yield from _describe_forbidden(samples.FORBIDDEN_VALUES.get((node.kind, node.field), ()))


def _describe_forbidden(values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for value in values:
        yield f"nonsense {_shorten(value)}", value


def set_fields(kind: str, spec: Json, values: dict[str, Any]) -> Json:
    """Return a copy with these fields set, by their dotted paths."""
    changed = copy.deepcopy(spec)
    for name, value in values.items():
        _set(changed, kind, tuple(name.replace(ITEM, f".{ITEM}").split(".")), value)
    return changed


def derive_all_changes(kind: str) -> list[Change]:
    """Derive the changes of every field of a kind. Raises NotDerivable."""
    return [change for node in schema_nodes(kind) for change in derive_changes(node)]


def build_complete_spec(kind: str) -> Json:
    """Build a valid spec with every field except those that exclude another."""
    spec: Json = _build_complete(_find(kind, ()))
    return spec


def _build_complete(node: SchemaNode) -> Any:
    if node.type != "object":
        return next(iter(_derive_valid_values(node))).value
    children = (_find(node.kind, (*node.path, name)) for name in node.schema.get("properties", ()))
    return {
        child.path[-1]: _build_complete(child)
        for child in children
        if (node.kind, child.field) not in samples.EXCLUDED_FROM_COMPLETE
    }
