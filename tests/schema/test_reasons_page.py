"""The documentation page of reasons."""

import pytest

from pgimport.model.reasons import MEANINGS, Reason
from pgimport.schema.reasons_page import CONDITIONS, build_reasons_page


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_listed_exactly_once(reason: Reason) -> None:
    assert build_reasons_page().count(f"| `{reason.value}` |") == 1


def test_a_reason_has_a_hint_or_a_meaning_as_a_condition() -> None:
    assert set(MEANINGS) | set(CONDITIONS) == set(Reason)
    assert set(MEANINGS) & set(CONDITIONS) == set()
