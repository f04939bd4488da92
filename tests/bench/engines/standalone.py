"""Runs the engine benchmark without a cluster and prints its report.

Example: `python -m tests.bench.engines.standalone quick --parts loopback`.
"""

import sys

from tests.bench.engines.launcher import measure_engines
from tests.bench.report import format_report
from tests.e2e.machine import describe_host


def main() -> int:
    scale, *options = sys.argv[1:] or ["quick"]
    report = measure_engines(scale, options)
    report.facts[:0] = describe_host()
    print(format_report(report, "The engines alone."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
