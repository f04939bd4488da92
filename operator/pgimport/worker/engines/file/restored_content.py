"""What went by of a dump file: filled by those who restore it, read by those who verify the copy."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pgimport.model.result import SkippedObject
from pgimport.worker.archive.selection import RestorePlan
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.checks.dump_file_reader import check_sum
from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.download import Download
from pgimport.worker.engines.pg_restore import ImportRun


@dataclass
class RestoredContent:
    """What went by, as the file tells it."""

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)  # schema, table → rows of its COPYs
    uncounted: set[str] = field(default_factory=set)  # tables whose rows are INSERTs
    filled: set[tuple[str, str]] = field(default_factory=set)  # materialised views to refresh
    plan: RestorePlan | None = None  # of an archive
    left: list[SkippedObject] = field(default_factory=list)
    sequences: int = 0
    later: Path | None = None  # plain SQL that runs after the counts


def read_to_the_end(run: ImportRun, stream: DumpStream, download: Download) -> None:
    """A checksum is of the whole file. Raises Stopped."""
    while stream.read_some():
        pass
    check_sum(run.order, download)


def find_copy_target(statement: str) -> tuple[str, str] | None:
    """`COPY s.t (…) FROM stdin`: schema and table; partitions may be copied through their root."""
    words = parse_tokens(statement[:4096])
    return (words[1], words[3]) if len(words) > 3 and words[0] == "copy" and words[2] == "." else None
