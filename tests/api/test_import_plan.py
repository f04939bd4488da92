"""Plans of import requests: which objects are created, and under which names."""

from typing import Any

import pytest

from pgimport.api.import_models import ImportRequest
from pgimport.api.import_plan import ImportPlan, plan_import, plan_preflight
from pgimport.api.object_names import ObjectNamer
from pgimport.api.request_origin import RequestOrigin
from pgimport.model.names import LABEL_EPHEMERAL

SOURCE_URL = "postgresql://reader:hush-hush@db.example.com/shop"
ORIGIN = RequestOrigin(request_id="request-1", caller="ci")


def a_namer(**changes: Any) -> ObjectNamer:
    return ObjectNamer(**{"project": "shop", "namespace": "shop-previews", "random_bytes": bytes(16)} | changes)


def a_plan(preview: str | None = None, namer: ObjectNamer | None = None, **request: Any) -> ImportPlan:
    return plan_import(ImportRequest(source_url=SOURCE_URL, **request), preview, namer or a_namer(), ORIGIN)


def test_an_import_without_a_preview_creates_one() -> None:
    plan = a_plan()
    assert plan.preview is not None
    assert plan.preview["metadata"]["namespace"] == "shop-previews"
    assert plan.import_object["spec"]["target"] == {"previewDatabase": plan.preview["metadata"]["name"]}


def test_an_import_into_a_preview_creates_no_other() -> None:
    plan = a_plan("pr-42")
    assert plan.preview is None
    assert plan.import_object["spec"]["target"] == {"previewDatabase": "pr-42"}


def test_a_dry_run_creates_no_preview() -> None:
    plan = a_plan(dry_run=True)
    assert plan.preview is None
    assert "target" not in plan.import_object["spec"]


@pytest.mark.parametrize(
    ("changes", "is_equal"),
    [
        pytest.param({"random_bytes": bytes(15) + b"1"}, True, id="other random bytes"),
        pytest.param({"idempotency_key": "build 2"}, False, id="another key"),
        pytest.param({"project": "mall"}, False, id="another project"),
        pytest.param({"idempotency_key": None}, False, id="no key"),
    ],
)
def test_names_depend_on_the_key_and_the_project(changes: dict[str, Any], is_equal: bool) -> None:
    first, second = (
        a_plan(namer=a_namer(**{"idempotency_key": "build 1"} | change)).import_object["metadata"]["name"]
        for change in ({}, changes)
    )
    assert (first == second) is is_equal


def test_without_a_key_names_are_random() -> None:
    plans = [a_plan(namer=a_namer(random_bytes=bytes([number] * 16))) for number in range(2)]
    assert plans[0].import_object["metadata"]["name"] != plans[1].import_object["metadata"]["name"]


def test_a_preflight_is_an_ephemeral_dry_run() -> None:
    body = plan_preflight(SOURCE_URL, a_namer(), ORIGIN).import_object
    assert body["spec"]["dryRun"] is True
    assert body["metadata"]["labels"][LABEL_EPHEMERAL] == "true"


def test_no_object_contains_the_source_url() -> None:
    assert "hush-hush" not in repr(a_plan())
