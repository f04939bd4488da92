"""Checks that the generated CRDs are up to date, valid, bounded and described."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pgimport.schema.crd import IMPORT, KINDS, PREVIEW, PROJECT, Kind, build_crd, build_root
from pgimport.schema.generated_files import CRD_FOLDERS, build_document, build_files

CHECKOUT = Path(__file__).parents[2]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


@pytest.mark.parametrize(("name", "content"), build_files().items(), ids=build_files())
def test_generated_file_is_fresh(name: str, content: str) -> None:
    assert (CHECKOUT / name).read_text(encoding="utf-8") == content, "run `make generate` and commit what it writes"


@pytest.mark.parametrize("folder", CRD_FOLDERS)
def test_a_folder_holds_nothing_but_the_generated_crds(folder: str) -> None:
    found = {path.name for path in (CHECKOUT / folder).glob("*.yaml")}
    assert found == {f"{kind.name}.yaml" for kind in KINDS}


@each_kind
def test_crd_is_valid(kind: Kind) -> None:
    kubernetes_validate.validate(yaml.safe_load(build_document(kind)), "1.37", strict=True)


@each_kind
def test_document_has_no_alias(kind: Kind) -> None:
    assert "&id" not in build_document(kind)


@each_kind
def test_category_version_and_status(kind: Kind) -> None:
    crd = build_crd(kind)
    (version,) = crd["spec"]["versions"]
    assert crd["spec"]["names"]["categories"] == ["pgimport"]
    assert version["name"] == "v1alpha1"
    assert version["subresources"] == {"status": {}}
    assert version["schema"]["openAPIV3Schema"]["properties"]["status"]["default"] == {"observedGeneration": -1}


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        pytest.param(IMPORT, ["State", "Target", "Attempts", "Progress", "Reason", "Age"], id="PostgresImport"),
        pytest.param(PREVIEW, ["State", "Database", "Expires", "Age"], id="PreviewDatabase"),
        pytest.param(PROJECT, ["Ready", "Version", "Namespace", "Age"], id="Project"),
    ],
)
def test_columns(kind: Kind, columns: list[str]) -> None:
    assert [column.name for column in kind.columns] == columns


def test_imports_can_be_selected_by_state_and_target() -> None:
    (version,) = build_crd(IMPORT)["spec"]["versions"]
    assert [field["jsonPath"] for field in version["selectableFields"]] == [
        ".status.state",
        ".spec.target.previewDatabase",
    ]


def _walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, property_ in schema.get("properties", {}).items():
        yield from _walk(property_, f"{path}.{name}")
    if "items" in schema:
        yield from _walk(schema["items"], f"{path}[]")


@each_kind
def test_everything_that_a_user_writes_is_bounded(kind: Kind) -> None:
    """CEL's cost is estimated from these bounds, and a rule that could cost too much is refused with its CRD."""
    unbounded = [
        path
        for path, schema in _walk(build_root(kind)["properties"]["spec"], "spec")
        if (schema.get("type") == "array" and "maxItems" not in schema)
        or (schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys())
    ]
    assert unbounded == []


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


@each_kind
def test_every_field_is_described_by_a_full_sentence(kind: Kind) -> None:
    root = build_root(kind)
    descriptions = {".": root["description"]}
    descriptions |= {column.name: column.to_json(root)["description"] for column in kind.columns}
    for part in ("spec", "status"):
        for path, schema in _walk(root["properties"][part], part):
            if not path.endswith("[]"):
                descriptions[path] = schema.get("description", "")
    faults = {path: fault for path, text in descriptions.items() if (fault := find_fault(text))}
    assert faults == {}


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


@each_kind
def test_status_has_no_default_below_its_own(kind: Kind) -> None:
    root = build_root(kind)
    assert [path for path, schema in _walk(root, "") if "default" in schema] == [".status"]
