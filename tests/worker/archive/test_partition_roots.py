"""Partitions whose rows must be loaded through a table above them."""

import pytest

from pgimport.worker.archive.partition_roots import PartitionRoots, redirect_rows

ATTACH = 'ALTER TABLE ONLY "public"."parted" ATTACH PARTITION "public"."p0" FOR VALUES WITH (modulus 3, remainder 0);'


@pytest.mark.parametrize(
    ("columns", "key", "has_root"),
    [
        ('"id" integer, "c" "public"."color"', '"c"', True),
        ('"id" integer, "c" "public"."color"[]', '"c"', True),
        ('"id" integer, "c" "public"."pair"', '"id", "c"', True),
        ("id integer, c integer[]", "c", True),
        ("id integer", "f(id)", True),
        ("id text COLLATE other", "id", True),
        ("id text", "id COLLATE other", True),
        ("id integer", "id own_ops", True),
        ('"id" integer NOT NULL, "c" "public"."color"', '"id"', False),
        ("id character varying(20) DEFAULT 'x', at timestamp(3) without time zone", "id, at", False),
        ("id numeric(10,2), CONSTRAINT c CHECK ((id > 0))", "id", False),
    ],
)
def test_a_partition_by_a_hash_that_differs_in_the_copy_has_a_root(columns: str, key: str, has_root: bool) -> None:
    roots = PartitionRoots()
    roots.add(f'CREATE TABLE "public"."parted" (\n    {columns}\n)\nPARTITION BY HASH ({key});')
    roots.add(ATTACH)
    assert roots.find_root(("public", "p0")) == (("public", "parted") if has_root else None)


def test_the_highest_table_with_such_a_hash_is_the_root() -> None:
    roots = PartitionRoots()
    roots.add("CREATE TABLE public.top (id integer, c color) PARTITION BY LIST (id);")
    roots.add("CREATE UNLOGGED TABLE public.middle (id integer, c color) PARTITION BY HASH (c);")
    roots.add("CREATE TABLE public.low (id integer, c color) PARTITION BY RANGE (id);")
    roots.add("CREATE TABLE IF NOT EXISTS leaf PARTITION OF low FOR VALUES FROM (1) TO (2);")
    roots.add(
        "ALTER TABLE IF EXISTS ONLY public.middle ATTACH PARTITION public.low FOR VALUES WITH (modulus 1, remainder 0);"
    )
    roots.add("ALTER TABLE ONLY public.top ATTACH PARTITION public.middle FOR VALUES IN (1);")
    assert roots.find_root(("public", "leaf")) == ("public", "middle")
    assert roots.find_root(("public", "middle")) is None


@pytest.mark.parametrize(
    ("statement", "verb", "expected"),
    [
        ('COPY "public"."p0" ("id", "c") FROM stdin;', "COPY", 'COPY "public"."root" ("id", "c") FROM stdin;'),
        ("COPY public.p0 FROM stdin;", "COPY", "COPY public.p0 FROM stdin;"),
        ("INSERT INTO public.p0 (id) VALUES (1);", "INSERT INTO", 'INSERT INTO "public"."root" (id) VALUES (1);'),
        ("INSERT INTO public.p0 VALUES (1);", "INSERT INTO", "INSERT INTO public.p0 VALUES (1);"),
    ],
)
def test_only_a_statement_with_columns_gets_the_root(statement: str, verb: str, expected: str) -> None:
    assert redirect_rows(statement, ("public", "root"), verb) == expected


def test_an_insert_without_columns_gets_those_of_its_partition() -> None:
    roots = PartitionRoots()
    roots.add('CREATE TABLE public.p0 (c color[], "Id" integer NOT NULL, CONSTRAINT x CHECK (("Id" > 0)));')
    columns = roots.find_columns(("public", "p0"))
    for rest in ("VALUES ('{}', 1);", "OVERRIDING SYSTEM VALUE VALUES ('{}', 1);"):
        statement = redirect_rows(f"INSERT INTO public.p0 {rest}", ("public", "root"), "INSERT INTO", columns)
        assert statement == f'INSERT INTO "public"."root" ("c", "Id") {rest}'
