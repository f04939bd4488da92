"""The error that is shown to the person at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """Says what went wrong and what to do about it. `__main__` prints it without a traceback."""
