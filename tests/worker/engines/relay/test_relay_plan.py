"""Plans of a relay: the order and size of steps, the number of streams, and the choice of the engine."""

from dataclasses import replace
from typing import Any

import pytest

from pgimport.model.import_choices import Engine
from pgimport.worker.engines.relay.relay_plan import (
    Driver,
    LargeObjectsStep,
    RelayInputs,
    RowsStep,
    choose_engine,
    describe_plan,
    plan_relay,
)
from pgimport.worker.memory import MIB
from pgimport.worker.scope.snapshot import Table


def build_table(oid: int, size: int, counted_as: int | None = None, partitioned: bool = False) -> Table:
    return Table(oid, "public", f"t{oid}", partitioned, size, counted_as, True)


def build_inputs(*tables: Table, **changes: Any) -> RelayInputs:
    columns = {table.oid: ("id", "note") for table in tables}
    return replace(RelayInputs(tables=tables, columns=columns), **changes)


def plan_titles(inputs: RelayInputs, jobs: int = 4) -> list[str]:
    return [step.title for step in plan_relay(inputs, jobs).steps]


def test_the_largest_table_comes_first_and_small_tables_share_a_step() -> None:
    inputs = build_inputs(build_table(1, 5), build_table(2, 9 * MIB), build_table(3, 900 * MIB), build_table(4, 7))
    plan = plan_relay(inputs, 4)
    assert plan_titles(inputs) == ["public.t3", "public.t2", "public.t4 and 1 more"]
    assert [step.driver for step in plan.steps if isinstance(step, RowsStep)] == [
        Driver.ASYNCPG,
        Driver.ASYNCPG,
        Driver.LIBPQ,
    ]
    assert plan.streams == 3  # no more than there are steps


def test_a_step_of_small_tables_is_limited_by_their_number_and_size() -> None:
    assert plan_titles(build_inputs(*(build_table(oid, 0) for oid in range(1, 402)))) == [
        "public.t1 and 199 more",
        "public.t201 and 199 more",
        "public.t401",
    ]
    assert len(plan_titles(build_inputs(*(build_table(oid, MIB) for oid in range(1, 33))))) == 2


def test_partitions_that_are_loaded_through_their_root_are_one_step() -> None:
    """A step begins with TRUNCATE of the root: a second step would delete the rows of the first."""
    root = build_table(9, 0, partitioned=True)
    inputs = build_inputs(build_table(1, 5 * MIB, 9), build_table(2, 4, 9), build_table(3, 2 * MIB), roots={9: root})
    first, second = plan_relay(inputs, 4).steps
    assert isinstance(first, RowsStep)
    assert ([rows.table.oid for rows in first.tables], first.root) == ([1, 2], root)
    assert isinstance(second, RowsStep)
    assert second.root is None


def test_large_objects_come_before_small_tables_in_ranges_without_gaps() -> None:
    inputs = build_inputs(build_table(1, 5), build_table(2, 9 * MIB), large_object_starts=(16400, 18000))
    assert plan_relay(inputs, 4).steps[1:3] == (LargeObjectsStep(16400, 18000), LargeObjectsStep(18000, None))


@pytest.mark.parametrize(
    ("changes", "streams", "note"),
    [
        pytest.param({}, 4, "", id="no limit"),
        pytest.param(
            {"free_connections": 2},
            2,
            "2 streams instead of 4: the source has no more free connections",
            id="connections",
        ),
        pytest.param({"free_connections": -3}, 1, "1 stream instead of 4", id="no connection at all"),
        pytest.param(
            {"memory_limit": 182 * MIB}, 2, "2 streams instead of 4: the pod's memory limit is 182 MiB", id="memory"
        ),
        pytest.param({"memory_limit": 64 * MIB}, 1, "1 stream instead of 4", id="hardly any memory"),
    ],
)
def test_streams_are_limited_by_free_connections_and_by_memory(
    changes: dict[str, int], streams: int, note: str
) -> None:
    plan = plan_relay(build_inputs(*(build_table(oid, 9 * MIB) for oid in range(1, 9)), **changes), 4)
    assert plan.streams == streams
    assert note in "".join(plan.notes)


@pytest.mark.parametrize(
    ("changes", "note"),
    [({"encoding": "LATIN1"}, "encoding is LATIN1"), ({"channel_binding": True}, "requires channel binding")],
    ids=["encoding", "channel binding"],
)
def test_libpq_copies_what_asyncpg_cannot_and_a_note_says_so(changes: dict[str, object], note: str) -> None:
    plan = plan_relay(build_inputs(build_table(1, 9 * MIB), **changes), 4)
    assert [step.driver for step in plan.steps if isinstance(step, RowsStep)] == [Driver.LIBPQ]
    assert note in plan.notes[0]


@pytest.mark.parametrize(
    ("requested", "extensions", "expected", "reason"),
    [
        pytest.param(Engine.AUTO, (), Engine.RELAY, None, id="auto chooses the relay"),
        pytest.param(Engine.RELAY, (), Engine.RELAY, None, id="the relay is requested"),
        pytest.param(Engine.DUMP, (), Engine.DUMP, None, id="a dump is requested"),
        pytest.param(Engine.AUTO, ("postgis",), Engine.DUMP, "(postgis)", id="auto with rows of an extension"),
        pytest.param(
            Engine.RELAY, ("postgis",), Engine.DUMP, "(postgis)", id="the relay is requested with rows of an extension"
        ),
    ],
)
def test_the_relay_is_chosen_unless_it_cannot_copy_the_source(
    requested: Engine, extensions: tuple[str, ...], expected: Engine, reason: str | None
) -> None:
    engine, dump_reason = choose_engine(requested, build_inputs(extensions_with_rows=extensions))
    assert engine is expected
    assert (dump_reason is None) if reason is None else reason in (dump_reason or "")


def test_an_empty_database_has_one_stream_and_no_steps() -> None:
    plan = plan_relay(build_inputs(), 4)
    assert (plan.steps, plan.streams) == ((), 1)


def test_a_plan_is_described_step_by_step() -> None:
    inputs = build_inputs(
        build_table(1, 5 * MIB), build_table(2, 5), index_counts={1: 1}, large_object_starts=(16400,), target_cores=2
    )
    assert describe_plan(inputs, plan_relay(inputs, 8)) == [
        "3 streams, 2 index workers",
        "public.t1: 5.0 MiB, copied by asyncpg with FREEZE, then 1 index",
        "large objects from OID 16400: at most 1000, copied by libpq",
        "public.t2: 0.0 MiB, copied by libpq with FREEZE, then 0 indexes",
    ]
