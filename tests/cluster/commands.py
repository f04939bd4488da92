"""Runs commands, and raises errors that show the last lines of their output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.errors import ClusterError

# Lines of a failed command's output which an error repeats: enough for a cause, few enough to be read.
SHOWN_LINES = 20

# Programs of Debian's packages live in the sbin folders, which a plain user's or a cron job's PATH leaves out.
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

_started = time.monotonic()


def print_progress(text: str) -> None:
    """Prints a line of progress on standard error, with the seconds since the start."""
    print(f"[{time.monotonic() - _started:5.1f}s] {text}", file=sys.stderr, flush=True)


def search_path() -> str:
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([*folders, *(folder for folder in SYSTEM_FOLDERS if folder not in folders)])


def find_program(name: str) -> str | None:
    return shutil.which(name, path=search_path())


def run(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text_in: str | None = None,
) -> str:
    """Runs a command and returns its standard output. Raises ClusterError if it fails.

    `env` is added to this process's environment.
    """
    words = [str(word) for word in arguments]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, "PATH": search_path(), **(env or {})},
            cwd=cwd,
            input=text_in,
            stdin=None if text_in is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise ClusterError(f"the program `{words[0]}` is missing: install it and try again") from None
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-SHOWN_LINES:]
        raise ClusterError(f"`{' '.join(words)}` ended with code {done.returncode}:\n" + "\n".join(lines))
    return done.stdout


def succeeds(arguments: Sequence[str | Path]) -> bool:
    """Tells whether a command succeeds; False if the program is missing."""
    try:
        run(arguments)
    except ClusterError:
        return False
    return True
