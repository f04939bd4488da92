"""Finds a dump on this machine for `pgimport run --source`: a path, or standard input."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pgimport.model.reasons import Failure, Reason
from pgimport.model.source_url import STANDARD_INPUT, LocalFile, looks_like_path


@dataclass(frozen=True, slots=True)
class WorkerSource:
    """How the worker opens a dump on this machine."""

    path: str
    descriptor: int | None = None  # of a pipe, which the worker inherits


def find_local_file(text: str) -> LocalFile | Failure | None:
    """Returns the dump that the text names; None if the text is not a path."""
    if text == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            message = "standard input is a terminal: pipe a dump into the command, or name a file with --source"
            return Failure(Reason.SOURCE_URL_INVALID, message)
        return LocalFile(STANDARD_INPUT)
    if not looks_like_path(text) and ("://" in text or not os.path.exists(text)):
        return None
    path = _parse_path(text)
    if isinstance(path, Failure):
        return path
    if not path.exists():
        return Failure(Reason.DUMP_NOT_FOUND, f"there is no file {path}")
    if not os.access(path, os.R_OK):
        return Failure(Reason.DUMP_NOT_FOUND, f"the file {path} cannot be read: permission denied")
    return LocalFile(str(path))


def _parse_path(text: str) -> Path | Failure:
    if text.lower().startswith("file:"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            return Failure(
                Reason.SOURCE_URL_INVALID,
                "the source URL is not usable: write a file of this machine as file:///path or as a path",
            )
        return Path(unquote(parts.path))
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # there is no such user
        return Path(text).absolute()


@contextmanager
def open_local_source(source: object) -> Iterator[WorkerSource | None]:
    """Yields how the worker opens the dump, or None for other sources. Opens a pipe, which the worker inherits."""
    if not isinstance(source, LocalFile):
        yield None
        return
    if source.path == STANDARD_INPUT:
        descriptor = os.dup(sys.stdin.fileno())
    elif stat.S_ISREG(os.stat(source.path).st_mode) or os.path.isdir(source.path):
        yield WorkerSource(source.path)
        return
    else:
        descriptor = os.open(source.path, os.O_RDONLY)
    try:
        yield WorkerSource(f"/dev/fd/{descriptor}", descriptor)
    finally:
        os.close(descriptor)
