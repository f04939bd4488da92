"""Tables of contents: what is restored, what is restored last, what is left and said to be."""

import pytest

from pgimport.worker.contents import Leave, format_list, parse_contents, plan_contents

TOC = """\
;
; Archive created at 2026-11-24 00:00:00 UTC
;     Format: DIRECTORY
;
4; 2615 2200 SCHEMA - public pg_database_owner
2; 3079 16385 EXTENSION - citext
3401; 0 0 COMMENT - EXTENSION citext
3402; 0 0 COMMENT - SCHEMA public pg_database_owner
7; 2615 16386 SCHEMA - extensions alice
8; 2615 16387 SCHEMA - shop alice
215; 1259 16390 TABLE shop orders alice
216; 1259 16400 TABLE DATA orders alice
217; 1259 16401 FOREIGN TABLE shop far alice
218; 1259 16402 VIEW shop far_view alice
3403; 0 0 COMMENT shop VIEW "far_view" alice
3404; 0 0 COMMENT shop COLUMN far.x alice
3405; 0 0 ACL shop TABLE orders alice
3406; 826 16500 DEFAULT ACL - DEFAULT PRIVILEGES FOR TABLES alice
3407; 1417 16501 SERVER - away alice
3408; 0 0 USER MAPPING - USER MAPPING alice SERVER away alice
3409; 0 16390 TABLE DATA shop orders alice
3410; 0 0 SEQUENCE SET shop orders_id_seq alice
3411; 0 0 MATERIALIZED VIEW DATA shop totals alice
3412; 3466 16600 EVENT TRIGGER - watch alice
3413; 3256 16601 POLICY shop orders own alice
3414; 3256 16602 POLICY shop orders clerks alice
3415; 0 16390 ROW SECURITY shop orders alice
3416; 0 0 COMMENT shop POLICY own ON orders alice
3417; 0 0 COMMENT shop POLICY "clerks" ON orders alice
3418; 6104 16700 PUBLICATION - news alice
3419; 0 0 COMMENT shop TABLE orders alice
"""
LEAVE = Leave(
    objects=frozenset({(2615, 16386), (1259, 16401), (1259, 16402), (3256, 16602)}),
    relations=frozenset({("shop", "far"), ("shop", "far_view")}),
    schemas=frozenset({"public", "extensions"}),
    policies=frozenset({("shop", "orders", "clerks")}),
)


def test_entries_are_sorted_by_when_they_are_restored() -> None:
    plan = plan_contents(parse_contents(TOC), LEAVE)
    assert [entry.dump_id for entry in plan.main] == [8, 215, 216, 3409, 3419]
    assert [entry.dump_id for entry in plan.last] == [3413, 3415, 3416]
    assert plan.left == [
        "FOREIGN TABLE shop far", "VIEW shop far_view", "SERVER away",
        "USER MAPPING USER MAPPING alice SERVER away", "EVENT TRIGGER watch", "PUBLICATION news",
    ]  # fmt: skip
    assert plan.table_oids == {3409: 16390}


def test_a_table_in_a_schema_called_data_is_a_table() -> None:
    entry = parse_contents("216; 1259 16400 TABLE DATA orders alice")[0]
    assert (entry.kind, entry.rest) == ("TABLE", "DATA orders alice")


@pytest.mark.parametrize("text", ["", ";\n; nothing\n", "no entry at all\n"], ids=["empty", "comments", "garbage"])
def test_what_is_no_entry_is_passed_over(text: str) -> None:
    assert parse_contents(text) == []


def test_a_list_holds_the_lines_as_they_were() -> None:
    entries = parse_contents(TOC)
    assert parse_contents(format_list(entries)) == entries
