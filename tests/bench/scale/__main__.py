"""Measures the operator with thousands of imports, on the cluster of `make up`. Writes report.md beside it.

`BENCH=quick` takes fewer imports, and writes into tests/bench/results.
"""

import argparse
import os
import sys
from pathlib import Path

from tests.bench.report import FOLDER, Report, write_report
from tests.bench.scale.operator_scale import FULL, QUICK, measure_scale
from tests.e2e.machine import describe_machine

COMMAND = "python -m tests.bench.scale"


def main() -> int:
    argparse.ArgumentParser(prog=COMMAND, description=__doc__).parse_args()
    quick = os.environ.get("BENCH") == "quick"
    load_before = os.getloadavg()[0]
    measures = measure_scale(QUICK if quick else FULL)
    load = ("Load average", f"{load_before:.1f} at the start, {os.getloadavg()[0]:.1f} at the end")
    folder = FOLDER / "results" / "scale" if quick else Path(__file__).parent
    report = Report(measures=measures, facts=[*describe_machine(), load])
    write_report(report, folder, quick=quick, title="Benchmark of many imports", command=COMMAND)
    for measure in measures:
        print(measure.in_words())
    print(f"report: {folder / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
