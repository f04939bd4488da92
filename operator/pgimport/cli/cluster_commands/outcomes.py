"""Defines the end of a wait. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a wait: the exit code, and what to tell the user about the end."""

    exit_code: int
    message: str = ""
