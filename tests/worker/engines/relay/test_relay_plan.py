"""Facts come in, steps and streams go out: no server is asked."""

from dataclasses import replace
from typing import Any

import pytest

from pgimport.model.spec import Engine
from pgimport.worker.engines.relay.relay_plan import (
    Driver,
    LargeObjectsStep,
    RelayInputs,
    RowsStep,
    choose_engine,
    describe_plan,
    plan_relay,
    plan_work_memory,
)
from pgimport.worker.memory import MIB
from pgimport.worker.scope.snapshot import Table


def a_table(oid: int, size: int, counted_as: int | None = None, partitioned: bool = False) -> Table:
    return Table(oid, "public", f"t{oid}", partitioned, size, counted_as, True)


def some_facts(*tables: Table, **changes: Any) -> RelayInputs:
    columns = {table.oid: ("id", "note") for table in tables}
    return replace(RelayInputs(tables=tables, columns=columns), **changes)


def titles(facts: RelayInputs, jobs: int = 4) -> list[str]:
    return [step.title for step in plan_relay(facts, jobs).steps]


def test_the_largest_table_comes_first_and_small_ones_travel_together() -> None:
    facts = some_facts(a_table(1, 5), a_table(2, 9 * MIB), a_table(3, 900 * MIB), a_table(4, 7))
    plan = plan_relay(facts, 4)
    assert titles(facts) == ["public.t3", "public.t2", "public.t4 and 1 more"]
    assert [step.driver for step in plan.steps if isinstance(step, RowsStep)] == [
        Driver.ASYNCPG,
        Driver.ASYNCPG,
        Driver.LIBPQ,
    ]
    assert plan.streams == 3  # no more than there are steps


def test_a_batch_is_bounded_by_tables_and_by_bytes() -> None:
    assert titles(some_facts(*(a_table(oid, 0) for oid in range(1, 402)))) == [
        "public.t1 and 199 more",
        "public.t201 and 199 more",
        "public.t401",
    ]
    assert len(titles(some_facts(*(a_table(oid, MIB) for oid in range(1, 33))))) == 2


def test_partitions_that_go_through_their_root_are_one_step() -> None:
    """Else a cut stream could not begin again: nothing tells whose rows lie in the root."""
    root = a_table(9, 0, partitioned=True)
    facts = some_facts(a_table(1, 5 * MIB, 9), a_table(2, 4, 9), a_table(3, 2 * MIB), roots={9: root})
    first, second = plan_relay(facts, 4).steps
    assert isinstance(first, RowsStep)
    assert ([rows.table.oid for rows in first.tables], first.root) == ([1, 2], root)
    assert isinstance(second, RowsStep)
    assert second.root is None


def test_large_objects_come_before_small_tables_in_ranges_that_miss_none() -> None:
    facts = some_facts(a_table(1, 5), a_table(2, 9 * MIB), large_object_starts=(16400, 18000))
    assert plan_relay(facts, 4).steps[1:3] == (LargeObjectsStep(16400, 18000), LargeObjectsStep(18000, None))


@pytest.mark.parametrize(
    ("changes", "streams", "words"),
    [
        pytest.param({}, 4, "", id="nothing in the way"),
        pytest.param({"free_connections": 2}, 2, "2 streams instead of 4: the source has no room", id="connections"),
        pytest.param({"free_connections": -3}, 1, "1 stream instead of 4", id="no connection at all"),
        pytest.param({"memory_limit": 182 * MIB}, 2, "the pod may use 182 MiB of memory", id="memory"),
        pytest.param({"memory_limit": 64 * MIB}, 1, "1 stream instead of 4", id="hardly any memory"),
    ],
)
def test_streams_are_as_many_as_all_ends_allow(changes: dict[str, int], streams: int, words: str) -> None:
    plan = plan_relay(some_facts(*(a_table(oid, 9 * MIB) for oid in range(1, 9)), **changes), 4)
    assert plan.streams == streams
    assert words in "".join(plan.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"encoding": "LATIN1"}, "encoding is LATIN1"), ({"channel_binding": True}, "demands channel binding")],
    ids=["encoding", "channel binding"],
)
def test_what_asyncpg_cannot_do_passes_libpq_and_is_said(changes: dict[str, object], words: str) -> None:
    plan = plan_relay(some_facts(a_table(1, 9 * MIB), **changes), 4)
    assert [step.driver for step in plan.steps if isinstance(step, RowsStep)] == [Driver.LIBPQ]
    assert words in plan.notes[0]


@pytest.mark.parametrize(
    ("asked", "rows", "chosen", "words"),
    [
        pytest.param(Engine.AUTO, (), Engine.RELAY, None, id="auto is the relay"),
        pytest.param(Engine.RELAY, (), Engine.RELAY, None, id="the relay by name"),
        pytest.param(Engine.DUMP, (), Engine.DUMP, None, id="a dump by name"),
        pytest.param(Engine.AUTO, ("postgis",), Engine.DUMP, "(postgis)", id="rows of an extension"),
        pytest.param(Engine.RELAY, ("postgis",), Engine.DUMP, "(postgis)", id="the relay by name cannot"),
    ],
)
def test_the_engine_is_the_relay_unless_it_cannot(
    asked: Engine, rows: tuple[str, ...], chosen: Engine, words: str | None
) -> None:
    engine, why = choose_engine(asked, some_facts(extensions_with_rows=rows))
    assert engine is chosen
    assert (why is None) if words is None else words in (why or "")


def test_an_empty_database_has_a_stream_without_steps() -> None:
    plan = plan_relay(some_facts(), 4)
    assert (plan.steps, plan.streams) == ((), 1)


@pytest.mark.parametrize(
    ("current", "buffers", "builders", "expected"),
    [(64, 128, 2, 64), (64, 4096, 2, 1024), (64, 1024, 4, 128), (2048, 128, 2, 2048)],
    ids=["a small server", "a large one", "shared by four", "the server's own is more"],
)
def test_index_memory_follows_the_servers_buffers(current: int, buffers: int, builders: int, expected: int) -> None:
    assert plan_work_memory(current * MIB, buffers * MIB, builders) == expected * MIB


def test_a_plan_can_be_read_by_a_person() -> None:
    facts = some_facts(
        a_table(1, 5 * MIB), a_table(2, 5), index_counts={1: 1}, large_object_starts=(16400,), target_cores=2
    )
    assert describe_plan(facts, plan_relay(facts, 8)) == [
        "3 streams, 2 at the indexes",
        "public.t1: 5.0 MiB by asyncpg, frozen, then 1 index",
        "large objects from 16400 on, at most 1000, by libpq",
        "public.t2: 0.0 MiB by libpq, frozen, then 0 indexes",
    ]
