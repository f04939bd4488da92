"""Positions of previews, which decide who is within limits.maxPreviews."""

from datetime import timedelta

import pytest
from tests.support.samples import BORN, a_preview, a_ready_status

from pgimport.model.resources import PreviewObject
from pgimport.model.status import PreviewState, PreviewStatus
from pgimport.reconcile.observe_previews import find_position

NEW = PreviewStatus()
READY = a_ready_status()
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
    assert find_position([preview, *others], preview) == position
