"""Checks what `python -m pgimport` prints for wrong arguments and without settings."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "operator"


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
