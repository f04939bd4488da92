"""Builds Go programs of the tests, once, into the cache."""

import os
import subprocess
from pathlib import Path

from tests.cluster.bare.kubernetes_programs import require_go
from tests.cluster.commands import print_progress, search_path
from tests.cluster.digest import digest_of
from tests.cluster.instance import cache_folder
from tests.cluster.lock import only_one_in_cache

BUILD_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")


def ensure_go_program(sources: Path) -> Path:
    """Returns the program of this folder, built with Go unless it is in the cache.

    A build takes minutes on two cores. Raises ClusterError if Go is missing.
    """
    program = cache_folder() / f"{sources.name}-{digest_of([sources], BUILD_FLAGS)}"
    with only_one_in_cache(sources.name):
        if not program.exists():
            require_go()
            print_progress(f"building the Go program {sources.name}")
            unfinished = program.with_suffix(".unfinished")
            environment = {**os.environ, "PATH": search_path(), "CGO_ENABLED": "0", "GOFLAGS": ""}
            command = ["go", "build", *BUILD_FLAGS, "-o", str(unfinished), "."]
            subprocess.run(command, cwd=sources, env=environment, check=True)
            unfinished.rename(program)
    return program
