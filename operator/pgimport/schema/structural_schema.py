"""Builds structural schemas, as CustomResourceDefinitions need them, from pydantic models.

Defaults are omitted, so that an object keeps exactly what its author wrote and GitOps tools see no difference. A JSON
schema keyword that this module does not know is an error.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

# additionalProperties is omitted unless it is the type of a map's values: the API server refuses or prunes unknown
# fields of a structural schema by itself.
_DROPPED = frozenset({"title", "default", "examples", "additionalProperties", "$defs"})
_KEPT = frozenset(
    {
        "description",
        "enum",
        "format",
        "maximum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minimum",
        "minItems",
        "minLength",
        "pattern",
        "required",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
)
# These keys come before the fields, because a reader looks for them first.
_FIRST = ("type", "description", "required")
_TYPES = frozenset({"array", "boolean", "integer", "number", "object", "string"})


class NotStructural(ValueError):
    """A model has a field that a structural schema cannot express. The message names the field."""


def build_schema(model: type[BaseModel]) -> Schema:
    """Builds the schema of a model, with the field names of the resource."""
    source = model.model_json_schema(by_alias=True)
    return _convert(source, source.get("$defs", {}), model.__name__)


def _convert(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    result: Schema = {}
    for key, value in _resolve_references(node, definitions, path).items():
        if key == "additionalProperties" and isinstance(value, dict):
            result[key] = _convert(value, definitions, f"{path}{{}}")
            continue
        if key == "additionalProperties" and value is not False:
            raise NotStructural(f"{path}: a map of arbitrary values; name the fields or the type of the values")
        if key in _DROPPED:
            continue
        if key == "type":
            result[key] = _check_type(value, path)
        elif key == "properties":
            result[key] = {
                name: _convert(property_, definitions, f"{path}.{name}") for name, property_ in value.items()
            }
        elif key == "items":
            result[key] = _convert(value, definitions, f"{path}[]")
        elif key == "const":
            result["enum"] = [value]
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            result[key.removeprefix("exclusive").lower()] = value
            result[key] = True
        elif key == "uniqueItems":
            result["x-kubernetes-list-type"] = "set"
        elif key in _KEPT:
            # a copy, because YAML prints a list that is used twice as an alias
            result[key] = list(value) if isinstance(value, list) else value
        else:
            raise NotStructural(f"{path}: {key} is not allowed in a structural schema; choose another shape")
    if "type" not in result and "x-kubernetes-int-or-string" not in result:
        raise NotStructural(f"{path}: no type; choose another shape")
    return {**{key: result[key] for key in _FIRST if key in result}, **result}


def _resolve_references(node: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Schema:
    """Replaces `$ref` by its definition and removes the union with null of an optional field."""
    rest = {key: value for key, value in node.items() if key not in ("$ref", "anyOf", "allOf")}
    if "$ref" in node:
        target = definitions[str(node["$ref"]).removeprefix("#/$defs/")]
        return _resolve_references({**target, **rest}, definitions, path)
    for union in ("anyOf", "allOf"):
        if union in node:
            branches = [branch for branch in node[union] if branch != {"type": "null"}]
            if len(branches) != 1:
                raise NotStructural(f"{path}: a union of {len(branches)} shapes; choose one")
            return _resolve_references({**branches[0], **rest}, definitions, path)
    return rest


def _check_type(value: object, path: str) -> str:
    if value not in _TYPES:
        raise NotStructural(f"{path}: type {value!r} is not allowed in a structural schema")
    return str(value)
