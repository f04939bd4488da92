"""Measures copies of a golden preview on XFS and ext4, as root and without a cluster. Writes report.md beside it.

The servers are on disks of their own, which are files of this machine. `BENCH=quick` takes a small database, and writes
into tests/bench/results.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.copies.golden_server import GoldenServer
from tests.bench.copies.neighbour import Neighbour, neighbour
from tests.bench.copies.results import CP, IMPORT, DiskResults, NeighbourTimes, build_report
from tests.bench.engines.sample_databases import FULL, QUICK, Size
from tests.bench.engines.server_disk import EXT4, XFS, FileSystem, mounted_disk
from tests.bench.report import FOLDER, write_report
from tests.cluster.commands import print_progress
from tests.cluster.debian_postgres import CLIENTS, link_clients, server_tree
from tests.e2e.machine import describe_host
from tests.support.markdown import Rows
from tests.support.postgres import run_postgres, tree_programs

from pgimport.model.project_status import CloneMethod

MAJOR = 18  # the first with file_copy_method
COMMAND = "python -m tests.bench.copies"
# These defaults make writes safe, and checkpoints as frequent as those of a server that nobody has tuned.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "max_wal_size": "1GB"}
SEPARATE = "PGIMPORT_BENCH_NAMESPACE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    size: Size
    disk_size: str
    shared_buffers: str
    samples: int  # copies by each method, and imports
    many: int  # copies by clone that are made side by side
    quiet_seconds: float  # of the neighbour before each method


PLANS = {
    "full": Plan(size=FULL, disk_size="14GiB", shared_buffers="1GB", samples=5, many=50, quiet_seconds=15),
    "quick": Plan(size=QUICK, disk_size="2GiB", shared_buffers="128MB", samples=1, many=4, quiet_seconds=2),
}


@contextmanager
def _golden_server(plan: Plan, file_system: FileSystem, facts: Rows) -> Iterator[GoldenServer]:
    with (
        tempfile.TemporaryDirectory(prefix="pgimport-bench-") as name,
        mounted_disk(Path(name), file_system, plan.disk_size) as disk,
    ):
        clients = Path(name) / "clients"
        link_clients(server_tree(MAJOR), MAJOR, clients, CLIENTS)
        programs = tree_programs(MAJOR, server_tree(MAJOR), clients)
        options = {**DURABLE, "shared_buffers": plan.shared_buffers}
        with run_postgres(MAJOR, programs, tls=False, disk=disk, **options) as server:
            facts[:] = [("Server", f"PostgreSQL {server.query('SHOW server_version')[0][0]}")]
            yield GoldenServer(server=server, disk=disk, clients=clients)


def _measure_disk(plan: Plan, file_system: FileSystem, facts: Rows) -> DiskResults:
    results = DiskResults(name=file_system.name, title=file_system.title)
    with _golden_server(plan, file_system, facts) as golden:
        print_progress(f"{file_system.title}: creating the databases")
        results.copies[IMPORT] = [golden.fill(plan.size)]
        results.database_bytes = golden.database_bytes
        for method in CloneMethod:
            results.copies[method.value] = []
            for _ in range(plan.samples):
                results.copies[method.value].append(golden.copy(method))
                if method is CloneMethod.FILE_COPY:
                    results.copies.setdefault(CP, []).append(golden.cp())
            print_progress(f"{file_system.title}: {results.copies[method.value]}")
        with neighbour(golden.server) as other:
            _measure_neighbours(plan, golden, other, results)
        while len(results.copies[IMPORT]) < plan.samples:
            results.copies[IMPORT].append(golden.import_into("copy"))
            golden.drop("copy")
    return results


def _measure_neighbours(plan: Plan, golden: GoldenServer, other: Neighbour, results: DiskResults) -> None:
    for method in CloneMethod:
        quiet, busy = other.measure(plan.quiet_seconds), list[float]()
        if results.name == "xfs" and method is CloneMethod.CLONE:
            results.many = plan.many, golden.copy_many(method, plan.many, other.measuring(busy))
        else:
            for _ in range(plan.samples):
                golden.copy(method, other.measuring(busy))
        results.neighbours[method.value] = NeighbourTimes(quiet, busy)
        print_progress(f"{results.title}, {method.value}: neighbours {results.neighbours[method.value].ratio:.2f} ×")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--samples", type=int, help="copies by each method, and imports (default: 5; quick: 1)")
    return parser.parse_args(arguments)


def main() -> int:
    options, scale = _parse(None), os.environ.get("BENCH") or "full"
    if os.geteuid() != 0:
        print("the benchmark of copies mounts disks: run it as root", file=sys.stderr)
        return 2
    if SEPARATE not in os.environ:  # a mount namespace: nothing stays mounted if this process is killed
        server_tree(MAJOR)
        namespace = ["unshare", "--mount", "--propagation=private"]
        program = [*namespace, sys.executable, "-m", "tests.bench.copies", *sys.argv[1:]]
        return subprocess.run(program, env={**os.environ, SEPARATE: "1"}, check=False).returncode
    plan = PLANS[scale]
    plan = replace(plan, samples=options.samples or plan.samples)
    facts: Rows = []
    load_before = os.getloadavg()[0]
    disks = [_measure_disk(plan, file_system, facts) for file_system in (XFS, EXT4)]
    load = ("Load average", f"{load_before:.1f} at the start, {os.getloadavg()[0]:.1f} at the end")
    report = build_report(disks, [*describe_host(), load, *facts])
    folder = Path(__file__).parent if scale == "full" else FOLDER / "results" / "copies"
    write_report(report, folder, quick=scale == "quick", title="Benchmark of copies", command=COMMAND)
    for measure in report.measures:
        print(measure.in_words())
    print(f"report: {folder / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
