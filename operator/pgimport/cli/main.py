"""`pgimport`: parses the arguments and runs one command. Imports the command's module only when it is called."""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from pgimport.cli.arguments import Arguments, build_parser
from pgimport.extras import EX_CONFIG, explain_missing_package

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
        run = import_module(module).main
    except ModuleNotFoundError as error:
        message = explain_missing_package(error, f"pgimport {arguments.command}", extra)
        if message is None:
            raise
        print(f"pgimport: {message}", file=sys.stderr)
        return EX_CONFIG
    return _run(run, arguments)


def _run(run: Callable[[Arguments, Mapping[str, str]], int], arguments: Arguments) -> int:
    from pgimport.model.errors import KubernetesNotConfigured, PgimportError  # needs pydantic: too slow for --help

    try:
        return run(arguments, os.environ)
    except PgimportError as error:
        print(f"pgimport {arguments.command}: {error}", file=sys.stderr)
        return EX_CONFIG if isinstance(error, KubernetesNotConfigured) else EXIT_FAILED
