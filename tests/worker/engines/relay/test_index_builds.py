"""Plans of index builds, and the order in which the index queue hands them out."""

import threading
from dataclasses import replace

import pytest

from pgimport.worker.archive.toc import Section, TocEntry
from pgimport.worker.engines.relay.index_builds import IndexBuild, plan_index_builds
from pgimport.worker.engines.relay.index_queue import IndexQueue
from pgimport.worker.scope.snapshot import Table

SIZES = {100: 5_000_000, 200: 9_000_000}
TABLES = [Table(oid, "public", f"t{oid}", False, size, None, True) for oid, size in SIZES.items()]


def build_entry(
    dump_id: int, kind: str, *dependencies: int, oid: int = 0, definition: str = "CREATE", section: int = 4
) -> TocEntry:
    return TocEntry(
        dump_id=dump_id,
        catalog=1259,
        oid=oid,
        kind=kind,
        schema="public",
        tag=f"x{dump_id}",
        owner="",
        section=Section(section),
        definition=definition,
        copy_statement="",
        has_rows=False,
        dependencies=dependencies,
        file="",
    )


RELATIONS = [
    build_entry(1, "TABLE", oid=100, section=2),
    build_entry(2, "TABLE", oid=200, section=2),
    build_entry(3, "TABLE", oid=300, section=2),
    build_entry(4, "MATERIALIZED VIEW", oid=400, section=2),
]


def build_ids(builds: list[IndexBuild]) -> list[int]:
    return [build.build_id for build in builds]


def test_the_key_and_the_indexes_of_the_largest_table_come_first() -> None:
    entries = [*RELATIONS, build_entry(10, "INDEX", 1), build_entry(11, "INDEX", 2), build_entry(12, "CONSTRAINT", 2)]
    assert build_ids(plan_index_builds(entries, TABLES, {100, 200})) == [12, 11, 10, -100, -200]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(build_entry(10, "INDEX", 3), id="index of a table without rows"),
        pytest.param(build_entry(10, "INDEX", 4), id="index of a materialised view"),
        pytest.param(build_entry(10, "INDEX", 1, 20), id="index that depends on a post-data entry"),
        pytest.param(build_entry(10, "FK CONSTRAINT", 1, 2), id="foreign key"),
        pytest.param(build_entry(10, "TRIGGER", 1), id="trigger"),
    ],
)
def test_an_entry_that_needs_more_than_its_table_is_not_built_early(entry: TocEntry) -> None:
    assert plan_index_builds([*RELATIONS, build_entry(20, "RULE", 4), entry], TABLES, set()) == []


def test_a_partitions_index_does_not_wait_for_its_parent_index() -> None:
    entries = [
        *RELATIONS,
        build_entry(10, "INDEX", 3),
        build_entry(11, "INDEX", 1, 1, 10),
        build_entry(12, "CONSTRAINT", 2, 20),
        build_entry(20, "CONSTRAINT", 3),
        build_entry(30, "INDEX ATTACH", 11, 10, 1, 3),
        build_entry(31, "INDEX ATTACH", 12, 20, 2, 3),
    ]
    assert build_ids(plan_index_builds(entries, TABLES, set())) == [12, 11]


def test_only_a_plain_index_shares_its_table() -> None:
    entries = [
        *RELATIONS,
        build_entry(10, "INDEX", 1, definition="CREATE INDEX a"),
        build_entry(11, "CONSTRAINT", 1),
        build_entry(12, "INDEX", 1, definition="CREATE INDEX b;\nALTER TABLE t CLUSTER ON b"),
    ]
    assert {build.build_id: build.exclusive for build in plan_index_builds(entries, TABLES, set())} == {
        10: False,
        11: True,
        12: True,
    }


KEY = 'ALTER TABLE ONLY "a b"."t""x"\n    ADD CONSTRAINT "k.1" {};\n'


@pytest.mark.parametrize(
    ("clause", "split"),
    [
        ('PRIMARY KEY ("id")', True),
        ('UNIQUE ("id", "o""r)")', True),
        ('UNIQUE NULLS NOT DISTINCT ("id")', False),
        ('PRIMARY KEY ("id") INCLUDE ("n")', False),
        ('UNIQUE ("id") DEFERRABLE', False),
        ("EXCLUDE USING gist (during WITH &&)", False),
        ('PRIMARY KEY ("id");\n\nALTER TABLE "a b"."t""x" CLUSTER ON "k.1"', False),
    ],
)
def test_a_plain_key_beside_other_indexes_is_built_as_an_index_first(clause: str, split: bool) -> None:
    key = build_entry(10, "CONSTRAINT", 1, definition=KEY.format(clause))
    assert [build.statement for build in plan_index_builds([*RELATIONS, key], TABLES, set())] == [key.definition]
    builds = plan_index_builds([*RELATIONS, key, build_entry(11, "INDEX", 1, definition="CREATE INDEX")], TABLES, set())
    if not split:
        assert [build.statement for build in builds] == [key.definition, "CREATE INDEX"]
        return
    kind, _, columns = clause.partition(" (")
    index, constraint, _ = builds
    assert index.statement == f'CREATE UNIQUE INDEX "k.1" ON "a b"."t""x" USING btree ({columns}'
    assert constraint.statement == KEY.partition(" {")[0] + f' {kind} USING INDEX "k.1"'
    assert (index.exclusive, constraint.exclusive, constraint.after_id) == (False, True, index.build_id)


def make_build(build_id: int, table_oid: int, *, exclusive: bool = False, runs_last: bool = False) -> IndexBuild:
    return IndexBuild(
        build_id=build_id,
        title=str(build_id),
        statement="",
        table_oid=table_oid,
        exclusive=exclusive,
        runs_last=runs_last,
    )


def take_runnable(queue: IndexQueue) -> list[int]:
    """Takes all builds that may run now, and returns their ids. Stops the queue when `take` would wait."""
    taken: list[int] = []
    while True:
        timer = threading.Timer(0.05, queue.stop)
        timer.start()
        build = queue.take()
        timer.cancel()
        if build is None:
            return taken
        taken.append(build.build_id)


def test_a_build_waits_for_the_rows_of_its_table() -> None:
    queue = IndexQueue([make_build(1, 100), make_build(2, 200)], 4)
    queue.add_loaded_tables([200])
    assert take_runnable(queue) == [2]


def test_an_exclusive_build_runs_alone_on_its_table() -> None:
    queue = IndexQueue(
        [make_build(1, 100, exclusive=True), make_build(2, 100), make_build(3, 200), make_build(4, 200)], 4
    )
    queue.add_loaded_tables([100, 200])
    assert take_runnable(queue) == [1, 3, 4]


def test_analyze_runs_after_all_other_builds_of_its_table() -> None:
    analyze = make_build(-100, 100, exclusive=True, runs_last=True)
    queue = IndexQueue([analyze, make_build(1, 100)], 4)
    queue.add_loaded_tables([100])
    first = queue.take()
    assert first is not None
    assert first.build_id == 1
    queue.finish(first)
    assert queue.take() == analyze


def test_a_constraint_waits_for_its_index() -> None:
    queue = IndexQueue([replace(make_build(2, 100), after_id=1), make_build(1, 100)], 4)
    queue.add_loaded_tables([100])
    first = queue.take()
    assert first is not None
    assert first.build_id == 1
    queue.finish(first)
    assert take_runnable(queue) == [2]


def test_streams_use_slots_but_one_build_may_always_run() -> None:
    queue = IndexQueue([make_build(build_id, build_id) for build_id in range(1, 5)], 3)
    for _ in range(3):
        queue.begin_stream()
    queue.add_loaded_tables(range(1, 5))
    first = queue.take()
    assert first is not None
    for _ in range(2):
        queue.end_stream()
    assert take_runnable(queue) == [2]


def test_an_empty_or_stopped_queue_returns_no_build() -> None:
    assert IndexQueue([], 4).take() is None
    queue = IndexQueue([make_build(1, 100)], 4)
    queue.stop()
    assert queue.take() is None
