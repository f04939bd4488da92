"""`pgimport`: parses the arguments and runs one command. Imports the command's module only when it is called."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from pgimport.cli.arguments import Arguments, build_parser, parse_arguments
from pgimport.cli.cluster_arguments import CLUSTER_COMMANDS
from pgimport.cli.cluster_commands.errors import EXIT_PROGRAM_MISSING
from pgimport.extras import EX_CONFIG, NotInstalled, load_main

PLUGIN = "kubectl-pgimport"  # the name under which kubectl starts this program
# Command → its module, and the extra with its packages.
COMMANDS = {
    **dict.fromkeys(CLUSTER_COMMANDS, ("pgimport.cli.cluster_commands.main", "cli")),
    "run": ("pgimport.cli.run_command", None),
    "keys": ("pgimport.cli.keys_command", "operator"),
    "apply": ("pgimport.cli.apply_command", "operator"),
    "release": ("pgimport.cli.release_command", "operator"),
}
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
COMPLETE = "__complete"  # hidden command: the scripts of `pgimport completion` call it


def main(argv: list[str] | None = None) -> int:
    """Returns the command's exit code, EXIT_PROGRAM_MISSING without its packages, or EX_CONFIG without a kubeconfig."""
    _open_missing_streams()
    _make_printable(sys.stdout, sys.stderr)
    words = sys.argv[1:] if argv is None else argv
    parser = build_parser("kubectl pgimport" if Path(sys.argv[0]).name == PLUGIN else "pgimport")
    if words[:1] == [COMPLETE]:
        from pgimport.cli.cluster_commands.completion import complete_main

        return complete_main(words[1:], parser)
    arguments = parse_arguments(parser, words)
    module, extra = COMMANDS[arguments.command]
    try:
        run = load_main(module, f"pgimport {arguments.command}", extra)
    except NotInstalled as error:
        print(f"pgimport: {error}", file=sys.stderr)
        return EXIT_PROGRAM_MISSING
    return _run(run, arguments)


def _run(run: Callable[[Arguments, Mapping[str, str]], int], arguments: Arguments) -> int:
    from pgimport.cli.messages import print_error
    from pgimport.model.errors import KubernetesNotConfigured, PgimportError  # needs pydantic: too slow for --help

    try:
        code = run(arguments, os.environ)
        sys.stdout.flush()
    except PgimportError as error:
        print_error(f"pgimport {arguments.command}: {error}")
        return EX_CONFIG if isinstance(error, KubernetesNotConfigured) else EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _give_up_stdout()
        return EXIT_BROKEN_PIPE
    except OSError as error:  # of a full disk behind stdout, or a kubectl that is not executable
        _give_up_stdout()
        print_error(f"pgimport: {error}")
        return EXIT_FAILED
    return code


def _open_missing_streams() -> None:
    """Gives the process the standard streams that its parent has closed."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115 (until the process ends)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115


def _make_printable(*streams: TextIO) -> None:
    """Makes streams print escapes for characters that their encoding lacks, instead of failing."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _give_up_stdout() -> None:
    """Keeps Python from another error at its exit, after stdout could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
