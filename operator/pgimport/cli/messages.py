"""Formats sizes and prints errors for all commands. Imports no pydantic, so that it costs no time."""

import sys
from typing import TextIO

from pgimport.model.visible_text import show_controls_of_line

_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_bytes(count: int) -> str:
    """Formats 1_234_567 as `1.2 MB`."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def print_error(text: str, stream: TextIO | None = None) -> None:
    """Prints one line to stderr. A text of a server or of Kubernetes may hold control characters."""
    print(show_controls_of_line(text), file=stream or sys.stderr, flush=True)
