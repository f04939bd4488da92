"""The objects of a dump file are compared with the structure of the copy."""

import pytest

from pgimport.worker.verify.file_objects import FileObject, find_invalid_indexes, list_expected
from pgimport.worker.verify.structure import StructureItem, compare_structures

COPY = [
    StructureItem("table", "public", "t", "", "row security"),
    StructureItem("table", "public", "odd table", "", ""),
    StructureItem("constraint", "public", "odd table", "a key", ""),
    StructureItem("constraint", "public", "t", "positive", "not valid"),
    StructureItem("index", "public", "part", "part_pkey", ""),
    StructureItem("trigger", "public", "t", "audit", "D"),
    StructureItem("policy", "public", "t", "own", ""),
    StructureItem("function", "public", "", "f(public.citext, integer)", ""),
    StructureItem("function", "public", "", "agg()", ""),
    StructureItem("type", "public", "", "mood", "e"),
    StructureItem("rule", "public", "t", "no delete", "O"),
    StructureItem("statistics", "public", "", "s", ""),
]
EQUAL = [
    FileObject("TABLE", "public", "t", "CREATE TABLE public.t ();"),
    FileObject("ROW SECURITY", "public", "t", "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;"),
    FileObject("TABLE", "public", "odd table", 'CREATE TABLE public."odd table" ();'),
    FileObject("CONSTRAINT", "public", "odd table a key", "ALTER TABLE …"),
    FileObject("CHECK CONSTRAINT", "public", "t positive", "ALTER TABLE … CHECK ((n > 0)) NOT VALID;\n"),
    FileObject("CONSTRAINT", "public", "part part_pkey", "ALTER TABLE … PRIMARY KEY (id);"),
    FileObject("TRIGGER", "public", "t audit", "CREATE TRIGGER …; ALTER TABLE public.t DISABLE TRIGGER audit;"),
    FileObject("TRIGGER", "public", "part audit", "\nALTER TABLE public.part DISABLE TRIGGER audit;"),
    FileObject("POLICY", "public", "t own", "CREATE POLICY …"),
    FileObject("FUNCTION", "public", "f(citext, integer)", "CREATE FUNCTION …"),
    FileObject("FUNCTION", "public", "f(a public.citext, b int)"),
    FileObject("AGGREGATE", "public", "agg(*)", "CREATE AGGREGATE …"),
    FileObject("TYPE", "public", "mood", "CREATE TYPE public.mood AS ENUM ('a');"),
    FileObject("TYPE", "public", "pair", "CREATE TYPE public.pair AS (a int);"),
    FileObject("RULE", "public", "t no delete", "CREATE RULE …"),
    FileObject("RULE", "public", "v _RETURN", "CREATE OR REPLACE VIEW public.v …"),
    FileObject("STATISTICS", "public", "s", "CREATE STATISTICS …"),
]


def test_a_copy_with_all_objects_of_the_dump_is_equal() -> None:
    comparison = compare_structures(list_expected(EQUAL, COPY), COPY)
    assert (comparison.differences, comparison.notes) == ([], [])
    assert comparison.counts["function"] == 2
    assert comparison.counts["constraint"] == 2


@pytest.mark.parametrize(
    ("item", "difference"),
    [
        pytest.param(
            FileObject("CONSTRAINT", "public", "t key", "ALTER TABLE …"),
            "missing in the copy: constraint public.t key",
            id="constraint",
        ),
        pytest.param(
            FileObject("CHECK CONSTRAINT", "public", "t positive", "… CHECK ((n > 0));"),
            "constraint public.t: positive is not valid in the copy and plain at the source",
            id="not valid",
        ),
        pytest.param(
            FileObject("TRIGGER", "public", "t audit", "CREATE TRIGGER …"),
            "trigger public.t: audit is D in the copy and O at the source",
            id="disabled trigger",
        ),
        pytest.param(
            FileObject("FUNCTION", "public", "f(text)", "CREATE FUNCTION …"),
            "missing in the copy: function public: f(text)",
            id="function",
        ),
        pytest.param(
            FileObject("POLICY", "public", "t others", "…"), "missing in the copy: policy public.t others", id="policy"
        ),
        pytest.param(
            FileObject("TABLE", "public", "t", "… FORCE ROW LEVEL SECURITY;"),
            "table public.t is row security in the copy and row security forced at the source",
            id="forced row security",
        ),
    ],
)
def test_what_the_copy_lacks_is_a_difference(item: FileObject, difference: str) -> None:
    objects = [EQUAL[1], item] if item.kind == "TABLE" else [item]
    assert compare_structures(list_expected(objects, COPY), COPY).differences == [difference]


PARENT = StructureItem("index", "public", "parted", "parted_key", "invalid")
ATTACHMENTS = [
    FileObject(
        "INDEX ATTACH", "public", f"p{n}_key", f"ALTER INDEX public.parted_key ATTACH PARTITION public.p{n}_key;"
    )
    for n in (1, 2)
]


@pytest.mark.parametrize(
    ("attached", "differences", "notes"),
    [
        pytest.param(
            1,
            [
                "index public.parted: parted_key is not valid in the copy: 1 of 2 indexes of partitions are not"
                " attached to it"
            ],
            [],
            id="an index of a partition is not attached",
        ),
        pytest.param(
            2,
            [],
            [
                "index public.parted: parted_key is not valid, because the dump attaches no index of some partitions"
                " to it"
            ],
            id="not valid at the source",
        ),
    ],
)
def test_an_index_that_stays_invalid_is_a_difference(attached: int, differences: list[str], notes: list[str]) -> None:
    counts = {("public", "parted_key"): attached}
    assert find_invalid_indexes([PARENT], ATTACHMENTS, counts) == (differences, notes)


def test_an_index_that_was_not_completed_is_a_difference() -> None:
    item = StructureItem("index", "public", "t", "by_n", "unfinished")
    assert find_invalid_indexes([item], [], {}) == (["index public.t: by_n is not valid in the copy"], [])
    assert list_expected([FileObject("INDEX", "public", "by_n", "CREATE INDEX …")], [item]) == []
