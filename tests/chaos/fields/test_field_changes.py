"""Checks that every field of the committed CRDs is changed, and that a new one cannot be forgotten."""

import re
from dataclasses import replace

import pytest
from pydantic import BaseModel
from tests.chaos.fields import sample_values as samples
from tests.chaos.fields.crd_schema import ITEM, KINDS, Json, SchemaNode, rule_messages, schema_nodes
from tests.chaos.fields.field_changes import (
    NotDerivable,
    build_complete_spec,
    derive_all_changes,
    derive_changes,
    set_fields,
)
from tests.chaos.fields.sample_values import ABSENT

from pgimport.model.import_spec import ImportSpec
from pgimport.model.preview_spec import PreviewSpec
from pgimport.model.project_spec import ProjectSpec
from pgimport.model.schedule_spec import ScheduleSpec

MODELS: dict[str, type[BaseModel]] = {
    "Project": ProjectSpec,
    "PreviewDatabase": PreviewSpec,
    "PostgresImport": ImportSpec,
    "PostgresImportSchedule": ScheduleSpec,
}
ALL_NODES = [node for kind in KINDS for node in schema_nodes(kind)]


@pytest.mark.parametrize("node", ALL_NODES, ids=lambda node: node.title)
def test_every_field_has_a_valid_and_an_invalid_change(node: SchemaNode) -> None:
    changes = derive_changes(node)
    assert any(not change.valid for change in changes)
    # A required object, or one in a list, is changed through its fields.
    is_part = node.required or node.path[-1:] == (ITEM,)
    assert any(change.valid for change in changes) or (node.type == "object" and is_part)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cel_rule_is_broken(kind: str) -> None:
    assert [message for message in rule_messages(kind) if message not in samples.RULE_VIOLATIONS] == []


@pytest.mark.parametrize("kind", KINDS)
def test_sample_values_exist_only_for_fields_of_the_crds(kind: str) -> None:
    fields = {node.field for node in schema_nodes(kind)}
    tables = (
        samples.VALUES,
        samples.EXPECTED_REASONS,
        samples.REQUIRED_CHANGES,
        samples.REQUIRED_BY_REMOVAL,
        samples.FORBIDDEN_VALUES,
    )
    sampled_fields = {field for table in tables for (table_kind, field) in table if table_kind == kind}
    sampled_fields |= {field for (table_kind, field, _) in samples.EXPECTED_REASONS_OF_VALUES if table_kind == kind}
    assert sampled_fields <= fields


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_reads_a_complete_spec(kind: str) -> None:
    spec = build_complete_spec(kind)
    assert MODELS[kind].model_validate(spec)
    excluded = {field for excluded_kind, field in samples.EXCLUDED_FROM_COMPLETE if excluded_kind == kind}
    assert spec.keys() | excluded >= {node.field for node in schema_nodes(kind) if len(node.path) == 1}


UNDERIVABLE: list[tuple[str, Json]] = [
    ("a text", {"type": "string", "maxLength": 9}),
    ("an unknown pattern", {"type": "string", "pattern": "^x+$"}),
    ("an unknown format", {"type": "string", "format": "ipv4"}),
]


@pytest.mark.parametrize("schema", [schema for _, schema in UNDERIVABLE], ids=[name for name, _ in UNDERIVABLE])
def test_a_new_field_cannot_be_forgotten(schema: Json) -> None:
    with pytest.raises(NotDerivable, match=re.escape("PreviewDatabase spec.colour")):
        derive_changes(SchemaNode("PreviewDatabase", ("colour",), schema, required=False))


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_does_not_modify_the_original_spec(kind: str) -> None:
    spec = build_complete_spec(kind)
    before = build_complete_spec(kind)
    for change in derive_all_changes(kind):
        changed = change.apply(spec)
        assert spec == before
        assert changed != spec or change.valid, change.title


def test_fields_are_set_and_removed() -> None:
    spec = {"a": {"b": 1}, "limits": {"maxPreviews": 1}}
    assert set_fields("Project", spec, {"limits.maxPreviews": ABSENT}) == {"a": {"b": 1}, "limits": {}}
    assert set_fields("Project", {}, {"sources.allowedCIDRs[]": "x"}) == {"sources": {"allowedCIDRs": ["x"]}}
    assert replace(derive_changes(schema_nodes("Project")[1])[0], value="y").apply({}) == {"organizationID": "y"}
