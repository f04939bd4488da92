"""Every source arrives whole: object by object and row by row, but for what the report says was left."""

from collections.abc import Iterator

import pytest
from tests.fidelity.fidelity_matrix import CELLS, FAILING, Cell, Matrix
from tests.fidelity.matrix_servers import run_matrix

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with run_matrix(tmp_path_factory.mktemp("fidelity")) as made:
        yield made


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_all_arrives(matrix: Matrix, cell: Cell) -> None:
    outcome = matrix.run(cell)
    if cell in FAILING:
        assert FAILING[cell] in (outcome.failure or "")
        return
    assert outcome.failure is None
    assert "\n".join(outcome.differences) == ""
