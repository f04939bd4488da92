"""Computes short hashes of files and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

# Caches of tools beside the sources, which no build reads.
IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not IGNORED.intersection(path.parts))


def digest_of(paths: Iterable[Path], words: Iterable[str] = ()) -> str:
    """Returns 16 hex digits of a hash over texts, and over names and contents of files and of all files in folders."""
    total = hashlib.sha256()
    for word in words:
        total.update(f"{len(word)}:{word}".encode())
    for path in paths:
        for file in files_below(path) if path.is_dir() else [path]:
            name = str(file.relative_to(path)) if path.is_dir() else path.name
            content = file.read_bytes()
            total.update(f"{len(name)}:{name}{len(content)}:".encode() + content)
    return total.hexdigest()[:16]
