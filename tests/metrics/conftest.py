"""Fixtures with Prometheus' own programs."""

import subprocess
from collections.abc import Callable

import pytest
from tests.cluster.prometheus_programs import find_prometheus_program

Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Runs promtool with arguments and an input."""
    program = find_prometheus_program("promtool")

    def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=120, check=False
        )

    return run
