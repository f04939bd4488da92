"""Checks that fields of the resources and of the HTTP API are described by full sentences.

Fields of the CRDs, columns of `kubectl get` and the OpenAPI document take their descriptions from the models.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgimport.schema.crd import KINDS, Kind, build_root

OPENAPI = Path(__file__).parents[2] / "operator" / "openapi.json"
FRAGMENT_STARTS = ("Of", "As", "Once", "Over", "Whose", "Without", "Only", "Its", "With", "For", "By", "When", "Where")


def find_fault(description: str) -> str | None:
    """Returns what keeps a description from being a full sentence, or None."""
    if not re.fullmatch(r"[A-Z].*\.", description, re.DOTALL):
        return "it must start with a capital letter and end with a period"
    sentences = re.split(r"(?<=[.:]) (?=[A-Z])", description)
    if len(sentences[0].split()) < 4:
        return "its first sentence must have at least four words"
    starts = [sentence.split()[0] for sentence in sentences]
    if faults := [start for start in starts if start in FRAGMENT_STARTS]:
        return f"a sentence must not start with {faults[0]}"
    return None


def find_faults(descriptions: dict[str, str]) -> dict[str, str]:
    return {path: fault for path, text in descriptions.items() if (fault := find_fault(text))}


def list_fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Lists the fields below a schema: path and description, which is empty if there is none."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field.get("description", "")
        yield from list_fields(field.get("items", field), f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_each_field_and_column_of_a_resource_is_described_by_a_full_sentence(kind: Kind) -> None:
    root = build_root(kind)
    properties = root["properties"]
    descriptions = {kind.kind: root["description"]}
    descriptions |= {f"column {column.name}": column.to_json(root)["description"] for column in kind.columns}
    for part in ("spec", "status"):
        descriptions |= {part: properties[part]["description"], **dict(list_fields(properties[part], part))}
    assert len(descriptions) > 20
    assert find_faults(descriptions) == {}


def test_each_field_of_the_http_api_is_described_by_a_full_sentence() -> None:
    schemas = json.loads(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    descriptions: dict[str, str] = {}
    for name, schema in schemas.items():
        if name.endswith("Answer"):  # its only field holds the described object
            continue
        descriptions |= {name: schema.get("description", ""), **dict(list_fields(schema, name))}
    assert len(descriptions) > 50
    assert find_faults(descriptions) == {}


@pytest.mark.parametrize(
    "description",
    [
        "Of the spec.",
        "project.import",
        "Name of the",
        "",
        "The name.",
        "Its name is here.",
        "The name is X. Of the spec.",
    ],
)
def test_a_fragment_is_not_a_full_sentence(description: str) -> None:
    assert find_fault(description) is not None
