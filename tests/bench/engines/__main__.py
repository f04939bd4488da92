"""The engines, inside the namespace that `outside.py` made: a scale comes in, the report goes into a file."""

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

OURS = Path(sys.prefix) / "bin" / "pgimport"
PLANS = {
    "full": Plan(size=FULL, rounds=3, patience_seconds=900, shared_buffers="1GB", ours=OURS),
    "quick": Plan(
        size=QUICK,
        rounds=1,
        patience_seconds=120,
        shared_buffers="128MB",
        ours=OURS,
        parts=tuple(part for part in PARTS if part != "fast"),
    ),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """To try one part, or another program as ours."""
    parser.add_argument("--parts", type=lambda text: tuple(text.split(",")), help="a few of them, joined by commas")
    parser.add_argument("--ours", type=Path, default=OURS)
    parser.add_argument("--engine", default="relay")
    parser.add_argument("--rounds", type=int)


def _end(number: int, _frame: object) -> None:
    """The first signal unwinds; none disturbs the clean-up that it leads to."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, _end)
    parser = argparse.ArgumentParser()
    parser.add_argument("scale", choices=PLANS)
    parser.add_argument("answer", type=Path)
    add_options(parser)
    given = parser.parse_args()
    plan = PLANS[given.scale]
    plan = replace(plan, ours=given.ours, engine=given.engine, rounds=given.rounds or plan.rounds)
    plan = replace(plan, parts=given.parts or plan.parts)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="pgimport-bench-") as name, mounted_disk(Path(name)) as folder:
        # For the servers and engines, which are children, and for this program's own.
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        clients = folder / "clients"
        clients.mkdir()
        link_programs(clients)
        found = run_plan(plan, clients, folder)
    given.answer.write_text(json.dumps(asdict(build_report(found, plan.size))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
