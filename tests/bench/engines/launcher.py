"""Downloads what the engine benchmark needs, then runs it in its own network and mount namespaces.

In the network namespace, no other traffic of this machine uses the simulated links. The mount namespace is for the disk
of the servers.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.engines.debian_programs import ensure_trees
from tests.bench.report import Detail, Measure, Report
from tests.cluster.instance import REPOSITORY


def measure_engines(scale: str, options: Sequence[str] = ()) -> Report:
    """Run the engine benchmark as root. `scale` is full or quick; `options` are those of `__main__.py`."""
    if os.geteuid() != 0:
        raise RuntimeError("the engine benchmark starts servers in Debian trees and network namespaces: run it as root")
    ensure_trees()
    with tempfile.TemporaryDirectory(prefix="pgimport-bench-") as folder:
        report = Path(folder) / "report.json"
        command: list[str | Path] = [sys.executable, "-m", "tests.bench.engines", scale, report, *options]
        _run(["unshare", "--net", "--mount", *command])
        return parse_report(json.loads(report.read_text()))


def _run(command: Sequence[str | Path]) -> None:
    """Run the command; if this process is interrupted, terminate it and wait until it has cleaned up."""
    with subprocess.Popen(command, cwd=REPOSITORY) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code != 0:
        raise RuntimeError(f"the engine benchmark ended with exit code {code}")


def parse_report(content: dict[str, Any]) -> Report:
    """Parse a report that `dataclasses.asdict` and JSON turned into dictionaries and lists."""
    return Report(
        measures=[Measure(**_with_rows(measure)) for measure in content["measures"]],
        details=[Detail(**_with_rows(detail)) for detail in content["details"]],
        facts=[tuple(row) for row in content["facts"]],
    )


def _with_rows(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "rows": [tuple(row) for row in content["rows"]]}
