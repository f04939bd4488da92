"""Every measure is taken; the reports are written, misses included. `BENCH=quick` takes less of each, in minutes."""

import os
import sys

from tests.bench import memory, overhead, promptness, shim
from tests.bench.engines.outside import measure_engines
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
    of_operator = overhead.measure_overhead(overhead.QUICK_ROUNDS if quick else overhead.FULL_ROUNDS)
    of_pod = memory.measure_memory(memory.QUICK if quick else memory.FULL)
    of_cluster = promptness.measure_promptness(promptness.QUICK if quick else promptness.FULL)
    of_api = shim.measure_shim(shim.QUICK if quick else shim.FULL)
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
