"""Counts the rows in the files of a directory archive."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from pgimport.worker.archive.toc import Compression, TocEntry, corrupt
from pgimport.worker.engines.file.row_counter import RowCounter

_PIECE = 1024 * 1024  # bytes
_LARGE_OBJECT_LINE = re.compile(rb"[0-9]{1,10} blob_[0-9]{1,10}\.dat(\.gz|\.lz4|\.zst)?\n")
_LONGEST_LINE = 100  # bytes
_ENDINGS = (("", Compression.NONE), (".gz", Compression.GZIP), (".lz4", Compression.LZ4), (".zst", Compression.ZSTD))


def count_archive_rows(folder: Path, entries: Iterable[TocEntry], report_work: Callable[[], None]) -> dict[int, int]:
    """Returns dump id → rows, from the files that the entries name. Raises ImportStopped if one is missing.

    `report_work` is called after each MiB.
    """
    row_counts = {}
    for entry in entries:
        if not entry.file or (not entry.has_rows and entry.kind != "TABLE DATA"):
            continue
        path, compression = _find_file(folder, entry)
        if entry.kind == "BLOBS":
            _check_large_object_list(path)
        if entry.kind == "TABLE DATA" and entry.copy_statement:
            counter = RowCounter(compression, entry.title)
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    counter.feed(piece)
                    report_work()
            row_counts[entry.dump_id] = counter.finish()
    return row_counts


def _find_file(folder: Path, entry: TocEntry) -> tuple[Path, Compression]:
    name = Path(entry.file).name
    if entry.kind == "BLOBS" and not (folder / name).exists():
        # The file may have another name than in the table of contents. pg_restore opens the name that is there.
        for other in (f"blobs_{entry.dump_id}.toc", "blobs.toc"):
            if (folder / other).exists():
                (folder / name).hardlink_to(folder / other)
                break
    for ending, compression in _ENDINGS:
        if (path := folder / f"{name}{ending}").is_file():
            return path, compression
    raise corrupt(f"the file {name} of {entry.title} is not in the archive")


def _check_large_object_list(path: Path) -> None:
    """Raises ImportStopped if the list names a file that pg_dump never writes: pg_restore opens every listed file."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if not _LARGE_OBJECT_LINE.fullmatch(line):
                raise corrupt(f"{path.name} in the archive names a file that pg_dump would not")
