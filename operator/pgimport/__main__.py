"""Starts one of the programs: `python -m pgimport operator | api | worker | schema | cli`.

Imports only the program that is started: each image and each extra has the packages of its own programs.
"""

import sys
from importlib import import_module

from pgimport.extras import EX_CONFIG, explain_missing_package

# For each program: its module, and the extra that installs its packages.
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
        run = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            message: str | None = f"This image has no {program}. Use the image that is built for it."
        else:
            message = explain_missing_package(error, f"pgimport {program}", extra)
        if message is None:
            raise
        print(f"pgimport: {message}", file=sys.stderr)
        return EX_CONFIG
    return int(run(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
