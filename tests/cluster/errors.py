"""A refusal or a failure for the person at the terminal goes in; one line on standard error comes out."""

from __future__ import annotations


class ClusterError(Exception):
    """What went wrong and what to do about it; `__main__` prints it without a traceback."""
