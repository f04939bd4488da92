"""Imports a program, and explains which extra of the `pgimport` distribution has its missing packages."""

import gc
from collections.abc import Callable
from importlib import import_module

EX_CONFIG = 78


class NotInstalled(Exception):
    """A program or one of its packages is not installed. The message is one line for the user."""


def load_main(module: str, command: str, extra: str | None) -> Callable[..., int]:
    """Imports a program's module and returns its function `main`.

    `command` is what the user called, for example `pgimport keys`. `extra` is None if the base installation has every
    package of the command. Raises NotInstalled.
    """
    # Imports create many objects and hardly any garbage. Without collections they take about 6 % less time.
    gc.disable()
    try:
        main: Callable[..., int] = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name is not None and module.startswith(error.name):
            raise NotInstalled(
                f"`{command}` is not part of this image or file. Operator and worker have an image each, and"
                " pgimport.pyz has the commands for a cluster."
                f" To install it, run `pip install '{_format_requirement(extra)}'`."
            ) from error
        message = explain_missing_package(error, command, extra)
        if message is None:
            raise
        raise NotInstalled(message) from error
    finally:
        gc.freeze()
        gc.enable()
    return main


def explain_missing_package(error: ModuleNotFoundError, command: str, extra: str | None) -> str | None:
    """Returns one line for the user, or None if the error is a fault in our code."""
    package = (error.name or "").partition(".")[0]
    if package == "pgimport" or not package:
        return None
    return f"{command} needs the Python package {package}. Run `pip install '{_format_requirement(extra)}'`."


def _format_requirement(extra: str | None) -> str:
    return "pgimport" if extra is None else f"pgimport[{extra}]"
