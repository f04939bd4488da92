"""Builds the Markdown page with a table of the fields of each kind."""

from collections.abc import Iterator

from pgimport.model import names
from pgimport.schema.crd import KINDS, Kind, build_root
from pgimport.schema.structural_schema import Schema

_INTRODUCTION = f"""# Fields

This page lists every field of the four resources.

API version `{names.API_VERSION}`. A field in **bold** is required if its parent is present.
"""


def build_page() -> str:
    """Builds the page of all kinds. The fields of `spec` come before those of `status`."""
    return "\n".join([_INTRODUCTION, *(_build_section(kind) for kind in KINDS)])


def _build_section(kind: Kind) -> str:
    properties = build_root(kind)["properties"]
    lines = [f"## {kind.kind}", "", kind.description, ""]
    for part in ("spec", "status"):
        lines += ["| field | type | meaning |", "|---|---|---|", *_build_rows(properties[part], part), ""]
    return "\n".join(lines)


def _build_rows(schema: Schema, parent: str) -> Iterator[str]:
    required = schema.get("required", [])
    for name, property_ in schema.get("properties", {}).items():
        path = f"{parent}.{name}"
        label = f"**`{path}`**" if name in required and parent.startswith("spec") else f"`{path}`"
        yield f"| {label} | {_format_type(property_)} | {_escape_cell(property_.get('description', ''))} |"
        yield from _build_rows(property_.get("items", property_), f"{path}[]" if "items" in property_ else path)


def _format_type(schema: Schema) -> str:
    if "x-kubernetes-int-or-string" in schema:
        return "quantity"
    if "items" in schema:
        return f"list of {_format_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map of {_format_type(schema['additionalProperties'])}"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    return "time" if schema.get("format") == "date-time" else str(schema["type"])


def _escape_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
