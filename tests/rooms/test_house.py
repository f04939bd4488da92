"""The house: every module says what it is, none grows too long, and the source root stays a root."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "operator"
MODULES = sorted((ROOT / "pgimport").rglob("*.py"))
MODULE_LINES = 400


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_with_what_it_is_and_has_an_end(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence"
    assert len(text.splitlines()) <= MODULE_LINES


def test_the_source_root_is_no_package_and_hides_no_module_of_pythons() -> None:
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "operator.py").exists()
    assert {path.stem for path in ROOT.glob("*.py")} & sys.stdlib_module_names == set()


def start(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pgimport", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("breakfast",)], ids=["no word", "a word that nobody knows"])
def test_the_program_prints_its_usage(arguments: tuple[str, ...]) -> None:
    ended = start(*arguments)
    assert ended.returncode == 64
    assert ended.stderr.startswith("usage: python -m pgimport operator|")
    assert ended.stdout == ""


def test_the_operator_without_its_environment_names_the_variable() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "pgimport", "operator"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 78
    assert ended.stderr.startswith("PGIMPORT_")
    assert "Traceback" not in ended.stderr
