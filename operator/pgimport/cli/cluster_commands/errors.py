"""Defines how a command ends without success: each error is one line for the user and an exit code. Pure."""

EXIT_FAILED = 1
EXIT_NO_KUBECTL = 78  # like the other programs without a usable configuration


class CommandFailed(Exception):
    """The command cannot go on. The message is for the user."""

    exit_code = EXIT_FAILED


class ObjectNotFound(CommandFailed):
    """An object that the user has named, or that a command needs, does not exist."""


class AlreadyExists(CommandFailed):
    """An object of this name exists."""


class NotAllowed(CommandFailed):
    """The user may not do this in the cluster."""


class KubectlMissing(CommandFailed):
    """There is no kubectl on PATH."""

    exit_code = EXIT_NO_KUBECTL
