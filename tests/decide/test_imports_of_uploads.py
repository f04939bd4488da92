"""Imports of uploads: whose file it may be, and when the file goes."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.samples import NOW, a_policy, an_import, an_import_spec, observed_import

from pgimport.decide.decision import Decision, DeleteUpload
from pgimport.decide.imports import decide_import
from pgimport.model.resources import ImportObject
from pgimport.model.status import ImportState, ImportStatus
from pgimport.model.uploads import build_object_key

MINE = build_object_key("shop", bytes(16))
POLICY = a_policy(uploads=True, upload_retention=timedelta(hours=24))


def decide(found: ImportObject) -> Decision[ImportStatus]:
    return decide_import(observed_import(object=found), NOW, POLICY)


def of_upload(key: str = MINE, **status: Any) -> ImportObject:
    return an_import(an_import_spec(source={"uploadKey": key}), ImportStatus.model_validate(status))


def test_an_upload_of_its_project_starts() -> None:
    assert decide(of_upload()).status.state is ImportState.RUNNING


@pytest.mark.parametrize("key", [build_object_key("mall", bytes(16)), "shop/dump", "uploads/shop/../mall/" + "0" * 32])
def test_anothers_upload_is_not_there(key: str) -> None:
    shown = decide(of_upload(key)).status
    assert shown.state is ImportState.FAILED
    assert shown.error is not None
    assert "has no such upload" in shown.error


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (
            {"verify": "checksums"},
            "spec.verify: checksums needs a live source; for a dump file, set spec.source.sha256",
        ),
        ({"engine": "relay"}, "spec.engine: relay needs a live source; for a dump file, use auto or dump"),
    ],
    ids=["digests", "the relay"],
)
def test_what_only_a_live_source_has_is_refused(wish: dict[str, str], words: str) -> None:
    shown = decide(an_import(an_import_spec(source={"uploadKey": MINE}, **wish))).status
    assert shown.state is ImportState.FAILED
    assert shown.error is not None
    assert shown.error.startswith(words)


def ended(before: timedelta, **status: Any) -> ImportObject:
    return of_upload(state=ImportState.COMPLETED, completed_at=NOW - before, cleaned_up=True, **status)


def test_the_file_goes_when_its_time_is_over() -> None:
    early = decide(ended(timedelta(hours=23)))
    assert (early.actions, early.requeue_after) == ((), timedelta(hours=1))
    late = decide(ended(timedelta(hours=24)))
    assert late.actions == (DeleteUpload(MINE),)
    assert late.status.upload_deleted is True
    assert decide(ended(timedelta(days=9), upload_deleted=True)).actions == ()
