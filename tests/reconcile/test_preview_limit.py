"""Which of a Project's previews are within its limit."""

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


def made(uid: str, status: PreviewStatus, seconds: int = 0, deleting: bool = False) -> PreviewObject:
    return a_preview(status=status, uid=uid, created_at=BORN + timedelta(seconds=seconds), deleting=deleting)


@pytest.mark.parametrize(
    ("others", "place"),
    [
        pytest.param([], 1, id="alone"),
        pytest.param([made("a", READY, -5)], 2, id="after an older one"),
        pytest.param([made("z", NEW, 5)], 1, id="before a younger one that waits"),
        pytest.param([made("z", READY, 5)], 2, id="after a younger one that has its database"),
        pytest.param([made("z", NEW)], 1, id="of the same second, its uid comes first"),
        pytest.param([made("a", NEW)], 2, id="of the same second, its uid comes later"),
        pytest.param([made("z", READY)], 2, id="of the same second, the other has its database"),
        pytest.param([made("a", REFUSED, -5)], 2, id="after an older one that was refused"),
        pytest.param([made("a", EXPIRED, -5), made("b", READY, -5, deleting=True)], 1, id="ended ones hold no place"),
    ],
)
def test_place(others: list[PreviewObject], place: int) -> None:
    found = made("m", NEW)
    assert find_position([found, *others], found) == place
