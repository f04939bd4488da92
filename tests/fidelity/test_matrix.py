"""Checks that a copy equals its source, object by object and row by row, except for the skipped objects."""

from collections.abc import Iterator

import pytest
from tests.fidelity.fidelity_matrix import CELLS, SKIPPING, Matrix, MatrixCell
from tests.fidelity.matrix_servers import run_matrix

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with run_matrix(tmp_path_factory.mktemp("fidelity")) as running_matrix:
        yield running_matrix


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_the_copy_equals_the_source(matrix: Matrix, cell: MatrixCell) -> None:
    outcome = matrix.run(cell)
    assert outcome.failure is None
    if cell in SKIPPING:
        assert any(SKIPPING[cell] in reason for reason in outcome.skipped.values())
    assert "\n".join(outcome.differences) == ""
