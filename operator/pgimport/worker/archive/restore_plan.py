"""Tracks which entries of an archive are restored and which are skipped, with everything that depends on them. Pure.

The plan is made before the restore, and grows during it: the target may refuse an object. The order of an entry's
dependencies has no meaning. An archive lists an object before everything that depends on it.
"""

import heapq
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pgimport.model.import_choices import SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.archive.dependents import Dependents
from pgimport.worker.archive.entry_names import (
    ROUTINES,
    TABLE_ATTACH,
    describe_refused_entry,
    find_object_name,
    has_cast,
    is_sql_function,
    part_title,
)
from pgimport.worker.archive.sql_tokens import scan_tokens
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import (
    CHECK,
    DEFAULT,
    DOMAIN,
    TABLE,
    ObjectName,
    TablePart,
    find_mentions,
    mentions_name,
    trim_definition,
)

# Entries that belong to other objects. They are skipped together with the object, but not listed in the report.
ATTACHED_KINDS = frozenset(
    {
        "ACL",
        "BLOBS",
        "BLOB COMMENTS",
        "COMMENT",
        "DEFAULT",
        "INDEX ATTACH",
        "MATERIALIZED VIEW DATA",
        "ROW SECURITY",
        "SECURITY LABEL",
        "SEQUENCE OWNED BY",
        "SEQUENCE SET",
        "STATISTICS DATA",
        TABLE_ATTACH,
        "TABLE DATA",
    }
)
# A table that depends on one of these needs it as a whole. Of other kinds, the definition says which part needs it.
_NEEDED_AS_A_WHOLE = frozenset({"ACCESS METHOD", "FOREIGN TABLE", "MATERIALIZED VIEW", "SCHEMA", "TABLE", "VIEW"})
_INDEX_KINDS = ("CONSTRAINT", "INDEX")
_HASH_KEY = "PARTITION BY HASH"
_MAX_PARENT_REASON = 200  # characters of the server's words that the reason of a dependent object repeats

PartKey = tuple[int, str, str]  # oid of the table at the source, kind of the part, name
ConstraintName = tuple[str, str, str]  # schema, table or domain, constraint


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """An entry that is not restored.

    The report does not list it if it was skipped with `silent`, because it is then part of another skipped entry.
    """

    entry: TocEntry
    reason: str
    group: SkipGroup = SkipGroup.BY_DESIGN
    sqlstate: str | None = None
    key: str | None = None  # of a row that violates the constraint
    dependents_group: SkipGroup | None = None  # of what needs it; None: its own group

    @property
    def group_of_dependents(self) -> SkipGroup:
        return self.dependents_group or self.group

    @property
    def reason_of_dependents(self) -> str:
        """The reason of an entry that needs this one."""
        if self.sqlstate is None:
            return f"it needs {self.entry.title}, which is skipped"
        words = self.reason if len(self.reason) <= _MAX_PARENT_REASON else f"{self.reason[:_MAX_PARENT_REASON]}…"
        return f"it needs {self.entry.title}, which the target refused: {words}"


@dataclass(slots=True)
class RestorePlan:
    """Lists what is restored, in the archive's order, and what is skipped. Several threads may skip entries."""

    main_entries: list[TocEntry] = field(default_factory=list)
    row_security_entries: list[TocEntry] = field(default_factory=list)  # restored after the rows were counted
    skipped: list[SkippedObject] = field(default_factory=list)  # skipped objects that the report lists
    skipped_entries: dict[int, SkippedEntry] = field(default_factory=dict)  # by dump id, also the silent ones
    skipped_keys: set[tuple[int, int]] = field(default_factory=set)  # (catalog, oid) of all skipped objects
    skipped_checks: set[ConstraintName] = field(default_factory=set)  # constraints that the copy lacks
    skipped_indexes: set[ObjectName] = field(default_factory=set)  # also those of skipped constraints
    not_valid: set[ConstraintName] = field(default_factory=set)  # constraints that the source's rows violate
    definitions: dict[int, str] = field(default_factory=dict)  # by dump id; of tables and domains without some parts
    later_checks: dict[int, list[TablePart]] = field(default_factory=dict)  # by dump id; added after the rows
    table_parts: Mapping[PartKey, str] = field(default_factory=dict)  # parts to remove → reason
    entries_by_id: dict[int, TocEntry] = field(default_factory=dict)  # all entries of the archive
    containers: frozenset[int] = frozenset()  # dump ids of domains inside of arrays and other types
    rowless_tables: set[ObjectName] = field(default_factory=set)  # tables that are imported without their rows
    partitions: Mapping[ObjectName, list[TocEntry]] = field(default_factory=dict)  # of each partitioned table
    # Partitioned table → title of a partition that the scope excludes, so that the archive does not contain it.
    undumped_partitions: Mapping[ObjectName, str] = field(default_factory=dict)
    forecast: bool = False  # whether a table that needs a skipped extension counts as skipped, as nobody can try it
    _listed: dict[str, int] = field(default_factory=dict, repr=False)  # title → index in `skipped`
    _routines: dict[ObjectName, SkippedEntry] = field(default_factory=dict, repr=False)  # skipped ones
    _routine_counts: Counter[ObjectName] = field(default_factory=Counter, repr=False)  # number of overloads
    _skipped_routine_counts: Counter[ObjectName] = field(default_factory=Counter, repr=False)
    _dependents: Dependents | None = field(default=None, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        names = (find_object_name(entry) for entry in self.entries_by_id.values() if entry.kind in ROUTINES)
        self._routine_counts.update(name for name in names if name is not None)

    @property
    def table_oids(self) -> dict[int, int]:
        """Dump id of an entry with rows → oid of its table at the source."""
        return {entry.dump_id: entry.oid for entry in self.main_entries if entry.kind == "TABLE DATA"}

    @property
    def skipped_sequences(self) -> set[ObjectName]:
        """Schema and name of all sequences that are skipped, also those of identity columns."""
        return {
            (skipped.entry.schema, skipped.entry.tag)
            for skipped in list(self.skipped_entries.values())
            if skipped.entry.kind == "SEQUENCE"
        }

    @property
    def skipped_tables(self) -> list[SkippedEntry]:
        """The tables that the target refused, and those that depend on what it refused."""
        return [
            skipped
            for skipped in self.skipped_entries.values()
            if skipped.entry.kind == TABLE and skipped.group is SkipGroup.REFUSED
        ]

    @property
    def restored_entries(self) -> list[TocEntry]:
        """The main entries that are not skipped, or not yet."""
        return [entry for entry in self.main_entries if entry.dump_id not in self.skipped_entries]

    def definition_of(self, entry: TocEntry) -> str:
        return self.definitions.get(entry.dump_id, entry.definition)

    def is_skipped(self, entry: TocEntry) -> bool:
        return entry.dump_id in self.skipped_entries

    def belongs_to_skipped(self, entry: TocEntry) -> bool:
        """Returns whether an entry is a part of a skipped one, such as the value of a skipped sequence."""
        return entry.kind in ATTACHED_KINDS and not self.skipped_entries.keys().isdisjoint(entry.dependencies)

    def skip(self, skipped: SkippedEntry, *, silent: bool = False) -> None:
        """Skips an entry. The report lists it unless it is silent."""
        entry = skipped.entry
        with self._lock:
            if entry.dump_id in self.skipped_entries:
                return
            self.skipped_entries[entry.dump_id] = skipped
            self.later_checks.pop(entry.dump_id, None)
            if entry.catalog:
                self.skipped_keys.add((entry.catalog, entry.oid))
            self._add_names(entry, skipped)
            if not silent:
                self._list(entry.title, skipped)

    def skip_part(self, entry: TocEntry, part: TablePart, skipped: SkippedEntry) -> None:
        """Lists a default or CHECK that its table or domain does not get."""
        with self._lock:
            if part.kind == CHECK:
                self.skipped_checks.add((entry.schema, entry.tag, part.name))
            self._list(part_title(entry, part), skipped)

    def skip_change(self, title: str, skipped: SkippedEntry) -> None:
        """Lists a change that an entry does not get, such as the compression of a column. The entry itself stays."""
        with self._lock:
            self._list(title, skipped)

    def keep_not_valid(self, constraint: ConstraintName, title: str, skipped: SkippedEntry) -> None:
        """Lists a constraint that exists, but does not hold for all rows."""
        with self._lock:
            self.not_valid.add(constraint)
            self._list(title, skipped)

    def admit(self, entry: TocEntry) -> bool:
        """Skips the entry if it needs a skipped one, and removes the parts of a table that need one.

        Returns whether the entry is restored.
        """
        with self._lock:
            if entry.dump_id in self.skipped_entries:
                return False
            missing = [self.skipped_entries[item] for item in entry.dependencies if item in self.skipped_entries]
            if missing and entry.kind == "FK CONSTRAINT":
                missing = [item for item in missing if not self.attaches_skipped_partition(item.entry)]
            if missing and entry.kind in _INDEX_KINDS:
                missing = [item for item in missing if not self._outlives_parent_index(entry, item)]
            if entry.kind in (TABLE, DOMAIN):
                missing = self._trim(entry, missing) if missing or entry.dump_id not in self.definitions else []
            elif not missing and entry.kind in ROUTINES:
                missing = self._find_called(entry)
            if missing:
                cause = next((item for item in missing if item.group_of_dependents is SkipGroup.REFUSED), missing[0])
                silent = entry.kind in ATTACHED_KINDS and not _changes_kept_table(entry, missing)
                reason = describe_refused_entry(entry, cause.reason_of_dependents)
                self.skip(SkippedEntry(entry, reason, cause.group_of_dependents), silent=silent)
            return not missing

    def attaches_skipped_partition(self, entry: TocEntry) -> bool:
        """Returns whether an entry attaches the index of a partition that is skipped as a whole.

        The partitioned table's index is complete without it. In the archive, foreign keys to the table depend on it.
        """
        if entry.kind != "INDEX ATTACH":
            return False
        indexes = [self.entries_by_id[dump_id] for dump_id in entry.dependencies if dump_id in self.entries_by_id]
        tables = [self.find_entry(index, TABLE) for index in indexes if index.kind in ("CONSTRAINT", "INDEX")]
        return any(table is not None and self.is_skipped(table) for table in tables)

    def find_entry(self, entry: TocEntry, *kinds: str) -> TocEntry | None:
        """Returns the entry of one of these kinds that this entry depends on, or None."""
        listed = (self.entries_by_id.get(dump_id) for dump_id in entry.dependencies)
        return next((item for item in listed if item is not None and item.kind in kinds), None)

    def name_constraint(self, entry: TocEntry) -> ConstraintName:
        """Returns schema, table and name of an entry such as CONSTRAINT, whose tag consists of both names."""
        owner = self.find_entry(entry, TABLE, DOMAIN, "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE")
        if owner is not None and entry.tag.startswith(f"{owner.tag} "):
            return entry.schema, owner.tag, entry.tag[len(owner.tag) + 1 :]
        table, _, name = entry.tag.partition(" ")
        return entry.schema, table, name

    def _add_names(self, entry: TocEntry, skipped: SkippedEntry) -> None:
        """Adds the names by which the verification finds an index or a constraint, and callers find a function."""
        if entry.kind in ROUTINES and (routine := find_object_name(entry)) is not None:
            self._routines[routine] = skipped
            self._skipped_routine_counts[routine] += 1
        elif entry.kind == "TABLE DATA":
            self.rowless_tables.add((entry.schema, entry.tag))
        elif entry.kind == "INDEX":
            self.skipped_indexes.add((entry.schema, entry.tag))
        elif entry.kind in ("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT"):
            schema, table, name = self.name_constraint(entry)
            self.skipped_checks.add((schema, table, name))
            self.skipped_indexes.add((schema, name))

    def _list(self, title: str, skipped: SkippedEntry) -> None:
        if title in self._listed:
            return
        self._listed[title] = len(self.skipped)
        self.skipped.append(
            SkippedObject(
                object=title,
                reason=skipped.reason,
                group=skipped.group,
                sqlstate=skipped.sqlstate,
                offending_key=skipped.key,
            )
        )

    def set_row_count(self, entry: TocEntry, rows: int) -> None:
        """Adds to the report how many rows of a skipped table the copy lacks."""
        with self._lock:
            if (index := self._listed.get(entry.title)) is not None:
                self.skipped[index] = self.skipped[index].model_copy(update={"rows": rows})

    def skip_with_dependents(self, cause: SkippedEntry) -> list[TocEntry]:
        """Skips an entry that was planned, or even created, with everything that needs it. Returns all of them."""
        with self._lock:
            self.skip(cause)
            if self._dependents is None:
                self._dependents = Dependents([*self.main_entries, *self.row_security_entries])
            withdrawn, waiting = [cause.entry], self._dependents.find(cause.entry)
            while waiting:
                entry = self._dependents.entry(heapq.heappop(waiting))
                if not self.is_skipped(entry) and not self.admit(entry):
                    withdrawn.append(entry)
                    for position in self._dependents.find(entry):
                        heapq.heappush(waiting, position)
            return withdrawn

    def _trim(self, entry: TocEntry, missing: list[SkippedEntry]) -> list[SkippedEntry]:
        """Removes parts of a table or domain that need skipped entries. Returns what the rest of it still needs.

        The CHECK constraints that remain are removed too, and are added after the rows.
        """
        as_a_whole = [
            item
            for item in missing
            if (item.entry.kind in _NEEDED_AS_A_WHOLE and not self._outlives_parent(entry, item))
            or (self.forecast and item.entry.kind == "EXTENSION")
        ]
        if as_a_whole:
            return as_a_whole
        names = {name: item for item in missing if (name := find_object_name(item.entry)) is not None}
        cast = next((item for item in missing if item.entry.kind == "CAST"), None)

        def find_cause(part: TablePart) -> SkippedEntry | None:
            if (reason := self.table_parts.get((entry.oid, part.kind, part.name))) is not None:
                return SkippedEntry(entry, reason)
            named = next((names[name] for name in find_mentions(part.tokens) if name in names), None)
            return _depend_on(entry, named or (cast if has_cast(part) else None))

        causes: list[tuple[TablePart, SkippedEntry]] = []
        checks: list[TablePart] = []

        def is_unwanted(part: TablePart) -> bool:
            cause = find_cause(part)
            if cause is not None:
                causes.append((part, cause))
            is_later_check = cause is None and part.kind == CHECK and entry.dump_id not in self.containers
            if is_later_check:
                checks.append(part)
            return cause is not None or is_later_check

        definition, _ = trim_definition(entry.kind, entry.definition, is_unwanted)
        remaining = list(scan_tokens(definition))
        needed = [item for name, item in names.items() if mentions_name(remaining, {name})]
        if cast is not None and "::" in definition:
            needed.append(cast)
        if not needed:
            self.definitions[entry.dump_id] = definition
            self.later_checks[entry.dump_id] = checks
            for part, cause in causes:
                self.skip_part(entry, part, cause)
        return needed

    def _outlives_parent(self, entry: TocEntry, parent: SkippedEntry) -> bool:
        """Returns whether a table needs a refused one only to be its partition. Then it becomes a table of its own.

        Rows below a hash may be loaded and counted through the highest table only. Then its partitions are skipped too.
        """
        name = find_object_name(parent.entry)
        is_refused = parent.group_of_dependents is SkipGroup.REFUSED and parent.entry.kind == TABLE
        if not is_refused or name is None or mentions_name(list(scan_tokens(entry.definition)), {name}):
            return False
        table: TocEntry | None = parent.entry
        while table is not None:
            if _HASH_KEY in table.definition:
                return False
            table = self.find_entry(table, TABLE)
        return True

    def _outlives_parent_index(self, entry: TocEntry, parent: SkippedEntry) -> bool:
        """Returns whether an index or key belongs to a kept partition of a skipped table, whose index it needs."""
        table, skipped_table = self.find_entry(entry, TABLE), self.find_entry(parent.entry, TABLE)
        if parent.entry.kind not in _INDEX_KINDS or table is None or skipped_table is None:
            return False
        return self.is_skipped(skipped_table) and not self.is_skipped(table)

    def _find_called(self, entry: TocEntry) -> list[SkippedEntry]:
        """Returns skipped functions that an SQL function calls.

        An archive lists no dependencies for a body in a string.
        """
        if not self._routines or not is_sql_function(entry.definition):
            return []
        mentions = find_mentions(scan_tokens(entry.definition))
        called = sorted(mentions & self._routines.keys())
        return [self._routines[name] for name in called if not self._has_overload(name)]

    def _has_overload(self, name: ObjectName) -> bool:
        """True if another function of this name is not skipped. The body may mean that one."""
        return self._routine_counts[name] > self._skipped_routine_counts[name]


def _depend_on(entry: TocEntry, cause: SkippedEntry | None) -> SkippedEntry | None:
    return SkippedEntry(entry, cause.reason_of_dependents, cause.group_of_dependents) if cause is not None else None


def _changes_kept_table(entry: TocEntry, missing: list[SkippedEntry]) -> bool:
    """Returns True for a default or the attachment of a table that is not skipped: only such an entry is listed."""
    if entry.kind == TABLE_ATTACH:
        is_kept = all((item.entry.schema, item.entry.tag) != (entry.schema, entry.tag) for item in missing)
        return is_kept and any(item.group_of_dependents is SkipGroup.REFUSED for item in missing)
    return entry.kind == DEFAULT and all(item.entry.kind != TABLE for item in missing)
