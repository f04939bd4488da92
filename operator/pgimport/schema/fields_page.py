"""The three kinds go in; one Markdown page with a table of every field comes out."""

from collections.abc import Iterator

from pgimport.model import names
from pgimport.schema.crd import KINDS, Kind, build_root
from pgimport.schema.structural_schema import Schema

_INTRODUCTION = f"""# Fields

This page lists every field of the three resources.

API version `{names.API_VERSION}`. A field in **bold** must be given wherever what surrounds it is given.
"""


def build_page() -> str:
    """All kinds, spec before status."""
    return "\n".join([_INTRODUCTION, *(_section(kind) for kind in KINDS)])


def _section(kind: Kind) -> str:
    properties = build_root(kind)["properties"]
    lines = [f"## {kind.kind}", "", kind.description, ""]
    for part in ("spec", "status"):
        lines += ["| field | type | meaning |", "|---|---|---|", *_rows(properties[part], part), ""]
    return "\n".join(lines)


def _rows(schema: Schema, place: str) -> Iterator[str]:
    required = schema.get("required", [])
    for name, property_ in schema.get("properties", {}).items():
        path = f"{place}.{name}"
        shown = f"**`{path}`**" if name in required and place.startswith("spec") else f"`{path}`"
        yield f"| {shown} | {_type(property_)} | {_escape(property_.get('description', ''))} |"
        yield from _rows(property_.get("items", property_), f"{path}[]" if "items" in property_ else path)


def _type(schema: Schema) -> str:
    if "x-kubernetes-int-or-string" in schema:
        return "quantity"
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    return "time" if schema.get("format") == "date-time" else str(schema["type"])


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
