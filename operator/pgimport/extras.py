"""Explains which extra of the `pgimport` distribution has a package that is not installed."""

EX_CONFIG = 78


def explain_missing_package(error: ModuleNotFoundError, command: str, extra: str | None) -> str | None:
    """Returns one line for the user, or None if the error is a fault in our code.

    `command` is what the user called, for example `pgimport keys`. `extra` is None if the base installation has every
    package of the command.
    """
    package = (error.name or "").partition(".")[0]
    if package == "pgimport" or not package:
        return None
    requirement = "pgimport" if extra is None else f"pgimport[{extra}]"
    return f"{command} needs the Python package {package}. Run `pip install '{requirement}'`."
