"""Fixtures that run Helm and render the chart."""

import json
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
    """Runs Helm from PATH, or else the test cluster's own, which is built once per machine."""
    program = shutil.which("helm") or str(ensure_programs(TOOLS) / "helm")

    def run(*arguments: str, values: Manifest | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments, "--values", "-"],
            input=yaml.safe_dump(values or {}),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    """Renders all objects of the chart with some values, hooks included. Renders equal values only once."""
    rendered: dict[str, str] = {}

    def run(values: Manifest | None = None) -> list[Manifest]:
        key = json.dumps(values, sort_keys=True)
        if key not in rendered:
            result = helm("template", "pgimport", str(CHART), "--namespace", "pgimport-system", values=values)
            assert result.returncode == 0, result.stderr
            documents = yaml.load_all(result.stdout, Loader=yaml.CSafeLoader)
            rendered[key] = json.dumps([document for document in documents if document])
        documents_again: list[Manifest] = json.loads(rendered[key])  # a copy that a test may change
        return documents_again

    return run
