"""Builds and runs the Go program in `judge`, which judges objects with the libraries of Flux, Helm and Argo CD."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.bare.kubernetes_programs import require_go
from tests.cluster.commands import print_progress, search_path
from tests.cluster.digest import digest_of
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache

SOURCES = Path(__file__).parent / "judge"
BUILD_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What each tool says about one object. kstatus judges for Flux and Helm 4."""

    kstatus: str
    message: str
    flux: str  # with the health check expressions of the documentation
    argo_cd: str
    argo_cd_message: str


def ensure_program() -> Path:
    """Returns the program, built with Go unless it is in the cache; a build takes minutes on two cores."""
    program = cache_folder() / f"judge-{digest_of([SOURCES], BUILD_FLAGS)}"
    with only_one_in_cache("judge"):
        if not program.exists():
            require_go()
            print_progress("building the judge of GitOps tools")
            unfinished = program.with_suffix(".unfinished")
            environment = {**os.environ, "PATH": search_path(), "CGO_ENABLED": "0", "GOFLAGS": ""}
            command = ["go", "build", *BUILD_FLAGS, "-o", str(unfinished), "."]
            subprocess.run(command, cwd=SOURCES, env=environment, check=True)
            unfinished.rename(program)
    return program


def judge(objects: Sequence[dict[str, Any]], health_checks: str, script: str) -> list[Verdict]:
    """Returns one verdict for each object. Raises CalledProcessError if a check or the script cannot be evaluated."""
    request = {"objects": objects, "healthChecks": health_checks, "script": script}
    result = subprocess.run(
        [ensure_program()], input=json.dumps(request), stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    return [
        Verdict(item["kstatus"], item["message"], item["flux"], item["argoCD"], item["argoCDMessage"])
        for item in json.loads(result.stdout)
    ]
