"""The restore plan says which entries are restored, which wait for row security, and which are skipped and why."""

import io

import pytest
from tests.worker.archive.entries import SHOP, entry

from pgimport.worker.archive.selection import Exclusions, format_use_list, plan_restore
from pgimport.worker.archive.toc import TocEntry

PUBLIC = entry("SCHEMA", "public", schema="")
CITEXT = entry("EXTENSION", "citext", schema="")
ORDERS = entry("TABLE", "orders", SHOP, catalog=1259, oid=16390)
ROWS = entry("TABLE DATA", "orders", ORDERS, catalog=0, oid=16390, has_rows=True)
NATIVE = entry("FUNCTION", "native()", SHOP, definition="CREATE FUNCTION shop.native() RETURNS int LANGUAGE c AS 'x';")
INDEX = entry("INDEX", "by_native", ORDERS, NATIVE)
FOREIGN_TABLE = entry("FOREIGN TABLE", "far", SHOP)
FOREIGN_VIEW = entry("VIEW", "far_view", FOREIGN_TABLE)
FOREIGN_MATVIEW = entry("MATERIALIZED VIEW", "farther", FOREIGN_VIEW)
OWN_POLICY = entry("POLICY", "orders own", ORDERS, definition="CREATE POLICY own ON shop.orders USING (true);")
CLERKS_POLICY = entry(
    "POLICY", "orders clerks", ORDERS, definition='CREATE POLICY clerks ON shop.orders TO "clerk" USING (true);'
)
ROW_SECURITY = entry("ROW SECURITY", "orders", ORDERS, catalog=0)
CONTENTS = [
    PUBLIC,
    entry("COMMENT", "SCHEMA public", PUBLIC, schema="", catalog=0),
    CITEXT,
    entry("COMMENT", "EXTENSION citext", CITEXT, schema="", catalog=0),
    SHOP,
    ORDERS,
    NATIVE,
    entry("COMMENT", "FUNCTION native()", NATIVE, catalog=0),
    FOREIGN_TABLE,
    FOREIGN_VIEW,
    FOREIGN_MATVIEW,
    entry("COMMENT", 'VIEW "far_view"', FOREIGN_VIEW, catalog=0),
    entry("ACL", "TABLE orders", ORDERS, catalog=0),
    entry("DEFAULT ACL", "DEFAULT PRIVILEGES FOR TABLES", schema=""),
    ROWS,
    entry("SEQUENCE SET", "orders_id_seq", catalog=0),
    entry("MATERIALIZED VIEW DATA", "farther", FOREIGN_MATVIEW, catalog=0),
    INDEX,
    entry("EVENT TRIGGER", "watch", schema=""),
    entry("PUBLICATION", "news", schema=""),
    OWN_POLICY,
    CLERKS_POLICY,
    ROW_SECURITY,
    entry("COMMENT", "POLICY own ON orders", OWN_POLICY, catalog=0),
    entry("COMMENT", "POLICY clerks ON orders", CLERKS_POLICY, catalog=0),
    entry("COMMENT", "TABLE orders", ORDERS, catalog=0),
]


def titles(entries: list[TocEntry]) -> list[str]:
    return [entry.title for entry in entries]


def test_policies_and_row_security_are_restored_last() -> None:
    plan = plan_restore(CONTENTS, Exclusions(target_roles=frozenset({"alice"}), forecast=True))
    assert titles(plan.main_entries) == [
        "COMMENT SCHEMA public",
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


def test_skipped_entries_have_a_reason() -> None:
    plan = plan_restore(CONTENTS, Exclusions(target_roles=frozenset({"alice"}), forecast=True))
    assert {skipped.object: skipped.reason for skipped in plan.skipped} == {
        "FUNCTION shop.native()": "only a superuser can make a function in the language c",
        "FOREIGN TABLE shop.far": "it leads to another server",
        "VIEW shop.far_view": "it needs FOREIGN TABLE shop.far, which is skipped",
        "MATERIALIZED VIEW shop.farther": "it needs VIEW shop.far_view, which is skipped",
        "INDEX shop.by_native": "it needs FUNCTION shop.native(), which is skipped",
        "EVENT TRIGGER watch": "only a superuser can make an event trigger",
        "PUBLICATION news": "a copy must not take part in replication",
        "POLICY shop.orders clerks": "it names a role that the target lacks (clerk)",
    }
    assert (INDEX.catalog, INDEX.oid) in plan.skipped_keys


def test_policies_are_kept_if_the_targets_roles_are_unknown() -> None:
    assert CLERKS_POLICY in plan_restore(CONTENTS, Exclusions()).row_security_entries


def test_an_excluded_object_is_skipped_with_its_dependents() -> None:
    plan = plan_restore([SHOP, ORDERS, ROWS, OWN_POLICY], Exclusions(objects={(1259, 16390): "it reads schema auth"}))
    assert titles(plan.main_entries) == ["SCHEMA shop"]
    assert [(skipped.object, skipped.reason) for skipped in plan.skipped] == [
        ("TABLE shop.orders", "it reads schema auth"),
        ("POLICY shop.orders own", "it needs TABLE shop.orders, which is skipped"),
    ]


def test_an_entry_excluded_by_a_rule_is_skipped_with_its_dependents() -> None:
    exclusions = Exclusions(
        find_reason=lambda entry: "spec.filter excludes it" if entry.tag == "citext" else None, forecast=True
    )
    box = entry("TABLE", "box", SHOP, CITEXT)
    plan = plan_restore([CITEXT, SHOP, box], exclusions)
    assert [(skipped.object, skipped.reason) for skipped in plan.skipped] == [
        ("EXTENSION citext", "spec.filter excludes it"),
        ("TABLE shop.box", "it needs EXTENSION citext, which is skipped"),
    ]


def test_an_existing_schema_is_not_created_and_its_objects_are_kept() -> None:
    table = entry("TABLE", "t", PUBLIC, schema="public")
    plan = plan_restore([PUBLIC, SHOP, table], Exclusions(present_schemas=frozenset({"public", "shop"})))
    assert (plan.main_entries, plan.skipped) == ([table], [])


def test_a_use_list_holds_the_dump_ids() -> None:
    lines = io.StringIO(format_use_list([ORDERS, ROWS])).readlines()
    assert lines == [f"{ORDERS.dump_id};\n", f"{ROWS.dump_id};\n"]


@pytest.mark.parametrize("kind", ["TABLE ATTACH", "SEQUENCE OWNED BY"])
def test_a_link_between_a_kept_and_a_skipped_object_is_dropped_silently(kind: str) -> None:
    kept = entry("TABLE", "kept", SHOP)
    plan = plan_restore([SHOP, FOREIGN_TABLE, kept, entry(kind, "kept", kept, FOREIGN_TABLE, catalog=0)], Exclusions())
    assert (titles(plan.main_entries), len(plan.skipped)) == (["SCHEMA shop", "TABLE shop.kept"], 1)


def test_a_security_label_is_listed_once_with_its_table() -> None:
    """No server has the source's label provider."""
    on_table, on_skipped = (entry("SECURITY LABEL", f"TABLE {item.tag}", item) for item in (ORDERS, FOREIGN_TABLE))
    plan = plan_restore([SHOP, ORDERS, on_table, FOREIGN_TABLE, on_skipped], Exclusions())
    assert [item.object for item in plan.skipped] == [on_table.title, FOREIGN_TABLE.title]
    assert on_table not in plan.main_entries


@pytest.mark.parametrize("name", ["public", '"public"'])
def test_the_default_comment_of_public_is_not_restored(name: str) -> None:
    definition = f"COMMENT ON SCHEMA {name} IS 'standard public schema';\n\n\n"
    own_comment = entry("COMMENT", "SCHEMA public", definition=f"COMMENT ON SCHEMA {name} IS 'ours';", schema="")
    plan = plan_restore(
        [entry("COMMENT", "SCHEMA public", definition=definition, schema=""), own_comment], Exclusions()
    )
    assert (plan.main_entries, plan.skipped) == ([own_comment], [])
