"""`python -m pgimport operator | api | worker | schema | cli`: picks the program and imports only that one."""

import sys
from importlib import import_module

PROGRAMS = {
    "operator": "pgimport.handlers.main",
    "api": "pgimport.api.main",
    "worker": "pgimport.worker.main",
    "schema": "pgimport.generate",
    "cli": "pgimport.cli.main",
}
EX_USAGE = 64


def main() -> int:
    """Exit code of the program; EX_USAGE for a word it does not know."""
    program = sys.argv[1] if len(sys.argv) > 1 else ""
    if program not in PROGRAMS:
        print(f"usage: python -m pgimport {'|'.join(PROGRAMS)} …", file=sys.stderr)
        return EX_USAGE
    return int(import_module(PROGRAMS[program]).main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
