"""Checks what `python -m pgimport` prints for wrong arguments and without settings."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "operator"


def run_program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "pgimport", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("arguments", [(), ("unknown",)], ids=["no argument", "an unknown program"])
def test_wrong_arguments_print_the_usage(arguments: tuple[str, ...]) -> None:
    process = run_program(*arguments)
    assert process.returncode == 64
    assert process.stderr.startswith("usage: python -m pgimport operator|")
    assert process.stdout == ""


def test_the_operator_names_a_missing_environment_variable() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "pgimport", "operator"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 78
    assert process.stderr.startswith("PGIMPORT_")
    assert "Traceback" not in process.stderr
