"""Collects what was restored from a dump file, so that the copy can be compared with it."""

from collections import Counter
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace

from pgimport.model.result import SkippedObject
from pgimport.worker.archive.partition_roots import PartitionRoots
from pgimport.worker.archive.restore_plan import RestorePlan
from pgimport.worker.archive.sql_tokens import parse_tokens
from pgimport.worker.engines.configuration_rows import ConfigurationRows, list_refused_rows
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.file.name_changes import NameChange
from pgimport.worker.engines.file.plain_statement import Statement
from pgimport.worker.engines.file.search_path import TEMPORARY
from pgimport.worker.engines.file.statement_subject import Subject

_ROLLED_BACK = (
    "created",
    "deferred",
    "names",
    "not_valid",
    "populated_views",
    "row_change",
    "row_counts",
    "sequence_count",
    "skipped",
    "uncounted_tables",
)
COPY_HEAD = 4096  # characters of a COPY statement that hold its table's name


@dataclass
class RestoredContent:
    """What was restored from a dump file, according to the file itself."""

    row_counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # schema, table → rows of its COPYs
    # Schema and name of tables that get rows by INSERT, or by a COPY with options
    uncounted_tables: set[tuple[str, str]] = field(default_factory=set)
    row_change: str | None = None  # statement of the file that may have changed rows after their COPY
    configuration_rows: list[ConfigurationRows] = field(default_factory=list)  # in tables of extensions
    populated_views: set[tuple[str, str]] = field(default_factory=set)  # materialised views to refresh
    plan: RestorePlan | None = None  # of an archive; plain SQL has none
    restore: DefinitionRestore | None = None  # creates policies later; plain SQL has none
    skipped: list[SkippedObject] = field(default_factory=list)
    sequence_count: int = 0
    notes: list[str] = field(default_factory=list)
    # Of plain SQL:
    names: set[tuple[str, str]] = field(default_factory=set)  # schema and name of objects that the file creates
    created: dict[str, Subject] = field(default_factory=dict)  # title → object that was created
    not_valid: set[str] = field(default_factory=set)  # titles of constraints that the source's rows violate
    partition_roots: PartitionRoots = field(default_factory=PartitionRoots)
    deferred: list[Statement] = field(default_factory=list)  # they run after the rows were counted

    def add(self, subject: Subject, definition: str | None) -> None:
        """Adds an object that was created. Temporary ones end with psql's session."""
        if subject.schema != TEMPORARY and subject.name:
            self.created[subject.title] = replace(subject, definition=definition)

    def apply(self, change: NameChange) -> None:
        """Renames or drops objects."""
        changed = (change.apply(item) for item in self.created.values())
        self.created = {item.title: item for item in changed if item is not None}
        counts = [(change.apply_to_name(name), count) for name, count in self.row_counts.items()]
        self.row_counts = Counter({name: count for name, count in counts if name is not None})
        for names in (self.uncounted_tables, self.populated_views):
            kept = {name for name in map(change.apply_to_name, names) if name is not None}
            names.clear()
            names.update(kept)

    def save(self) -> Callable[[], None]:
        """Remembers the present state. Returns a function that restores it, after a ROLLBACK of the file."""
        saved = {name: copy(getattr(self, name)) for name in _ROLLED_BACK}

        def restore() -> None:
            for name, state in saved.items():
                setattr(self, name, copy(state))

        return restore

    def withdraw_not_valid(self, title: str) -> bool:
        """Removes a constraint from the NOT VALID ones, before the rows are checked again. Returns if it was one."""
        if title not in self.not_valid:
            return False
        self.not_valid.discard(title)
        self.skipped[:] = [item for item in self.skipped if item.object != title]
        return True

    def add_configuration_rows(self, results: list[ConfigurationRows]) -> None:
        """Adds what was restored into tables of extensions, and lists what was refused."""
        self.configuration_rows += results
        self.skipped += list_refused_rows(results)


def describe_created_schema(schema: str) -> str:
    """Returns the note about a schema that the dump lacks. Pure."""
    return f"the dump does not create the schema {schema}, so the import created it"


def find_copy_target(statement: str) -> tuple[str, str] | None:
    """Returns schema and table of `COPY s.t (…) FROM stdin`. Partitions may be copied through their root. Pure."""
    tokens = parse_tokens(statement[:COPY_HEAD])
    return (tokens[1], tokens[3]) if len(tokens) > 3 and tokens[0] == "copy" and tokens[2] == "." else None
