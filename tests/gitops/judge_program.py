"""Builds and runs the Go program in `judge`, which judges objects with the libraries of Flux, Helm and Argo CD."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.go_programs import ensure_go_program

SOURCES = Path(__file__).parent / "judge"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What each tool says about one object. kstatus judges for Flux and Helm 4."""

    kstatus: str
    message: str
    flux: str  # with the health check expressions of the documentation
    argo_cd: str
    argo_cd_message: str


def judge(objects: Sequence[dict[str, Any]], health_checks: str, script: str) -> list[Verdict]:
    """Returns one verdict for each object. Raises CalledProcessError if a check or the script cannot be evaluated."""
    request = {"objects": objects, "healthChecks": health_checks, "script": script}
    result = subprocess.run(
        [ensure_go_program(SOURCES)],
        input=json.dumps(request),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return [
        Verdict(item["kstatus"], item["message"], item["flux"], item["argoCD"], item["argoCDMessage"])
        for item in json.loads(result.stdout)
    ]
