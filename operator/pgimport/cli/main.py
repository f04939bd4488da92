"""`pgimport`: parses the arguments and runs one command. Imports the command's module only when it is called."""

import os
import sys
from collections.abc import Callable, Mapping

from pgimport.cli.arguments import Arguments, build_parser
from pgimport.extras import EX_CONFIG, NotInstalled, load_main

# Command → its module, and the extra with its packages.
COMMANDS = {
    "run": ("pgimport.cli.run_command", None),
    "keys": ("pgimport.cli.keys_command", "operator"),
    "apply": ("pgimport.cli.apply_command", "operator"),
    "release": ("pgimport.cli.release_command", "operator"),
}
EXIT_FAILED = 1


def main(argv: list[str] | None = None) -> int:
    """Returns the command's exit code: EX_CONFIG if its packages or the kubeconfig are missing."""
    arguments = build_parser().parse_args(argv)
    module, extra = COMMANDS[arguments.command]
    try:
        run = load_main(module, f"pgimport {arguments.command}", extra)
    except NotInstalled as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EX_CONFIG
    return _run(run, arguments)


def _run(run: Callable[[Arguments, Mapping[str, str]], int], arguments: Arguments) -> int:
    from pgimport.model.errors import KubernetesNotConfigured, PgimportError  # needs pydantic: too slow for --help

    try:
        return run(arguments, os.environ)
    except PgimportError as error:
        from pgimport.cli.console import print_error

        print_error(f"pgimport {arguments.command}: {error}")
        return EX_CONFIG if isinstance(error, KubernetesNotConfigured) else EXIT_FAILED
