"""Events are of type Warning if somebody must act, or may have to soon."""

import pytest

from pgimport.decide.conditions import is_warning
from pgimport.model.reasons import Reason


@pytest.mark.parametrize(
    ("reason", "stalled", "expected"),
    [
        pytest.param(Reason.SERVER_UNREACHABLE, False, True, id="a Project whose server does not answer"),
        pytest.param(Reason.SERVER_AUTH_FAILED, False, True, id="a Project whose admin is refused"),
        pytest.param(Reason.NAMESPACE_TAKEN, True, True, id="a Project that cannot have its namespace"),
        pytest.param(Reason.RETRYING, False, True, id="an attempt that failed"),
        pytest.param(Reason.TARGET_NOT_EMPTY, True, True, id="an import that failed"),
        pytest.param("FromAnotherVersion", True, True, id="a failure with an unknown reason"),
        pytest.param(Reason.READY, False, False, id="ready"),
        pytest.param(Reason.COMPLETED, False, False, id="completed"),
        pytest.param(Reason.CANCELLED, True, False, id="cancelled by its user"),
        pytest.param(Reason.EXPIRED, True, False, id="a preview whose ttl is over"),
        pytest.param(Reason.PROJECT_NOT_FOUND, False, False, id="an object that was created before its Project"),
        pytest.param(Reason.TARGET_NOT_READY, False, False, id="an import that was created with its preview"),
        pytest.param(Reason.WAITING_FOR_SLOT, False, False, id="a wait for a slot"),
    ],
)
def test_an_event_warns_if_somebody_must_act(reason: str, stalled: bool, expected: bool) -> None:
    assert is_warning(reason, stalled) is expected
