"""A pydantic model goes in; a structural schema, as a CustomResourceDefinition wants it, comes out.

Defaults are left out on purpose: an object keeps exactly what its author wrote, so that nothing that compares it
with Git ever sees a difference. What this module does not know is an error, never passed on unread.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# A closed set instead of additionalProperties: the API server refuses or prunes unknown fields by itself.
_DROPPED = frozenset({"title", "default", "examples", "additionalProperties", "$defs"})
_KEPT = frozenset(
    {
        "description",
        "enum",
        "format",
        "maximum",
        "maxItems",
        "maxLength",
        "minimum",
        "minItems",
        "minLength",
        "pattern",
        "required",
        "x-kubernetes-int-or-string",
        "x-kubernetes-validations",
    }
)
# What a person looks for first stands above the fields.
_FIRST = ("type", "description", "required")
_TYPES = frozenset({"array", "boolean", "integer", "number", "object", "string"})


class NotStructural(ValueError):
    """A model holds what Kubernetes cannot express; the message names the place."""


def build_schema(model: type[BaseModel]) -> Schema:
    """The schema of a model's JSON, under the names that a resource uses."""
    source = model.model_json_schema(by_alias=True)
    return _convert(source, source.get("$defs", {}), model.__name__)


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any], place: str) -> Schema:
    result: Schema = {}
    for key, value in _resolved(node, definitions, place).items():
        if key == "additionalProperties" and value is not False:
            raise NotStructural(f"{place}: a map of arbitrary keys; name the fields instead")
        if key in _DROPPED:
            continue
        if key == "type":
            result[key] = _known_type(value, place)
        elif key == "properties":
            result[key] = {
                name: _convert(property_, definitions, f"{place}.{name}") for name, property_ in value.items()
            }
        elif key == "items":
            result[key] = _convert(value, definitions, f"{place}[]")
        elif key == "const":
            result["enum"] = [value]
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            result[key.removeprefix("exclusive").lower()] = value
            result[key] = True
        elif key == "uniqueItems":
            result["x-kubernetes-list-type"] = "set"
        elif key in _KEPT:
            # A copy: YAML would print a list that is used twice as an alias.
            result[key] = list(value) if isinstance(value, list) else value
        else:
            raise NotStructural(f"{place}: {key} has no place in a structural schema; choose another shape")
    if "type" not in result and "x-kubernetes-int-or-string" not in result:
        raise NotStructural(f"{place}: no type; choose another shape")
    return {**{key: result[key] for key in _FIRST if key in result}, **result}


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any], place: str) -> Schema:
    """Without `$ref` and without the union with null that stands for an optional field."""
    rest = {key: value for key, value in node.items() if key not in ("$ref", "anyOf", "allOf")}
    if "$ref" in node:
        target = definitions[str(node["$ref"]).removeprefix("#/$defs/")]
        return _resolved({**target, **rest}, definitions, place)
    for union in ("anyOf", "allOf"):
        if union in node:
            branches = [branch for branch in node[union] if branch != {"type": "null"}]
            if len(branches) != 1:
                raise NotStructural(f"{place}: a union of {len(branches)} shapes; choose one")
            return _resolved({**branches[0], **rest}, definitions, place)
    return rest


def _known_type(value: object, place: str) -> str:
    if value not in _TYPES:
        raise NotStructural(f"{place}: type {value!r} has no place in a structural schema")
    return str(value)
