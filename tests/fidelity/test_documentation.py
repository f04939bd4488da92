"""Checks that the documentation shows the matrix that test_matrix.py proves."""

from pathlib import Path

from tests.fidelity.fidelity_matrix import format_table

PAGE = Path(__file__).parents[2] / "docs/what-is-copied.md"


def test_the_documentation_shows_the_matrix() -> None:
    assert format_table() in PAGE.read_text(encoding="utf-8")
