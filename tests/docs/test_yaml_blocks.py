"""The YAML of the pages is accepted by the CRDs."""

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from tests.docs.blocks import Block, find_pages, parse_blocks
from tests.docs.crd_schemas import read_schemas

BLOCKS = [block for page in find_pages() for block in parse_blocks(page) if block.language == "yaml"]
GROUP = "capydb.dev/"


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
        schema = read_schemas()[kind]
        errors = jsonschema.Draft202012Validator(schema).iter_errors(body)
        # A part of an object may lack what the whole needs.
        assert [error.message for error in errors if complete or error.validator != "required"] == []
