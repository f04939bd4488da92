"""Checks that modules are documented and short, and that the source root is not a package."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "operator"
MODULES = sorted((ROOT / "pgimport").rglob("*.py"))
MODULE_LINES = 400


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_a_docstring_and_a_limited_length(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence"
    assert len(text.splitlines()) <= MODULE_LINES


def test_the_source_root_is_not_a_package_and_hides_no_standard_module() -> None:
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "operator.py").exists()
    assert {path.stem for path in ROOT.glob("*.py")} & sys.stdlib_module_names == set()
