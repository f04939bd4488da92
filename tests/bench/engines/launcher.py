"""Where the bench of the engines is started from: what it needs of the network is fetched, then it runs without one.

It runs in a network namespace of its own, so that nothing else of this machine is on its lines, and in a mount
namespace, for its disk.
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
    """`scale`: full or quick; `options`: of tests/bench/engines/__main__.py."""
    if os.geteuid() != 0:
        raise RuntimeError("servers of Debian's trees and network namespaces are for root: run the bench as root")
    ensure_trees()
    with tempfile.TemporaryDirectory(prefix="pgimport-bench-") as folder:
        answer = Path(folder) / "answer"
        inside: list[str | Path] = [sys.executable, "-m", "tests.bench.engines", scale, answer, *options]
        _run(["unshare", "--net", "--mount", *inside])
        return parse_report(json.loads(answer.read_text()))


def _run(words: Sequence[str | Path]) -> None:
    """Ends it where this process is told to end, and waits: it has servers and gigabytes to take away."""
    with subprocess.Popen(words, cwd=REPOSITORY) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            raise
    if code != 0:
        raise RuntimeError(f"the bench of the engines ended with code {code}")


def parse_report(told: dict[str, Any]) -> Report:
    """As `dataclasses.asdict` made it, through JSON: tuples came back as lists."""
    return Report(
        measures=[Measure(**_with_rows(one)) for one in told["measures"]],
        details=[Detail(**_with_rows(one)) for one in told["details"]],
        facts=[tuple(row) for row in told["facts"]],
    )


def _with_rows(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "rows": [tuple(row) for row in told["rows"]]}
