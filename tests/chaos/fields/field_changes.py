"""A property of a schema goes in; the changes of it that are to be tried come out, valid and invalid ones."""

import copy
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.fields import sample_values as known
from tests.chaos.fields.crd_schema import ITEM, Json, Property, properties
from tests.chaos.fields.sample_values import GONE, Meant

_WRONG_TYPE: dict[str, Any] = {
    "string": 7,
    "integer": "seven",
    "boolean": "yes",
    "object": "text",
    "array": "text",
    "quantity": True,
}
_SMALLEST, _LARGEST = 0, 2**63 - 1  # of an integer whose schema says nothing
UNKNOWN = "noSuchField"


class NotDerivable(Exception):
    """The schema says too little, and the table of values says nothing."""


@dataclass(frozen=True)
class Change:
    """One property, one value. `reasons`: any of these may the condition Ready have afterwards."""

    of: Property
    what: str
    value: Any
    also: dict[str, Any]
    reasons: tuple[str, ...] = ()  # empty for one that must be refused

    @property
    def valid(self) -> bool:
        return bool(self.reasons)

    @property
    def place(self) -> str:
        return f"{self.of.place}: {self.what}"

    def carry_out(self, spec: Json) -> Json:
        """The changed copy."""
        changed = put_fields(self.of.kind, spec, self.also)
        if not self.of.path:
            return {**changed, **self.value}
        _put(changed, self.of.kind, self.of.path, self.value)
        return changed


def _put(spec: Json, kind: str, path: tuple[str, ...], value: Any) -> None:
    """What surrounds the place is made as small as its schema allows."""
    place: Any = spec
    for depth, step in enumerate(path[:-1], 1):
        if step == ITEM:
            place = place[0]
        elif path[depth] == ITEM:
            place[step] = [None]
            place = place[step]
        else:
            place = place.setdefault(step, build_smallest(_find(kind, path[:depth])))
    if value is GONE:
        place.pop(path[-1], None)
    elif path[-1] == ITEM:
        place[0] = value
    elif isinstance(value, dict) and UNKNOWN in value:
        place[path[-1]] = {**place.get(path[-1], build_smallest(_find(kind, path))), **value}
    else:
        place[path[-1]] = value


def _find(kind: str, path: tuple[str, ...]) -> Property:
    return next(one for one in properties(kind) if one.path == path)


def build_smallest(found: Property) -> Any:
    """A valid value with only what is required in it."""
    if found.type != "object":
        return next(iter(_valid(found))).value
    return {name: build_smallest(_find(found.kind, (*found.path, name))) for name in found.schema.get("required", ())}


def derive_changes(found: Property) -> list[Change]:
    """At least one of each sort. Raises NotDerivable."""
    valid = [_accepted(found, one) for one in _valid(found)]
    if found.path and not found.required and found.path[-1] != ITEM:
        valid.append(Change(found, "left out", GONE, {}, known.HEALTHY[found.kind]))
    invalid = [Change(found, what, value, _also(found)) for what, value in _invalid(found)]
    if not invalid or (not valid and found.type != "object"):
        raise NotDerivable(f"{found.place}: its schema gives no {'valid' if invalid else 'invalid'} change")
    return [*valid, *invalid]


def _also(found: Property) -> dict[str, Any]:
    return known.ALSO.get((found.kind, found.field), {})


def _accepted(found: Property, meant: Meant) -> Change:
    place = (found.kind, found.field)
    exact = known.EXACTLY.get((*place, meant.value)) if isinstance(meant.value, str | bool) else None
    reasons = meant.reasons or exact or known.BECOMES.get(place) or known.HEALTHY[found.kind]
    return Change(found, f"= {_shown(meant.value)}", meant.value, {**_also(found), **meant.also}, reasons)


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > 2:
        return f"{len(value)} items"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:20]}… ({len(text)} characters)"


def _valid(found: Property) -> Iterator[Meant]:
    schema, place = found.schema, (found.kind, found.field)
    yield from known.VALUES.get(place, ())
    if "enum" in schema:
        yield from map(Meant, schema["enum"])
    elif "format" in schema and found.type == "string":
        yield from _of(known.FORMATS, schema["format"], found)
    elif "pattern" in schema and schema["pattern"] not in known.FREE:
        yield from _of(known.PATTERNS, schema["pattern"], found)
    elif found.type == "boolean":
        yield from (Meant(True), Meant(False))
    elif found.type == "integer":
        low, high = schema.get("minimum", _SMALLEST), schema.get("maximum", _LARGEST)
        yield from map(Meant, (low, high))
    elif found.type == "array":
        item = _find(found.kind, (*found.path, ITEM))
        values = [one.value for one in _valid(item)]
        yield Meant([])
        yield Meant(values[:2])
        yield Meant(list(itertools.islice(itertools.cycle(values), schema["maxItems"])))
    elif found.type == "string":
        yield from _texts(found)


def _texts(found: Property) -> Iterator[Meant]:
    """Whatever may be written: as short, as long and as odd as the schema allows, if no rule asks for more."""
    if (found.kind, found.field) not in known.VALUES:
        raise NotDerivable(f"{found.place}: a text without a pattern; name a value that means something")
    if "x-kubernetes-validations" in found.schema:
        return
    yield Meant("x" * found.schema.get("minLength", 0))
    yield Meant("x" * found.schema["maxLength"])
    allowed = found.schema.get("pattern", "")
    yield Meant("".join(one for one in known.ODD if re.search(allowed, one)))


def _of(table: dict[str, tuple[Meant, ...]], key: str, found: Property) -> tuple[Meant, ...]:
    if key not in table:
        raise NotDerivable(f"{found.place}: no values are known for {key}")
    return table[key]


def _invalid(found: Property) -> Iterator[tuple[str, Any]]:
    schema = found.schema
    if found.path:
        yield "of another type", _WRONG_TYPE[found.type]
    if found.required and found.path:
        yield "left out", GONE
    if "enum" in schema:
        yield "not in its list", "no-such-value"
    if schema.get("minLength"):
        yield "empty", ""
    if "maxLength" in schema:
        yield "too long", "x" * (schema["maxLength"] + 1)
    if "pattern" in schema:
        if not re.search(schema["pattern"], " ! "):
            yield "against its pattern", " ! "
        yield from _nonsense(known.NONSENSE.get(schema["pattern"], ()))
    if schema.get("format") == "date-time":
        yield "no time", "yesterday"
    if "minimum" in schema:
        yield "below its minimum", schema["minimum"] - 1
    if "maximum" in schema:
        yield "above its maximum", schema["maximum"] + 1
    if "maxItems" in schema:
        item = next(iter(_valid(_find(found.kind, (*found.path, ITEM))))).value
        yield "too many", [item] * (schema["maxItems"] + 1)
    if found.type == "object":
        yield "with an unknown field", {UNKNOWN: 1}
    yield from _nonsense(known.FORBIDDEN.get((found.kind, found.field), ()))


def _nonsense(values: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    for value in values:
        yield f"nonsense {_shown(value)}", value


def put_fields(kind: str, spec: Json, values: dict[str, Any]) -> Json:
    """A copy with these fields, by their dotted paths."""
    changed = copy.deepcopy(spec)
    for name, value in values.items():
        _put(changed, kind, tuple(name.replace(ITEM, f".{ITEM}").split(".")), value)
    return changed


def all_changes(kind: str) -> list[Change]:
    """Of every property of a kind. Raises NotDerivable."""
    return [change for found in properties(kind) for change in derive_changes(found)]


def build_whole(kind: str) -> Json:
    """A valid spec in which every field stands, but for those that another one excludes."""
    whole: Json = _whole(_find(kind, ()))
    return whole


def _whole(found: Property) -> Any:
    if found.type != "object":
        return next(iter(_valid(found))).value
    below = (_find(found.kind, (*found.path, name)) for name in found.schema["properties"])
    return {one.path[-1]: _whole(one) for one in below if (found.kind, one.field) not in known.APART}
