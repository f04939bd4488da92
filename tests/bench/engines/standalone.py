"""Runs the engine benchmark without a cluster, as root, and prints its report.

Example: `python -m tests.bench.engines.standalone quick --parts startup`. The options are those of `__main__.py`.
"""

import sys

from tests.bench.engines.launcher import measure_engines
from tests.bench.report import format_report
from tests.e2e.machine import describe_host


def main() -> int:
    scale, *options = sys.argv[1:] or ["quick"]
    if scale in ("-h", "--help"):
        print(__doc__)
        return 0
    report = measure_engines(scale, options)
    report.facts[:0] = describe_host()
    print(format_report(report, "Only the engines were measured."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
