"""Defines how a command ends without success: each error is one line for the user and an exit code. Pure."""

EXIT_FAILED = 1
EXIT_USAGE = 2  # as of argparse
EXIT_PROGRAM_MISSING = 127  # as of a shell: 78 would mean that an import failed with ClientTooOld


class CommandFailed(Exception):
    """The command cannot go on. The message is for the user."""

    exit_code = EXIT_FAILED


class WrongUsage(CommandFailed):
    """Options of the command do not fit together, or one has the wrong form."""

    exit_code = EXIT_USAGE


class ObjectNotFound(CommandFailed):
    """An object that the user has named, or that a command needs, does not exist."""


class AlreadyExists(CommandFailed):
    """An object of this name exists."""


class NotAllowed(CommandFailed):
    """The user may not do this in the cluster."""


class KubectlMissing(CommandFailed):
    """There is no kubectl on PATH."""

    exit_code = EXIT_PROGRAM_MISSING
