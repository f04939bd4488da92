"""Runs the engine benchmark inside the namespaces that `launcher.py` creates, and writes the report into a file."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from tests.bench.engines.debian_programs import link_programs
from tests.bench.engines.engine_measures import build_report
from tests.bench.engines.sample_databases import FULL, QUICK
from tests.bench.engines.scenarios import PARTS, Plan, run_plan
from tests.bench.engines.server_disk import mounted_disk

PGIMPORT = Path(sys.prefix) / "bin" / "pgimport"
PLANS = {
    "full": Plan(size=FULL, rounds=3, run_timeout_seconds=900, shared_buffers="1GB", pgimport=PGIMPORT),
    "quick": Plan(
        size=QUICK,
        rounds=1,
        run_timeout_seconds=120,
        shared_buffers="128MB",
        pgimport=PGIMPORT,
        parts=tuple(part for part in PARTS if part != "fast"),
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that try one part of the benchmark, or another pgimport."""
    parser.add_argument(
        "--parts", type=lambda text: tuple(text.split(",")), help=f"comma-separated, of {', '.join(PARTS)}"
    )
    parser.add_argument("--pgimport", type=Path, default=PGIMPORT, help="program to measure instead of this tree's")
    parser.add_argument("--engine", default="relay")
    parser.add_argument("--rounds", type=int)


def _exit_on_signal(number: int, _frame: object) -> None:
    """Exit on the first signal and ignore the following ones, so that nothing interrupts the clean-up."""
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Run the plan and write its report as JSON."""
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, _exit_on_signal)
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engines", description=__doc__)
    parser.add_argument("scale", choices=PLANS)
    parser.add_argument("report", type=Path, help="file to write the report to, as JSON")
    add_options(parser)
    options = parser.parse_args()
    plan = PLANS[options.scale]
    plan = replace(plan, pgimport=options.pgimport, engine=options.engine, rounds=options.rounds or plan.rounds)
    plan = replace(plan, parts=options.parts or plan.parts)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="pgimport-bench-") as name, mounted_disk(Path(name)) as folder:
        # The servers and engines inherit TMPDIR, and this program uses the same disk.
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        clients = folder / "clients"
        clients.mkdir()
        link_programs(clients)
        results = run_plan(plan, clients, folder)
    options.report.write_text(json.dumps(asdict(build_report(results, plan.size))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
