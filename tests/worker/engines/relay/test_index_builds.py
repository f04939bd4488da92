"""What is built when: an archive's entries become builds, and the board hands them out. No server is asked."""

import threading
from dataclasses import replace

import pytest

from pgimport.worker.archive.toc import Section, TocEntry
from pgimport.worker.engines.relay.index_builds import IndexBuild, plan_index_builds
from pgimport.worker.engines.relay.index_queue import IndexQueue
from pgimport.worker.scope.snapshot import Table

SIZES = {100: 5_000_000, 200: 9_000_000}
TABLES = [Table(oid, "public", f"t{oid}", False, size, None, True) for oid, size in SIZES.items()]


def an_entry(
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


HOMES = [
    an_entry(1, "TABLE", oid=100, section=2),
    an_entry(2, "TABLE", oid=200, section=2),
    an_entry(3, "TABLE", oid=300, section=2),
    an_entry(4, "MATERIALIZED VIEW", oid=400, section=2),
]


def numbers(builds: list[IndexBuild]) -> list[int]:
    return [build.build_id for build in builds]


def test_indexes_of_the_largest_table_come_first_and_its_key_before_them() -> None:
    entries = [*HOMES, an_entry(10, "INDEX", 1), an_entry(11, "INDEX", 2), an_entry(12, "CONSTRAINT", 2)]
    assert numbers(plan_index_builds(entries, TABLES, {100, 200})) == [12, 11, 10, -100, -200]


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(an_entry(10, "INDEX", 3), id="of a table whose rows do not come"),
        pytest.param(an_entry(10, "INDEX", 4), id="of a materialised view"),
        pytest.param(an_entry(10, "INDEX", 1, 20), id="that needs what comes later"),
        pytest.param(an_entry(10, "FK CONSTRAINT", 1, 2), id="a foreign key"),
        pytest.param(an_entry(10, "TRIGGER", 1), id="a trigger"),
    ],
)
def test_what_needs_more_than_its_tables_rows_waits_for_all(entry: TocEntry) -> None:
    assert plan_index_builds([*HOMES, an_entry(20, "RULE", 4), entry], TABLES, set()) == []


def test_a_partitions_index_does_not_wait_for_the_one_that_it_is_attached_to() -> None:
    entries = [
        *HOMES,
        an_entry(10, "INDEX", 3),
        an_entry(11, "INDEX", 1, 1, 10),
        an_entry(12, "CONSTRAINT", 2, 20),
        an_entry(20, "CONSTRAINT", 3),
        an_entry(30, "INDEX ATTACH", 11, 10, 1, 3),
        an_entry(31, "INDEX ATTACH", 12, 20, 2, 3),
    ]
    assert numbers(plan_index_builds(entries, TABLES, set())) == [12, 11]


def test_only_an_index_alone_shares_its_table() -> None:
    entries = [
        *HOMES,
        an_entry(10, "INDEX", 1, definition="CREATE INDEX a"),
        an_entry(11, "CONSTRAINT", 1),
        an_entry(12, "INDEX", 1, definition="CREATE INDEX b;\nALTER TABLE t CLUSTER ON b"),
    ]
    assert {build.build_id: build.exclusive for build in plan_index_builds(entries, TABLES, set())} == {
        10: False,
        11: True,
        12: True,
    }


KEY = 'ALTER TABLE ONLY "a b"."t""x"\n    ADD CONSTRAINT "k.1" {};\n'


@pytest.mark.parametrize(
    ("said", "split"),
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
def test_a_plain_key_beside_other_indexes_is_made_of_an_index(said: str, split: bool) -> None:
    key = an_entry(10, "CONSTRAINT", 1, definition=KEY.format(said))
    assert [build.statement for build in plan_index_builds([*HOMES, key], TABLES, set())] == [key.definition]
    builds = plan_index_builds([*HOMES, key, an_entry(11, "INDEX", 1, definition="CREATE INDEX")], TABLES, set())
    if not split:
        assert [build.statement for build in builds] == [key.definition, "CREATE INDEX"]
        return
    kind, _, columns = said.partition(" (")
    index, take_over, _ = builds
    assert index.statement == f'CREATE UNIQUE INDEX "k.1" ON "a b"."t""x" USING btree ({columns}'
    assert take_over.statement == KEY.partition(" {")[0] + f' {kind} USING INDEX "k.1"'
    assert (index.exclusive, take_over.exclusive, take_over.after_id) == (False, True, index.build_id)


def a_build(number: int, table: int, *, exclusive: bool = False, last: bool = False) -> IndexBuild:
    return IndexBuild(number, str(number), "", table, exclusive, last, 0)


def take_ready(board: IndexQueue) -> list[int]:
    """All that may run now, by their numbers; whoever would wait is told to stop."""
    taken: list[int] = []
    while True:
        timer = threading.Timer(0.05, board.stop)
        timer.start()
        build = board.take()
        timer.cancel()
        if build is None:
            return taken
        taken.append(build.build_id)


def test_a_build_waits_for_its_rows() -> None:
    board = IndexQueue([a_build(1, 100), a_build(2, 200)], 4)
    board.add_loaded_tables([200])
    assert take_ready(board) == [2]


def test_who_has_a_table_to_itself_runs_alone_on_it() -> None:
    board = IndexQueue([a_build(1, 100, exclusive=True), a_build(2, 100), a_build(3, 200), a_build(4, 200)], 4)
    board.add_loaded_tables([100, 200])
    assert take_ready(board) == [1, 3, 4]


def test_statistics_come_after_all_else_of_their_table() -> None:
    analyze = a_build(-100, 100, exclusive=True, last=True)
    board = IndexQueue([analyze, a_build(1, 100)], 4)
    board.add_loaded_tables([100])
    first = board.take()
    assert first is not None
    assert first.build_id == 1
    board.finish(first)
    assert board.take() == analyze


def test_a_constraint_comes_after_its_index() -> None:
    board = IndexQueue([replace(a_build(2, 100), after_id=1), a_build(1, 100)], 4)
    board.add_loaded_tables([100])
    first = board.take()
    assert first is not None
    assert first.build_id == 1
    board.finish(first)
    assert take_ready(board) == [2]


def test_streams_take_slots_but_for_one_builder() -> None:
    board = IndexQueue([a_build(number, number) for number in range(1, 5)], 3)
    for _ in range(3):
        board.begin_stream()
    board.add_loaded_tables(range(1, 5))
    first = board.take()
    assert first is not None
    for _ in range(2):
        board.end_stream()
    assert take_ready(board) == [2]


def test_a_board_that_is_done_or_stopped_hands_out_nothing() -> None:
    assert IndexQueue([], 4).take() is None
    board = IndexQueue([a_build(1, 100)], 4)
    board.stop()
    assert board.take() is None
