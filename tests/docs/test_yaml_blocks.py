"""The YAML of the pages is accepted by the CRDs."""

from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from tests.docs.blocks import ROOT, Block, find_pages, parse_blocks
from tests.support.yaml_files import read_yaml

BLOCKS = [block for page in find_pages() for block in parse_blocks(page) if block.language == "yaml"]
GROUP = "capydb.dev/"


@cache
def _read_schemas() -> dict[str, Any]:
    """Returns kind → schema, with unknown fields refused as `kubectl apply` refuses them."""
    schemas = {}
    for path in (ROOT / "crds").glob("*.yaml"):
        body = read_yaml(path)
        schema = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
        _close(schema)
        schemas[body["spec"]["names"]["kind"]] = schema
    return schemas


def _close(schema: dict[str, Any]) -> None:
    if schema.pop("x-kubernetes-int-or-string", None):
        schema["type"] = ["integer", "string"]
    if properties := schema.get("properties"):
        schema.setdefault("additionalProperties", False)
        for child in properties.values():
            _close(child)
    if items := schema.get("items"):
        _close(items)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.title)
def test_every_object_has_fields_that_exist(block: Block) -> None:
    for body in yaml.safe_load_all(block.text):
        if "kind" in block.marks:
            kind, complete = block.marks["kind"], "kind" in body
        elif str(body.get("apiVersion", "")).startswith(GROUP):
            kind, complete = body["kind"], True
        else:
            assert "apiVersion" in body, "a part of an object names its kind: <!-- kind: PostgresImport -->"
            continue
        schema = _read_schemas()[kind]
        errors = jsonschema.Draft202012Validator(schema).iter_errors(body)
        # A part of an object may lack what the whole needs.
        assert [error.message for error in errors if complete or error.validator != "required"] == []
