"""`pgimport run`: runs one import without a cluster, with the steps of an import in a cluster."""

import argparse
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pgimport.cli.console import Console
from pgimport.cli.local_copy import copy_locally
from pgimport.cli.local_import import ImportFailed, ignore_signals, run_locally
from pgimport.cli.messages import print_error
from pgimport.cli.run_options import CopyOptions, read_copy_options, read_options
from pgimport.model.errors import PgimportError, Refused, ServerUnavailable
from pgimport.model.reasons import Failure, Reason

EXIT_FAILED = 1


class _Interrupted(BaseException):
    """SIGINT or SIGTERM arrived. Unwinds like KeyboardInterrupt."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


def main(arguments: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Runs the import and returns the exit code. After a failure the target is unchanged and the copy is dropped.

    With --from-golden, a failure can leave an incomplete copy, which the next call completes.
    """
    console = Console(sys.stdout, sys.stderr, as_json=arguments.json)
    # Not if the name is empty, because a variable of a script is not set: an import would bring what is not masked.
    is_copy = arguments.from_golden is not None
    read = read_copy_options if is_copy else read_options
    options = read(arguments, environment)
    if isinstance(options, Failure):
        return console.fail(options)
    for warning in options.warnings:
        print_error(f"pgimport: warning: {warning}")
    try:
        with _interruptible():
            if isinstance(options, CopyOptions):
                copy_locally(options, console)
            else:
                run_locally(options, console)
    except (ImportFailed, Refused, ServerUnavailable) as error:
        return console.fail(error.failure)
    except PgimportError as error:
        print_error(f"pgimport: {error}")
        return EXIT_FAILED
    except _Interrupted as interrupted:
        effect = "run the command again" if is_copy else "the target is unchanged"
        console.fail(Failure(Reason.CANCELLED, f"interrupted; {effect}"))
        return 128 + interrupted.signal_number
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets the first signal raise _Interrupted. Later signals do not disturb the clean-up."""

    def interrupt(number: int, _frame: object) -> None:
        ignore_signals()
        raise _Interrupted(number)

    handlers = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
