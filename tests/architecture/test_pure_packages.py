"""Checks that pure packages read no clock, open no file and print nothing: time and data are arguments.

The import contract of these packages in pyproject.toml cannot see calls such as `datetime.now`, because `datetime` is
needed for its types.
"""

import ast
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
(PURE_PACKAGES,) = (
    contract["source_modules"] for contract in CONTRACTS if contract["name"].startswith("pure packages")
)
MODULES = sorted(
    path for name in PURE_PACKAGES for path in (CHECKOUT / "operator" / Path(*name.split("."))).rglob("*.py")
)
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
IMPURE_BUILTINS = frozenset({"open", "input", "print", "exec", "eval", "__import__"})


def find_impure_names(source: str) -> list[str]:
    """Lists the attributes that read a clock and the built-in functions with side effects, each with its line."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in CLOCK_METHODS)
        or (isinstance(node, ast.Name) and node.id in IMPURE_BUILTINS)
    ]


def test_the_contract_names_packages_that_exist() -> None:
    assert len(PURE_PACKAGES) >= 4
    assert len(MODULES) > len(PURE_PACKAGES)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(CHECKOUT / "operator")))
def test_a_pure_module_reads_no_clock_and_opens_no_file(path: Path) -> None:
    assert find_impure_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    ["datetime.now(UTC)", "date.today()", "read_time = datetime.utcnow", "open('file')", "print('text')"],
)
def test_impure_names_are_found(source: str) -> None:
    assert len(find_impure_names(source)) == 1
