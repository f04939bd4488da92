"""Whether every property of the committed CRDs is changed, and whether a new one could be forgotten."""

import re
from dataclasses import replace

import pytest
from pydantic import BaseModel
from tests.chaos.fields import sample_values as known
from tests.chaos.fields.crd_schema import KINDS, Json, Property, properties, rule_messages
from tests.chaos.fields.field_changes import NotDerivable, all_changes, build_whole, derive_changes, put_fields
from tests.chaos.fields.sample_values import GONE

from pgimport.model.spec import ImportSpec, PreviewSpec, ProjectSpec

MODELS: dict[str, type[BaseModel]] = {
    "Project": ProjectSpec,
    "PreviewDatabase": PreviewSpec,
    "PostgresImport": ImportSpec,
}
ALL = [found for kind in KINDS for found in properties(kind)]


@pytest.mark.parametrize("found", ALL, ids=lambda found: found.place)
def test_every_property_has_a_valid_and_an_invalid_change(found: Property) -> None:
    changes = derive_changes(found)
    assert any(not change.valid for change in changes)
    # An object that must be there is changed by what is in it.
    assert any(change.valid for change in changes) or (found.type == "object" and found.required)


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_is_broken(kind: str) -> None:
    assert [message for message in rule_messages(kind) if message not in known.BROKEN] == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_is_known_for_a_field_that_is_none(kind: str) -> None:
    fields = {found.field for found in properties(kind)}
    tables = (known.VALUES, known.BECOMES, known.ALSO, known.FORBIDDEN)
    named = {field for table in tables for (of, field) in table if of == kind}
    named |= {field for (of, field, _) in known.EXACTLY if of == kind}
    assert named <= fields


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_reads_a_whole_spec(kind: str) -> None:
    whole = build_whole(kind)
    assert MODELS[kind].model_validate(whole)
    assert whole.keys() | {"cancel"} >= {found.field for found in properties(kind) if len(found.path) == 1}


UNKNOWN: list[tuple[str, Json]] = [
    ("a text", {"type": "string", "maxLength": 9}),
    ("an unknown pattern", {"type": "string", "pattern": "^x+$"}),
    ("an unknown format", {"type": "string", "format": "ipv4"}),
]


@pytest.mark.parametrize("schema", [schema for _, schema in UNKNOWN], ids=[name for name, _ in UNKNOWN])
def test_a_new_field_cannot_be_forgotten(schema: Json) -> None:
    with pytest.raises(NotDerivable, match=re.escape("PreviewDatabase spec.colour")):
        derive_changes(Property("PreviewDatabase", ("colour",), schema, required=False))


def test_a_change_leaves_the_spec_as_it_was() -> None:
    spec = build_whole("PostgresImport")
    before = build_whole("PostgresImport")
    for change in all_changes("PostgresImport"):
        changed = change.carry_out(spec)
        assert spec == before
        assert changed != spec or change.valid, change.place


def test_fields_are_put_and_taken_away() -> None:
    spec = {"a": {"b": 1}, "limits": {"maxPreviews": 1}}
    assert put_fields("Project", spec, {"limits.maxPreviews": GONE}) == {"a": {"b": 1}, "limits": {}}
    assert put_fields("Project", {}, {"sources.allowedCIDRs[]": "x"}) == {"sources": {"allowedCIDRs": ["x"]}}
    assert replace(derive_changes(properties("Project")[1])[0], value="y").carry_out({}) == {"organizationID": "y"}
