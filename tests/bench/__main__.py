"""Every measure is taken; the reports are written, misses included. `BENCH=quick` takes less of each, in minutes."""

import os
import sys

from tests.bench import api_load, operator_latency, operator_overhead, pod_memory
from tests.bench.engines.launcher import measure_engines
from tests.bench.report import FOLDER, Report, write_report
from tests.e2e.machine import describe_machine

QUICK_FOLDER = FOLDER / "results"  # not committed: its figures are only there to show that all is measured

# Their servers run in root file systems of Debian's, their line in a network namespace.
WITHOUT_ENGINES = Report(facts=[("Engines", "not measured: run `make bench` as root")])


def main(scale: str) -> int:
    """0 also where a goal is missed: the report says so."""
    if scale not in ("", "full", "quick"):
        print(f"BENCH={scale} is not known: it may be full or quick", file=sys.stderr)
        return 2
    quick = scale == "quick"
    # First of all: objects by the thousand, which others leave to be deleted, keep the cluster busy for minutes.
    engines = measure_engines("quick" if quick else "full") if os.geteuid() == 0 else WITHOUT_ENGINES
    of_operator = operator_overhead.measure_overhead(
        operator_overhead.QUICK_ROUNDS if quick else operator_overhead.FULL_ROUNDS
    )
    of_pod = pod_memory.measure_memory(pod_memory.QUICK if quick else pod_memory.FULL)
    of_cluster = operator_latency.measure_promptness(operator_latency.QUICK if quick else operator_latency.FULL)
    of_api = api_load.measure_shim(api_load.QUICK if quick else api_load.FULL)
    report = Report(
        measures=[of_operator, *of_cluster, of_pod, *of_api, *engines.measures],
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
    sys.exit(main(os.environ.get("BENCH", "")))
