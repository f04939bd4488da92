"""Orders SQL functions after the functions that they call. Pure.

PostgreSQL stores no dependencies of a body in a string, so pg_dump may list the caller first. If the target refuses a
function, its callers must not exist yet.
"""

from collections.abc import Iterable

from pgimport.worker.archive.entry_names import ROUTINES, find_object_name, is_sql_function
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import ObjectName, find_mentions

# A hostile archive may have a chain of a million calls. Beyond these limits, the archive's order stays.
MAX_CALL_DEPTH = 100
MAX_VISITS_PER_ENTRY = 50  # on average


def order_by_calls(entries: Iterable[TocEntry]) -> list[TocEntry]:
    """Returns the entries in the archive's order.

    As an exception, a called function and its dependencies come before its callers.
    """
    return _CallOrder(list(entries)).sort()


class _CallOrder:
    def __init__(self, entries: list[TocEntry]) -> None:
        self._entries = entries
        self._by_id = {entry.dump_id: entry for entry in entries}
        self._routines: dict[ObjectName, list[TocEntry]] = {}
        for entry in entries:
            if entry.kind in ROUTINES and (name := find_object_name(entry)) is not None:
                self._routines.setdefault(name, []).append(entry)
        self._positions = {entry.dump_id: position for position, entry in enumerate(entries)}
        self._sorted: dict[int, TocEntry] = {}
        self._visits_left = MAX_VISITS_PER_ENTRY * (len(entries) + MAX_CALL_DEPTH)

    def sort(self) -> list[TocEntry]:
        for entry in self._entries:
            self._add(entry, frozenset())
        return list(self._sorted.values())

    def _add(self, entry: TocEntry, callers: frozenset[int]) -> None:
        """Adds an entry after the functions that it calls.

        Ignores a call if the called function needs one of the `callers`: such calls form a cycle.
        """
        if entry.dump_id in self._sorted:
            return
        callers = callers | {entry.dump_id}
        for called in self._find_called(entry) if len(callers) <= MAX_CALL_DEPTH else ():
            needed = self._find_needed(called)
            if self._visits_left > 0 and callers.isdisjoint(needed):
                for item in sorted(needed.values(), key=self._position):
                    self._add(item, callers)
        self._sorted.setdefault(entry.dump_id, entry)

    def _find_called(self, entry: TocEntry) -> list[TocEntry]:
        if entry.kind not in ROUTINES or not is_sql_function(entry.definition):
            return []
        mentions = find_mentions(scan_tokens(entry.definition))
        return [
            called
            for name in sorted(mentions & self._routines.keys())
            for called in self._routines[name]
            if called.dump_id != entry.dump_id
        ]

    def _find_needed(self, entry: TocEntry) -> dict[int, TocEntry]:
        """Returns the entry and all that it depends on, directly or indirectly, as far as they are not sorted yet."""
        needed, waiting = dict[int, TocEntry](), [entry]
        while waiting and self._visits_left > 0:
            item = waiting.pop()
            self._visits_left -= 1 + len(item.dependencies)
            if item.dump_id not in needed and item.dump_id not in self._sorted:
                needed[item.dump_id] = item
                waiting += [self._by_id[dump_id] for dump_id in item.dependencies if dump_id in self._by_id]
        return needed

    def _position(self, entry: TocEntry) -> int:
        return self._positions[entry.dump_id]
