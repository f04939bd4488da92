"""Takes every measure and writes the reports, missed goals included. `BENCH=quick` measures less, in minutes."""

import argparse
import os
import subprocess
import sys

from tests.bench import api_load, operator_latency, operator_overhead, pod_memory, pod_startup
from tests.bench.engines.launcher import measure_engines
from tests.bench.report import FOLDER, Report, write_report
from tests.e2e.machine import describe_machine

QUICK_FOLDER = FOLDER / "results"  # not committed: its figures only show that everything can be measured

# The engine benchmark runs servers in Debian root file systems, and the simulated link in a network namespace.
WITHOUT_ENGINES = Report(facts=[("Engines", "not measured: run `make bench` as root")])


def _run_alone(module: str) -> None:
    """Runs a benchmark that writes a report of its own, because it is often run alone."""
    subprocess.run([sys.executable, "-m", module], check=True)


def main(scale: str) -> int:
    """Return 0 even if a goal is missed: the report shows it."""
    if scale not in ("", "full", "quick"):
        print(f"BENCH={scale} is unknown: set it to full or quick", file=sys.stderr)
        return 2
    quick = scale == "quick"
    # The engines come first: the other measures leave thousands of objects, and the cluster is busy deleting them.
    engines = measure_engines("quick" if quick else "full") if os.geteuid() == 0 else WITHOUT_ENGINES
    if os.geteuid() == 0:
        _run_alone("tests.bench.copies")
    overhead_rounds = operator_overhead.QUICK_ROUNDS if quick else operator_overhead.FULL_ROUNDS
    overhead = operator_overhead.measure_overhead(overhead_rounds)
    startup = pod_startup.measure_pod_startup(pod_startup.QUICK if quick else pod_startup.FULL)
    memory = pod_memory.measure_memory(pod_memory.QUICK if quick else pod_memory.FULL)
    latency = operator_latency.measure_latency(operator_latency.QUICK if quick else operator_latency.FULL)
    _run_alone("tests.bench.scale")
    api = api_load.measure_api(api_load.QUICK if quick else api_load.FULL)
    report = Report(
        measures=[overhead, *latency, startup, memory, *api, *engines.measures],
        details=engines.details,
        facts=[*describe_machine(), *engines.facts],
    )
    folder = QUICK_FOLDER if quick else FOLDER
    write_report(report, folder, quick=quick)
    for measure in report.measures:
        print(measure.in_words())
    print(f"report: {folder / 'report.md'}")
    return 0


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__).parse_args()
    sys.exit(main(os.environ.get("BENCH", "")))
