"""Runs a command that works with a cluster. Imports the command's module only when it is called."""

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from pgimport.cli.cluster_commands.command_context import CommandContext
from pgimport.cli.cluster_commands.errors import EXIT_PROGRAM_MISSING, CommandFailed
from pgimport.cli.cluster_commands.kubectl import Kubectl
from pgimport.cli.cluster_commands.screen import Screen
from pgimport.cli.messages import print_error
from pgimport.extras import explain_missing_package

EXIT_TERMINATED = 143

# Command and verb → module and function.
COMMANDS = {
    "import list": ("import_commands", "list_imports"),
    "import get": ("import_commands", "get_import"),
    "import explain": ("import_commands", "explain_import"),
    "import create": ("import_creation", "create_import"),
    "import preflight": ("import_creation", "preflight_import"),
    "import wait": ("import_commands", "wait_for_imports"),
    "import cancel": ("import_commands", "cancel_imports"),
    "import suspend": ("import_commands", "suspend_imports"),
    "import resume": ("import_commands", "resume_imports"),
    "import retry": ("import_creation", "retry_import"),
    "import logs": ("import_logs", "print_logs"),
    "import report": ("import_commands", "print_report"),
    "preview list": ("preview_commands", "list_previews"),
    "preview get": ("preview_commands", "get_preview"),
    "preview create": ("preview_commands", "create_preview"),
    "preview clone": ("preview_commands", "clone_preview"),
    "preview reset": ("preview_commands", "reset_previews"),
    "preview extend": ("preview_commands", "extend_previews"),
    "preview delete": ("preview_commands", "delete_previews"),
    "preview psql": ("preview_connections", "open_psql"),
    "preview url": ("preview_connections", "print_url"),
    "schedule list": ("schedules", "list_schedules"),
    "schedule get": ("schedules", "get_schedule"),
    "schedule run": ("schedules", "run_schedule"),
    "schedule suspend": ("schedules", "suspend_schedules"),
    "schedule resume": ("schedules", "resume_schedules"),
    "project list": ("projects", "list_projects"),
    "project get": ("projects", "get_project"),
    "doctor": ("doctor", "run_doctor"),
    "version": ("versions", "print_versions"),
    "completion": ("completion", "print_script"),
}


def main(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Returns the exit code. Ends the programs that the command has started, also after a signal."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(EXIT_TERMINATED))
    try:
        return _find_function(arguments)(_build_context(arguments, environment), arguments)
    except CommandFailed as error:
        print_error(f"pgimport: {error}")
        return error.exit_code
    except ModuleNotFoundError as error:  # rich is imported when a terminal is there
        message = explain_missing_package(error, f"pgimport {arguments.command}", "cli")
        if message is None:
            raise
        print_error(f"pgimport: {message}")
        return EXIT_PROGRAM_MISSING


def _find_function(arguments: argparse.Namespace) -> Callable[[CommandContext, argparse.Namespace], int]:
    verb = getattr(arguments, "verb", None)
    module, name = COMMANDS[f"{arguments.command} {verb}" if verb else arguments.command]
    function: Callable[[CommandContext, argparse.Namespace], int] = getattr(
        import_module(f"pgimport.cli.cluster_commands.{module}"), name
    )
    return function


def _build_context(arguments: argparse.Namespace, environment: Mapping[str, str]) -> CommandContext:
    given = vars(arguments)
    options = [f"--{name}={given[name]}" for name in ("context", "kubeconfig") if name in given]
    namespace = given.get("namespace")
    return CommandContext(
        kubectl=Kubectl(options, namespace),
        screen=Screen(sys.stdout, sys.stderr, environment, wide=given.get("output") == "wide"),
        environment=environment,
        program=given.get("program", "pgimport"),
        given_options=[*options, *(["-n", namespace] if namespace else [])],
    )
