"""Tables of contents: what is restored, what is restored last, what is left and why."""

import io
from itertools import count
from typing import Any

import pytest

from pgimport.worker.archive.selection import Exclusions, format_use_list, plan_restore
from pgimport.worker.archive.toc import Section, TocEntry

_IDS = count(1)


def entry(kind: str, tag: str, *needs: TocEntry, schema: str = "shop", **more: Any) -> TocEntry:
    given: dict[str, Any] = {
        "dump_id": next(_IDS),
        "catalog": 1,
        "oid": next(_IDS),
        "section": Section.PRE_DATA,
        "definition": "",
        "owner": "alice",
        "copy_statement": "",
        "has_rows": False,
        "file": "",
    }
    return TocEntry(kind=kind, schema=schema, tag=tag, dependencies=tuple(one.dump_id for one in needs), **given | more)


PUBLIC = entry("SCHEMA", "public", schema="")
CITEXT = entry("EXTENSION", "citext", schema="")
SHOP = entry("SCHEMA", "shop", schema="")
ORDERS = entry("TABLE", "orders", SHOP, catalog=1259, oid=16390)
ROWS = entry("TABLE DATA", "orders", ORDERS, catalog=0, oid=16390, has_rows=True)
NATIVE = entry("FUNCTION", "native()", SHOP, definition="CREATE FUNCTION shop.native() RETURNS int LANGUAGE c AS 'x';")
INDEX = entry("INDEX", "by_native", ORDERS, NATIVE)
FAR = entry("FOREIGN TABLE", "far", SHOP)
FAR_VIEW = entry("VIEW", "far_view", FAR)
FARTHER = entry("MATERIALIZED VIEW", "farther", FAR_VIEW)
OWN = entry("POLICY", "orders own", ORDERS, definition="CREATE POLICY own ON shop.orders USING (true);")
CLERKS = entry(
    "POLICY", "orders clerks", ORDERS, definition='CREATE POLICY clerks ON shop.orders TO "clerk" USING (true);'
)
SECURITY = entry("ROW SECURITY", "orders", ORDERS, catalog=0)
CONTENTS = [
    PUBLIC,
    entry("COMMENT", "SCHEMA public", PUBLIC, schema="", catalog=0),
    CITEXT,
    entry("COMMENT", "EXTENSION citext", CITEXT, schema="", catalog=0),
    SHOP,
    ORDERS,
    NATIVE,
    entry("COMMENT", "FUNCTION native()", NATIVE, catalog=0),
    FAR,
    FAR_VIEW,
    FARTHER,
    entry("COMMENT", 'VIEW "far_view"', FAR_VIEW, catalog=0),
    entry("ACL", "TABLE orders", ORDERS, catalog=0),
    entry("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", schema=""),
    ROWS,
    entry("SEQUENCE SET", "orders_id_seq", catalog=0),
    entry("MATERIALIZED VIEW DATA", "farther", FARTHER, catalog=0),
    INDEX,
    entry("EVENT TRIGGER", "watch", schema=""),
    entry("PUBLICATION", "news", schema=""),
    OWN,
    CLERKS,
    SECURITY,
    entry("COMMENT", "POLICY own ON orders", OWN, catalog=0),
    entry("COMMENT", "POLICY clerks ON orders", CLERKS, catalog=0),
    entry("COMMENT", "TABLE orders", ORDERS, catalog=0),
]


def titles(entries: list[TocEntry]) -> list[str]:
    return [one.title for one in entries]


def test_entries_are_sorted_by_when_they_are_restored() -> None:
    plan = plan_restore(CONTENTS, Exclusions(target_roles=frozenset({"alice"})))
    assert titles(plan.main_entries) == [
        "SCHEMA shop",
        "TABLE shop.orders",
        "TABLE DATA shop.orders",
        "COMMENT shop.TABLE orders",
    ]
    assert titles(plan.row_security_entries) == [
        "POLICY shop.orders own",
        "ROW SECURITY shop.orders",
        "COMMENT shop.POLICY own ON orders",
    ]
    assert plan.table_oids == {ROWS.dump_id: 16390}


def test_what_stays_is_named_with_its_reason() -> None:
    plan = plan_restore(CONTENTS, Exclusions(target_roles=frozenset({"alice"})))
    assert {one.object: one.reason for one in plan.skipped} == {
        "FUNCTION shop.native()": "only a superuser can make a function in the language c",
        "FOREIGN TABLE shop.far": "foreign data stays where it is",
        "VIEW shop.far_view": "it needs FOREIGN TABLE shop.far, which stays behind",
        "MATERIALIZED VIEW shop.farther": "it needs VIEW shop.far_view, which stays behind",
        "INDEX shop.by_native": "it needs FUNCTION shop.native(), which stays behind",
        "EVENT TRIGGER watch": "only a superuser can make an event trigger",
        "PUBLICATION news": "it reaches out of the database",
        "POLICY shop.orders clerks": "it names a role that the target lacks (clerk)",
    }
    assert (INDEX.catalog, INDEX.oid) in plan.skipped_keys


def test_a_policys_roles_are_not_asked_where_they_are_not_known() -> None:
    assert CLERKS in plan_restore(CONTENTS, Exclusions()).row_security_entries


def test_an_object_that_the_catalogs_name_stays_with_what_needs_it() -> None:
    plan = plan_restore([SHOP, ORDERS, ROWS, OWN], Exclusions(objects={(1259, 16390): "it reads schema auth"}))
    assert titles(plan.main_entries) == ["SCHEMA shop"]
    assert [(one.object, one.reason) for one in plan.skipped] == [
        ("TABLE shop.orders", "it reads schema auth"),
        ("POLICY shop.orders own", "it needs TABLE shop.orders, which stays behind"),
    ]


def test_what_the_judge_refuses_by_name_stays_with_what_needs_it() -> None:
    left = Exclusions(find_reason=lambda one: "spec.filter excludes it" if one.tag == "citext" else None)
    box = entry("TABLE", "box", SHOP, CITEXT)
    plan = plan_restore([CITEXT, SHOP, box], left)
    assert [(one.object, one.reason) for one in plan.skipped] == [
        ("EXTENSION citext", "spec.filter excludes it"),
        ("TABLE shop.box", "it needs EXTENSION citext, which stays behind"),
    ]


def test_a_schema_that_is_there_is_not_made_again_and_nothing_is_left_for_it() -> None:
    table = entry("TABLE", "t", PUBLIC, schema="public")
    plan = plan_restore([PUBLIC, SHOP, table], Exclusions(present_schemas=frozenset({"public", "shop"})))
    assert (plan.main_entries, plan.skipped) == ([table], [])


def test_a_list_holds_the_numbers() -> None:
    lines = io.StringIO(format_use_list([ORDERS, ROWS])).readlines()
    assert lines == [f"{ORDERS.dump_id};\n", f"{ROWS.dump_id};\n"]


@pytest.mark.parametrize("kind", ["TABLE ATTACH", "SEQUENCE OWNED BY"])
def test_what_ties_a_kept_object_to_a_left_one_stays_without_a_word(kind: str) -> None:
    kept = entry("TABLE", "kept", SHOP)
    plan = plan_restore([SHOP, FAR, kept, entry(kind, "kept", kept, FAR, catalog=0)], Exclusions())
    assert (titles(plan.main_entries), len(plan.skipped)) == (["SCHEMA shop", "TABLE shop.kept"], 1)


@pytest.mark.parametrize("name", ["public", '"public"'])
def test_the_default_comment_of_public_is_not_restored(name: str) -> None:
    definition = f"COMMENT ON SCHEMA {name} IS 'standard public schema';\n\n\n"
    own_comment = entry("COMMENT", "SCHEMA public", definition=f"COMMENT ON SCHEMA {name} IS 'ours';", schema="")
    plan = plan_restore(
        [entry("COMMENT", "SCHEMA public", definition=definition, schema=""), own_comment], Exclusions()
    )
    assert (plan.main_entries, plan.skipped) == ([own_comment], [])
