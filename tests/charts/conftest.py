"""Helm, and what it renders."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.bare.kubernetes_programs import TOOLS, ensure_programs

CHART = Path(__file__).parents[2] / "charts/pgimport"
Helm = Callable[..., subprocess.CompletedProcess[str]]
Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    """From PATH, else the test cluster's own, which is built once a machine."""
    program = shutil.which("helm") or str(ensure_programs(TOOLS) / "helm")

    def run(*arguments: str, values: Manifest | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments, "--values", "-"],
            input=yaml.safe_dump(values or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """Values go in; all objects come out, hooks included."""

    def run(values: Manifest | None = None) -> list[Manifest]:
        result = helm("template", "pgimport", str(CHART), "--namespace", "pgimport-system", values=values)
        assert result.returncode == 0, result.stderr
        return [document for document in yaml.safe_load_all(result.stdout) if document]

    return run
