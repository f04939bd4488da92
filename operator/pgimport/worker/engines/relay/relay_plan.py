"""What the relay will do: facts of both ends come in; steps and streams, or why a dump must serve, go out. Pure.

A step is what one stream does in one transaction of the copy, and does again where it was cut. Large tables come
first, each in a step of its own; small ones travel many in one round trip.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from pgimport.model.spec import Engine
from pgimport.worker.memory import MIB, OWN_MEMORY, STREAM_MEMORY
from pgimport.worker.scope.snapshot import Table

SMALL_TABLE_BYTES = MIB  # a table up to this size travels with others
BATCH_TABLES = 200
BATCH_BYTES = 16 * MIB
LARGE_OBJECTS_PER_STEP = 1000
UTF8 = "UTF8"
MIN_WORK_MEMORY, MAX_WORK_MEMORY = 64 * MIB, 1024 * MIB  # of one index build


class Driver(Enum):
    """Whose hands the rows pass."""

    ASYNCPG = "asyncpg"  # merges rows in compiled code: large tables
    LIBPQ = "libpq"  # many COPYs in one round trip, and what asyncpg cannot do


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayInputs:
    """What the source's catalogues, its URL and this pod tell."""

    tables: tuple[Table, ...]  # whose rows are copied
    columns: Mapping[int, tuple[str, ...]]  # oid → what COPY carries
    roots: Mapping[int, Table] = field(default_factory=dict)  # oid → a table that others are loaded through
    index_counts: Mapping[int, int] = field(default_factory=dict)  # oid → how many
    standalone: frozenset[int] = frozenset()  # oids of tables that are neither parts nor made of parts
    large_object_starts: tuple[int, ...] = ()  # the first of every LARGE_OBJECTS_PER_STEP large objects
    extensions_with_rows: tuple[str, ...] = ()  # extensions with rows of the user's own
    encoding: str = UTF8
    channel_binding: bool = False  # is demanded
    free_connections: int | None = None  # at the source; None: not known
    memory_limit: int | None = None  # bytes this pod may use; None: no limit
    target_cores: int | None = None  # of the target; None: not known


@dataclass(frozen=True, slots=True)
class TableCopy:
    """Rows of one table."""

    table: Table
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowsStep:
    """Tables that one stream copies in one transaction of the copy."""

    tables: tuple[TableCopy, ...]
    driver: Driver
    root: Table | None = None  # the root that finds each row's partition
    binary: bool = False  # for a text that is too long

    @property
    def in_binary(self) -> "RowsStep":
        """The same, for rows that have no text form: half as long, but of the same types at both ends."""
        return replace(self, driver=Driver.LIBPQ, binary=True)

    @property
    def bytes(self) -> int:
        return sum(one.table.bytes for one in self.tables)

    @property
    def title(self) -> str:
        first = self.tables[0].table.title
        return first if len(self.tables) == 1 else f"{first} and {len(self.tables) - 1} more"

    @property
    def is_large(self) -> bool:
        """It sends more than it waits."""
        return self.root is not None or self.tables[0].table.bytes > SMALL_TABLE_BYTES


@dataclass(frozen=True, slots=True)
class LargeObjectsStep:
    """Large objects from one number up to, and without, another."""

    first: int
    end: int | None

    @property
    def title(self) -> str:
        return f"large objects from {self.first} on"

    @property
    def is_large(self) -> bool:
        return False


Step = RowsStep | LargeObjectsStep


@dataclass(frozen=True, slots=True)
class RelayPlan:
    """Steps in their order, and how many do them."""

    steps: tuple[Step, ...]
    streams: int
    index_workers: int  # of indexes
    notes: tuple[str, ...]  # what was decided otherwise than usual, and why


def choose_engine(asked: Engine, facts: RelayInputs) -> tuple[Engine, str | None]:
    """`relay` or `dump`, and why the relay cannot serve."""
    if asked is Engine.DUMP:
        return Engine.DUMP, None
    if facts.extensions_with_rows:
        names = ", ".join(facts.extensions_with_rows)
        return Engine.DUMP, f"extensions hold rows of the user's own, which pg_dump alone knows to bring ({names})"
    return Engine.RELAY, None


def plan_relay(facts: RelayInputs, jobs: int) -> RelayPlan:
    """The largest first; as many streams as all ends allow."""
    why = _find_libpq_reason(facts)
    steps = tuple(_plan_steps(facts, Driver.LIBPQ if why else Driver.ASYNCPG))
    streams, notes = _plan_streams(facts, jobs)
    if why:
        notes = [*notes, f"rows pass libpq, which needs more of the worker's CPU: {why}"]
    return RelayPlan(
        steps, max(1, min(streams, len(steps))), max(1, min(jobs, facts.target_cores or jobs)), tuple(notes)
    )


def _find_libpq_reason(facts: RelayInputs) -> str | None:
    if facts.channel_binding:
        return "the source URL demands channel binding"
    if facts.encoding != UTF8:
        return f"the source's encoding is {facts.encoding}"
    return None


def _plan_steps(facts: RelayInputs, driver: Driver) -> Iterator[Step]:
    alone, small = list[RowsStep](), list[TableCopy]()
    through: dict[int, list[TableCopy]] = {}
    for table in sorted(facts.tables, key=lambda one: (-one.bytes, one.oid)):
        rows = TableCopy(table, facts.columns.get(table.oid, ()))
        if table.counted_as in facts.roots and table.counted_as is not None:
            through.setdefault(table.counted_as, []).append(rows)
        elif table.bytes <= SMALL_TABLE_BYTES:
            small.append(rows)
        else:
            alone.append(RowsStep((rows,), driver))
    alone += [RowsStep(tuple(rows), driver, facts.roots[root]) for root, rows in through.items()]
    yield from sorted(alone, key=lambda step: -step.bytes)
    for first, end in (
        zip(facts.large_object_starts, [*facts.large_object_starts[1:], None], strict=True)
        if facts.large_object_starts
        else ()
    ):
        yield LargeObjectsStep(first, end)
    for batch in _build_batches(small):
        yield RowsStep(tuple(batch), Driver.LIBPQ)


def _build_batches(small: Iterable[TableCopy]) -> Iterator[list[TableCopy]]:
    batch, size = list[TableCopy](), 0
    for rows in small:
        if batch and (len(batch) == BATCH_TABLES or size + rows.table.bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(rows)
        size += rows.table.bytes
    if batch:
        yield batch


def _plan_streams(facts: RelayInputs, jobs: int) -> tuple[int, list[str]]:
    """No more than the source lets in, and than the pod's memory holds."""
    streams, notes = max(jobs, 1), []
    if facts.free_connections is not None and facts.free_connections < streams:
        streams = max(facts.free_connections, 1)
        notes.append(f"{_streams(streams)} instead of {jobs}: the source has no room for more connections")
    if facts.memory_limit is not None and (most := (facts.memory_limit - OWN_MEMORY) // STREAM_MEMORY) < streams:
        streams = max(most, 1)
        notes.append(
            f"{_streams(streams)} instead of {jobs}: the pod may use {facts.memory_limit // MIB} MiB of memory"
        )
    return streams, notes


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"


def plan_work_memory(current: int, shared_buffers: int, builders: int) -> int:
    """maintenance_work_mem of one builder, in bytes: half of the buffers for all, never below the server's own."""
    share = min(max(shared_buffers // (2 * builders), MIN_WORK_MEMORY), MAX_WORK_MEMORY)
    return max(current, share)


def describe_plan(facts: RelayInputs, plan: RelayPlan) -> list[str]:
    """For a person, step by step."""
    lines = [f"{_streams(plan.streams)}, {plan.index_workers} at the indexes", *plan.notes]
    for step in plan.steps:
        if isinstance(step, LargeObjectsStep):
            lines.append(f"{step.title}, at most {LARGE_OBJECTS_PER_STEP}, by libpq")
            continue
        indexes = sum(facts.index_counts.get(one.table.oid, 0) for one in step.tables)
        how = f"through {step.root.title}" if step.root else "frozen"
        lines.append(
            f"{step.title}: {step.bytes / MIB:.1f} MiB by {step.driver.value}, {how},"
            f" then {indexes} {'index' if indexes == 1 else 'indexes'}"
        )
    return lines
