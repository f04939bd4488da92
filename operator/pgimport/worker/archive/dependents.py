"""Finds the entries that need a given entry, over an index instead of a search through the archive. Pure."""

from collections.abc import Sequence

from pgimport.worker.archive.entry_names import ROUTINES, find_object_name, is_sql_function
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import ObjectName, find_mentions


class Dependents:
    """Index of an archive's entries by what they depend on. A position is an entry's place in the archive's order."""

    def __init__(self, entries: Sequence[TocEntry]) -> None:
        self._entries = entries
        self._by_id: dict[int, list[int]] = {}
        self._callers: dict[ObjectName, list[int]] | None = None  # function → SQL functions that mention its name
        for position, entry in enumerate(entries):
            for dump_id in entry.dependencies:
                self._by_id.setdefault(dump_id, []).append(position)

    def entry(self, position: int) -> TocEntry:
        return self._entries[position]

    def find(self, entry: TocEntry) -> list[int]:
        """Returns the sorted positions of the entries that depend on this one, or whose body calls it."""
        positions = self._by_id.get(entry.dump_id, [])
        name = find_object_name(entry) if entry.kind in ROUTINES else None
        return sorted({*positions, *self._find_callers(name)}) if name is not None else list(positions)

    def _find_callers(self, name: ObjectName) -> list[int]:
        if self._callers is None:
            self._callers = {}
            for position, entry in enumerate(self._entries):
                if entry.kind in ROUTINES and is_sql_function(entry.definition):
                    for mention in find_mentions(scan_tokens(entry.definition)):
                        self._callers.setdefault(mention, []).append(position)
        return self._callers.get(name, [])
