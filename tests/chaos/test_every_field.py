"""Every field of every kind, changed: refused in a sentence that names it, or brought to rest."""

import pytest
from tests.chaos.cell_result import Cell
from tests.chaos.fields.crd_schema import KINDS
from tests.chaos.fields.runner import count_points, play_fields
from tests.e2e.postgres_pods import Source

pytestmark = [pytest.mark.cluster, pytest.mark.exclusive]


@pytest.fixture(scope="module")
def cells(source: Source) -> list[Cell]:
    return play_fields(source)


def test_every_change_is_refused_or_comes_to_rest(cells: list[Cell]) -> None:
    broken = [f"{cell.place}: {cell.said}" for cell in cells if not cell.kept]
    assert not broken, f"{len(broken)} of {len(cells)}\n" + "\n".join(broken)


def test_all_kinds_were_changed(cells: list[Cell]) -> None:
    points = count_points(cells)
    assert all(points[kind] > 50 for kind in KINDS), points
