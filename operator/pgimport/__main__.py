"""Starts one of the programs: `python -m pgimport operator | api | worker | schema | cli`.

Imports only the program that is started: each image and each extra has the packages of its own programs.
"""

import sys

from pgimport.extras import EX_CONFIG, NotInstalled, load_main

# Name of the program → its module, and the extra with its packages.
PROGRAMS = {
    "operator": ("pgimport.handlers.main", "operator"),
    "api": ("pgimport.api.main", "api"),
    "worker": ("pgimport.worker.main", None),
    "schema": ("pgimport.generate", "operator"),
    "cli": ("pgimport.cli.main", None),
}
EX_USAGE = 64


def main() -> int:
    """Returns the program's exit code, EX_USAGE for an unknown program, or EX_CONFIG for one that is not installed."""
    program = sys.argv[1] if len(sys.argv) > 1 else ""
    if program not in PROGRAMS:
        print(f"usage: python -m pgimport {'|'.join(PROGRAMS)} …", file=sys.stderr)
        return EX_USAGE
    module, extra = PROGRAMS[program]
    try:
        run = load_main(module, f"pgimport {program}", extra)
    except NotInstalled as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EX_CONFIG
    return int(run(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
