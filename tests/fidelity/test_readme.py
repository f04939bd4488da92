"""Checks that the README shows the matrix that test_matrix.py proves."""

from pathlib import Path

from tests.fidelity.fidelity_matrix import format_table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_shows_the_matrix() -> None:
    assert format_table() in README.read_text(encoding="utf-8")
