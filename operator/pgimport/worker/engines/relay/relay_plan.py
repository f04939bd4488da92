"""Plans the steps of a relay and the streams and index workers that run them. Pure.

A step is what one stream copies in one transaction of the shadow. If a connection is lost, the stream copies the step
again. Large tables come first, each in a step of its own. Small tables share steps, because a step costs a round trip.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from pgimport.model.import_choices import Engine
from pgimport.worker.memory import MIB, OWN_MEMORY, STREAM_MEMORY
from pgimport.worker.scope.snapshot import Table
from pgimport.worker.text import count_of

SMALL_TABLE_BYTES = MIB  # tables up to this size share a step
TABLES_PER_STEP = 200
BYTES_PER_STEP = 16 * MIB
LARGE_OBJECTS_PER_STEP = 1000
UTF8 = "UTF8"


class Driver(Enum):
    """Client library that copies the rows of a step."""

    ASYNCPG = "asyncpg"  # joins rows in compiled code: for large tables
    LIBPQ = "libpq"  # sends many COPYs in one round trip, and does what asyncpg cannot do


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayInputs:
    """Inputs of a relay plan, from the source's catalogs, its URL, and the limits of this pod."""

    tables: tuple[Table, ...]  # whose rows are copied
    columns: Mapping[int, tuple[str, ...]]  # table oid → columns that COPY transfers
    # table oid → column → type, of columns whose binary form contains oids of the source
    text_columns: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    roots: Mapping[int, Table] = field(default_factory=dict)  # oid → partitioned table that rows are loaded through
    index_counts: Mapping[int, int] = field(default_factory=dict)  # table oid → number of indexes
    standalone: frozenset[int] = frozenset()  # oids of tables without parent, child or partition
    large_object_starts: tuple[int, ...] = ()  # oid of every LARGE_OBJECTS_PER_STEP-th large object, from the first
    extensions_with_rows: tuple[str, ...] = ()  # names of extensions whose tables hold the user's own rows
    encoding: str = UTF8  # of the source database
    channel_binding: bool = False  # whether the source URL requires it
    free_connections: int | None = None  # at the source; None: not known
    memory_limit: int | None = None  # of this pod, in bytes; None: no limit
    target_cores: int | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class TableCopy:
    """A table whose rows are copied, and the columns that COPY transfers."""

    table: Table
    columns: tuple[str, ...]
    text_columns: Mapping[str, str] = field(default_factory=dict)  # column → type, copied as text in a binary COPY


@dataclass(frozen=True, slots=True)
class RowsStep:
    """Tables whose rows one stream copies in one transaction of the shadow."""

    tables: tuple[TableCopy, ...]
    driver: Driver
    root: Table | None = None  # partitioned table that routes the rows to their partitions
    binary: bool = False  # binary COPY format, for rows that are too long for the text format

    @property
    def in_binary(self) -> "RowsStep":
        """The same step in binary format.

        Binary `bytea` values are half as long as their text. Binary COPY needs the same column types at both ends, so
        a staging table holds text instead of types whose binary form contains oids.
        """
        return replace(self, driver=Driver.LIBPQ, binary=True)

    @property
    def bytes(self) -> int:
        return sum(table_copy.table.bytes for table_copy in self.tables)

    @property
    def title(self) -> str:
        first = self.tables[0].table.title
        return first if len(self.tables) == 1 else f"{first} and {len(self.tables) - 1} more"

    @property
    def is_large(self) -> bool:
        """Whether throughput limits the step. Round trips limit small steps."""
        return self.root is not None or self.tables[0].table.bytes > SMALL_TABLE_BYTES


@dataclass(frozen=True, slots=True)
class LargeObjectsStep:
    """Large objects whose oid is at least `first` and below `end` (None: no upper bound)."""

    first: int
    end: int | None

    @property
    def title(self) -> str:
        return f"large objects from OID {self.first}"

    @property
    def is_large(self) -> bool:
        return False


Step = RowsStep | LargeObjectsStep


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """Steps in the order in which they start, and the number of workers for them."""

    steps: tuple[Step, ...]
    streams: int
    index_workers: int
    notes: tuple[str, ...]  # limitations, such as fewer streams than requested, with their reasons


def choose_engine(requested: Engine, inputs: RelayInputs) -> tuple[Engine, str | None]:
    """Returns `relay` or `dump`, and the reason if the relay cannot copy this source."""
    if requested is Engine.DUMP:
        return Engine.DUMP, None
    if inputs.extensions_with_rows:
        names = ", ".join(inputs.extensions_with_rows)
        return Engine.DUMP, f"only pg_dump can copy the user's rows in tables of extensions ({names})"
    return Engine.RELAY, None


def plan_relay(inputs: RelayInputs, jobs: int) -> RelayPlan:
    """Plans at most `jobs` streams; the largest tables come first."""
    libpq_reason = _find_libpq_reason(inputs)
    steps = tuple(_plan_steps(inputs, Driver.LIBPQ if libpq_reason else Driver.ASYNCPG))
    streams, notes = _plan_streams(inputs, jobs)
    if libpq_reason:
        notes = [*notes, f"libpq copies the rows and uses more CPU of the worker than asyncpg: {libpq_reason}"]
    return RelayPlan(
        steps=steps,
        streams=max(1, min(streams, len(steps))),
        index_workers=max(1, min(jobs, inputs.target_cores or jobs)),
        notes=tuple(notes),
    )


def _find_libpq_reason(inputs: RelayInputs) -> str | None:
    """Returns why asyncpg cannot copy this source, or None if it can."""
    if inputs.channel_binding:
        return "the source URL requires channel binding"
    if inputs.encoding != UTF8:
        return f"the source's encoding is {inputs.encoding}"
    return None


def _plan_steps(inputs: RelayInputs, driver: Driver) -> Iterator[Step]:
    """Yields large tables, then large objects, then small tables; within each kind the largest first."""
    large_steps, small_tables = list[RowsStep](), list[TableCopy]()
    tables_by_root: dict[int, list[TableCopy]] = {}
    for table in sorted(inputs.tables, key=lambda table: (-table.bytes, table.oid)):
        table_copy = TableCopy(table, inputs.columns.get(table.oid, ()), inputs.text_columns.get(table.oid, {}))
        if table.counted_as in inputs.roots and table.counted_as is not None:
            tables_by_root.setdefault(table.counted_as, []).append(table_copy)
        elif table.bytes <= SMALL_TABLE_BYTES:
            small_tables.append(table_copy)
        else:
            large_steps.append(RowsStep((table_copy,), driver))
    large_steps += [RowsStep(tuple(tables), driver, inputs.roots[root]) for root, tables in tables_by_root.items()]
    yield from sorted(large_steps, key=lambda step: -step.bytes)
    starts = inputs.large_object_starts
    for first, end in zip(starts, [*starts[1:], None], strict=True) if starts else ():
        yield LargeObjectsStep(first, end)
    for batch in _build_batches(small_tables):
        yield RowsStep(tuple(batch), Driver.LIBPQ)


def _build_batches(small_tables: Iterable[TableCopy]) -> Iterator[list[TableCopy]]:
    batch, size = list[TableCopy](), 0
    for table_copy in small_tables:
        if batch and (len(batch) == TABLES_PER_STEP or size + table_copy.table.bytes > BYTES_PER_STEP):
            yield batch
            batch, size = [], 0
        batch.append(table_copy)
        size += table_copy.table.bytes
    if batch:
        yield batch


def _plan_streams(inputs: RelayInputs, jobs: int) -> tuple[int, list[str]]:
    """Limits the streams to the source's free connections and to the pod's memory, and notes each reduction."""
    streams, notes = max(jobs, 1), []
    if inputs.free_connections is not None and inputs.free_connections < streams:
        streams = max(inputs.free_connections, 1)
        notes.append(f"{count_of(streams, 'stream')} instead of {jobs}: the source has no more free connections")
    if inputs.memory_limit is not None:
        streams_in_memory = (inputs.memory_limit - OWN_MEMORY) // STREAM_MEMORY
        if streams_in_memory < streams:
            streams = max(streams_in_memory, 1)
            limit = f"the pod's memory limit is {inputs.memory_limit // MIB} MiB"
            notes.append(f"{count_of(streams, 'stream')} instead of {jobs}: {limit}")
    return streams, notes


def describe_plan(inputs: RelayInputs, plan: RelayPlan) -> list[str]:
    """Returns one line for the workers, one for each note, and one for each step."""
    workers = f"{count_of(plan.streams, 'stream')}, {count_of(plan.index_workers, 'index worker')}"
    return [workers, *plan.notes, *(_describe_step(inputs, step) for step in plan.steps)]


def _describe_step(inputs: RelayInputs, step: Step) -> str:
    if isinstance(step, LargeObjectsStep):
        return f"{step.title}: at most {LARGE_OBJECTS_PER_STEP}, copied by libpq"
    indexes = sum(inputs.index_counts.get(table_copy.table.oid, 0) for table_copy in step.tables)
    load = f"into {step.root.title}" if step.root else "with FREEZE"
    return (
        f"{step.title}: {step.bytes / MIB:.1f} MiB, copied by {step.driver.value} {load},"
        f" then {indexes} {'index' if indexes == 1 else 'indexes'}"
    )
