"""Changes every field of every kind: the API server refuses the change and names the field, or the object settles."""

import pytest
from tests.chaos.cell_result import CellResult
from tests.chaos.fields.crd_schema import KINDS
from tests.chaos.fields.runner import count_changes, play_field_changes
from tests.e2e.postgres_pods import Source

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]


@pytest.fixture(scope="module")
def cells(source: Source) -> list[CellResult]:
    return play_field_changes(source)


def test_every_change_is_refused_or_settles(cells: list[CellResult]) -> None:
    broken = [f"{cell.where}: {cell.problem}" for cell in cells if not cell.kept]
    assert not broken, f"{len(broken)} of {len(cells)}\n" + "\n".join(broken)


def test_all_kinds_are_changed(cells: list[CellResult]) -> None:
    counts = count_changes(cells)
    assert all(counts[kind] > 50 for kind in KINDS), counts
