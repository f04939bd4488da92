"""Imports of uploaded files: which uploads an import may use, and when a file is deleted."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.samples import NOW, a_policy, a_shadow, a_swap, an_import, an_import_spec, observed_import

from pgimport.decide.decision import Decision, DeleteUpload
from pgimport.decide.imports import decide_import
from pgimport.model.resources import ImportObject
from pgimport.model.status import ImportState, ImportStatus
from pgimport.model.uploads import build_object_key

OWN_UPLOAD = build_object_key("shop", bytes(16))
POLICY = a_policy(uploads=True, upload_retention=timedelta(hours=24))


def decide(item: ImportObject) -> Decision[ImportStatus]:
    return decide_import(observed_import(object=item), NOW, POLICY)


def an_upload_import(key: str = OWN_UPLOAD, **status: Any) -> ImportObject:
    return an_import(an_import_spec(source={"uploadKey": key}), ImportStatus.model_validate(status))


def test_an_import_of_an_upload_of_its_project_starts() -> None:
    assert decide(an_upload_import()).status.state is ImportState.RUNNING


@pytest.mark.parametrize("key", [build_object_key("mall", bytes(16)), "shop/dump", "uploads/shop/../mall/" + "0" * 32])
def test_an_upload_of_another_project_does_not_exist_for_an_import(key: str) -> None:
    shown = decide(an_upload_import(key)).status
    assert shown.state is ImportState.FAILED
    assert shown.error is not None
    assert "has no such upload" in shown.error


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"verify": "checksums"},
            "spec.verify: checksums needs a live source, and the source is a dump file",
        ),
        ({"engine": "relay"}, "spec.engine: relay needs a live source, and the source is a dump file"),
    ],
    ids=["digests", "the relay"],
)
def test_an_option_that_needs_a_live_source_is_refused_for_an_upload(options: dict[str, str], text: str) -> None:
    shown = decide(an_import(an_import_spec(source={"uploadKey": OWN_UPLOAD}, **options))).status
    assert shown.state is ImportState.FAILED
    assert shown.error is not None
    assert shown.error.startswith(text)


def ended(before: timedelta, **status: Any) -> ImportObject:
    return an_upload_import(state=ImportState.COMPLETED, completed_at=NOW - before, cleaned_up=True, **status)


def test_the_uploaded_file_is_deleted_after_its_retention() -> None:
    early = decide(ended(timedelta(hours=23)))
    assert (early.actions, early.requeue_after) == ((), timedelta(hours=1))
    late = decide(ended(timedelta(hours=24)))
    assert late.actions == (DeleteUpload(OWN_UPLOAD),)
    assert late.status.upload_deleted is True
    assert decide(ended(timedelta(days=9), upload_deleted=True)).actions == ()


@pytest.mark.isolation
def test_a_verified_import_is_swapped_in_though_the_store_is_gone_since() -> None:
    """Seen before: such an import failed with NotSupported, although its swap could have been done already."""
    status: dict[str, Any] = {"state": "running", "job": "pgi", "shadow": a_shadow(verified=True, oid=200).to_json()}
    item = an_upload_import(**status)
    decision = decide_import(observed_import(object=item, swap=a_swap(target_oid=200)), NOW, a_policy(uploads=False))
    assert decision.status.state is ImportState.COMPLETED


@pytest.mark.isolation
def test_cancel_comes_before_an_unsupported_field() -> None:
    item = an_import(an_import_spec(source={"uploadKey": OWN_UPLOAD}, cancel=True), ImportStatus())
    decision = decide_import(observed_import(object=item), NOW, a_policy(uploads=False))
    assert decision.status.state is ImportState.CANCELLED
