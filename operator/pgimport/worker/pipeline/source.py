"""Defines the interface that a source implements: a running server or a dump file."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pgimport.model.result import SkippedObject
from pgimport.worker.verify.findings import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What is in the shadow after rows, indexes and constraints were copied.

    A source may append to `skipped` in its later steps. The result contains what is in the list at the end.
    """

    skipped: list[SkippedObject] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    analyzed: frozenset[tuple[str, str]] = frozenset()  # schema and name of tables with fresh statistics
    data_as_of: datetime | None = None  # the time of the source's snapshot; None: a dump file does not contain it
    populated_views: Collection[tuple[str, str]] = ()  # materialised views that hold rows at the source


class Source(Protocol):
    """The steps of an import that depend on where the data comes from, in the order in which the pipeline calls them.

    Each of them raises ImportStopped.
    """

    def copy(self) -> Copied:
        """Copies structure, rows, sequences, large objects, indexes and constraints into the shadow.

        Releases the source as soon as its last row is read: the later steps use what was read before that.
        """
        ...

    def compare_rows(self, findings: Findings) -> None:
        """Compares the rows of all tables, large objects and sequences. Runs before row security hides rows."""
        ...

    def restore_row_security(self) -> None:
        """Creates policies and enables row security."""
        ...

    def compare_definitions(self, findings: Findings) -> None:
        """Compares which objects exist, and whether each is valid and enabled as at the source."""
        ...
