"""Positions of previews, which decide who is within limits.maxPreviews."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.samples import BORN, a_preview, a_preview_spec, a_ready_status

from pgimport.model.resources import PreviewObject
from pgimport.model.scalar_types import format_time
from pgimport.model.status import PreviewState, PreviewStatus
from pgimport.reconcile.observe_previews import find_position

NEW = PreviewStatus()
READY = a_ready_status()
NOW = BORN + timedelta(days=30)  # the previews' ttl is over
EXPIRED = PreviewStatus(state=PreviewState.EXPIRED)
REFUSED = PreviewStatus(state=PreviewState.FAILED)


def build_preview(uid: str, status: PreviewStatus, seconds: int = 0, deleting: bool = False) -> PreviewObject:
    return a_preview(status=status, uid=uid, created_at=BORN + timedelta(seconds=seconds), deleting=deleting)


@pytest.mark.parametrize(
    ("others", "position"),
    [
        pytest.param([], 1, id="alone"),
        pytest.param([build_preview("a", READY, -5)], 2, id="after an older preview"),
        pytest.param([build_preview("z", NEW, 5)], 1, id="before a younger preview that waits"),
        pytest.param([build_preview("z", READY, 5)], 2, id="after a younger preview with a database"),
        pytest.param([build_preview("z", NEW)], 1, id="of the same second, its uid comes first"),
        pytest.param([build_preview("a", NEW)], 2, id="of the same second, its uid comes later"),
        pytest.param([build_preview("z", READY)], 2, id="of the same second, the other has its database"),
        pytest.param([build_preview("a", REFUSED, -5)], 2, id="after an older preview that was refused"),
        pytest.param(
            [build_preview("a", EXPIRED, -5), build_preview("b", READY, -5, deleting=True)],
            1,
            id="ended previews do not count",
        ),
    ],
)
def test_the_position_follows_database_and_age(others: list[PreviewObject], position: int) -> None:
    preview = build_preview("m", NEW)
    assert find_position([preview, *others], preview, NOW) == position


def test_a_preview_that_has_its_database_comes_before_an_older_one() -> None:
    older, creating = build_preview("a", NEW, -5), build_preview("m", PreviewStatus(database="shop_m"))
    assert [find_position([older, creating], item, NOW) for item in (older, creating)] == [2, 1]


def test_previews_that_are_renewed_together_count() -> None:
    spec = a_preview_spec(renewedAt=format_time(NOW))
    renewed = [replace(build_preview(uid, EXPIRED), spec=spec) for uid in "abc"]
    assert [find_position(renewed, item, NOW) for item in renewed] == [1, 2, 3]
