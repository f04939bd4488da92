"""Checks that the generated CRDs are up to date, valid, bounded and described."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pgimport.model.scalar_types import DURATION_PATTERN
from pgimport.schema.crd import IMPORT, KINDS, PREVIEW, PROJECT, SCHEDULE, Kind, build_crd, build_root
from pgimport.schema.generated_files import CRD_FOLDERS, GENERATED_FILES, build_document, build_files

CHECKOUT = Path(__file__).parents[2]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


@cache
def build_all_files() -> dict[str, str]:
    return build_files()


@pytest.mark.parametrize("name", GENERATED_FILES)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    content = build_all_files()[name]
    assert (CHECKOUT / name).read_text(encoding="utf-8") == content, "run `make generate` and commit what it writes"


def test_every_generated_file_is_compared() -> None:
    assert tuple(build_all_files()) == GENERATED_FILES


@pytest.mark.parametrize("folder", CRD_FOLDERS)
def test_a_folder_contains_only_generated_crds(folder: str) -> None:
    files = {path.name for path in (CHECKOUT / folder).glob("*.yaml")}
    assert files == {f"{kind.name}.yaml" for kind in KINDS}


@each_kind
def test_a_crd_is_valid(kind: Kind) -> None:
    kubernetes_validate.validate(yaml.safe_load(build_document(kind)), "1.37", strict=True)


@each_kind
def test_a_document_contains_no_yaml_alias(kind: Kind) -> None:
    assert "&id" not in build_document(kind)


@each_kind
def test_a_crd_has_category_version_and_status(kind: Kind) -> None:
    crd = build_crd(kind)
    (version,) = crd["spec"]["versions"]
    assert crd["spec"]["names"]["categories"] == ["pgimport"]
    assert version["name"] == "v1alpha1"
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] == {"observedGeneration": -1}


@each_kind
def test_a_crd_has_a_short_name_that_shows_whose_it_is(kind: Kind) -> None:
    (short,) = build_crd(kind)["spec"]["names"]["shortNames"]
    assert short.startswith("pg")


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        pytest.param(
            IMPORT,
            ["State", "Target", "Attempts", "Progress", "DataAsOf", "Skipped", "Full", "Reason", "Age"],
            id="PostgresImport",
        ),
        pytest.param(PREVIEW, ["State", "Database", "DataAsOf", "Expires", "Reason", "Age"], id="PreviewDatabase"),
        pytest.param(PROJECT, ["Ready", "Version", "Namespace", "Reason", "Age"], id="Project"),
        pytest.param(
            SCHEDULE,
            ["Schedule", "TimeZone", "Suspend", "Active", "LastSchedule", "NextSchedule", "DataAsOf", "Reason", "Age"],
            id="PostgresImportSchedule",
        ),
    ],
)
def test_a_crd_has_these_columns(kind: Kind, columns: list[str]) -> None:
    assert [column.name for column in kind.columns] == columns


def test_imports_can_be_selected_by_state_target_and_upload() -> None:
    (version,) = build_crd(IMPORT)["spec"]["versions"]
    assert [field["jsonPath"] for field in version["selectableFields"]] == [
        ".status.state",
        ".spec.target.previewDatabase",
        ".spec.source.uploadKey",
    ]


def test_the_template_of_a_schedule_may_change_and_has_the_other_rules_of_an_import() -> None:
    def list_rules(schema: dict[str, Any]) -> set[str]:
        return {rule["rule"] for rule in schema["x-kubernetes-validations"] if "oldSelf" not in rule["rule"]}

    spec = build_root(IMPORT)["properties"]["spec"]
    template = build_root(SCHEDULE)["properties"]["spec"]["properties"]["importTemplate"]
    pairs = [(template, spec)]
    pairs += [(template["properties"][name], spec["properties"][name]) for name in ("source", "target")]
    for own, imported in pairs:
        assert list_rules(own) == list_rules(imported)
        assert not [rule for rule in own["x-kubernetes-validations"] if "oldSelf" in rule["rule"]]
    assert template["properties"].keys() == spec["properties"].keys()


@each_kind
def test_a_rule_reads_a_duration_only_if_it_is_one(kind: Kind) -> None:
    """Seen before: `ttl: 1d` was refused with an error of CEL about google.protobuf.Duration, and with no advice."""
    rules = [
        rule["rule"] for _, schema in _walk(build_root(kind), "") for rule in schema.get("x-kubernetes-validations", [])
    ]
    for rule in rules:
        for field in re.findall(r"duration\(self\.(\w+)\)", rule):
            assert rule.startswith(f"!has(self.{field}) || (self.{field}.matches('{DURATION_PATTERN}') && ")


def _walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, property_ in schema.get("properties", {}).items():
        yield from _walk(property_, f"{path}.{name}")
    if "items" in schema:
        yield from _walk(schema["items"], f"{path}[]")


@each_kind
def test_each_field_that_a_user_writes_is_bounded(kind: Kind) -> None:
    """The API server estimates the cost of CEL rules from these bounds, and refuses a CRD whose rules cost too much."""
    unbounded = [
        path
        for path, schema in _walk(build_root(kind)["properties"]["spec"], "spec")
        if (schema.get("type") == "array" and "maxItems" not in schema)
        or (schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys())
    ]
    assert unbounded == []


@each_kind
def test_status_has_no_default_below_its_own(kind: Kind) -> None:
    root = build_root(kind)
    assert [path for path, schema in _walk(root, "") if "default" in schema] == [".status"]
