"""What needs a skipped entry is skipped too, or loses the part that needs it."""

import pytest
from tests.worker.archive.entries import SHOP, entry

from pgimport.model.import_choices import SkipGroup
from pgimport.worker.archive.call_order import order_by_calls
from pgimport.worker.archive.restore_plan import RestorePlan, SkippedEntry
from pgimport.worker.archive.selection import Exclusions, plan_restore
from pgimport.worker.archive.toc import TocEntry

SAFE = entry("FUNCTION", "safe(integer)", SHOP, definition="CREATE FUNCTION shop.safe(integer) LANGUAGE c")
PARENT = entry("INDEX", "parent_pkey", SHOP)
CHILD = entry("INDEX", "child_pkey", SHOP)


def refuse(plan: RestorePlan, refused: TocEntry) -> None:
    plan.skip(SkippedEntry(refused, "no (SQLSTATE 42501)", SkipGroup.REFUSED, "42501"))


def build_plan(*entries: TocEntry) -> RestorePlan:
    return plan_restore(entries, Exclusions())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_dependencies_has_no_meaning(order: tuple[int, ...]) -> None:
    citext = entry("EXTENSION", "citext", schema="")
    needed = [citext, PARENT, CHILD]
    attach = entry("INDEX ATTACH", "child_pkey", *(needed[index] for index in order), catalog=0)
    plan = build_plan(citext, SHOP, PARENT, CHILD, attach)
    assert attach in plan.restored_entries
    refuse(plan, CHILD)
    assert not plan.admit(attach)
    assert [item.object for item in plan.skipped] == ["INDEX shop.child_pkey"]


def test_a_chain_of_dependencies_names_what_the_target_refused() -> None:
    view = entry("VIEW", "v", SAFE)
    outer_view = entry("VIEW", "outer_v", view)
    plan = build_plan(SHOP, SAFE, view, outer_view)
    refuse(plan, SAFE)
    assert (plan.admit(view), plan.admit(outer_view)) == (False, False)
    assert [(item.object, item.reason, item.group) for item in plan.skipped[1:]] == [
        (
            "VIEW shop.v",
            "it needs FUNCTION shop.safe(integer), which the target refused: no (SQLSTATE 42501)",
            SkipGroup.REFUSED,
        ),
        ("VIEW shop.outer_v", "it needs VIEW shop.v, which is skipped", SkipGroup.REFUSED),
    ]


@pytest.mark.parametrize(
    ("part", "kept", "skipped"),
    [
        pytest.param("a int DEFAULT shop.safe(1)", True, ["DEFAULT shop.t a"], id="a default"),
        pytest.param("CONSTRAINT c CHECK (shop.safe(a))", True, ["CHECK CONSTRAINT shop.t c"], id="a check"),
        pytest.param(
            "a int GENERATED ALWAYS AS (shop.safe(1)) STORED", False, ["TABLE shop.t"], id="a generated column"
        ),
        pytest.param("a int DEFAULT other.safe(1)", True, [], id="another schema's function"),
    ],
)
def test_a_table_loses_only_the_part_that_needs_a_refused_function(part: str, kept: bool, skipped: list[str]) -> None:
    table = entry("TABLE", "t", SHOP, SAFE, definition=f"CREATE TABLE shop.t (\n    b int,\n    {part}\n);")
    plan = build_plan(SHOP, SAFE, table)
    refuse(plan, SAFE)
    assert plan.admit(table) is kept
    assert [item.object for item in plan.skipped[1:]] == skipped


def test_the_sequence_of_a_skipped_table_is_skipped_once() -> None:
    method = entry("ACCESS METHOD", "own", schema="")
    table = entry("TABLE", "t", SHOP, method)
    sequence = entry("SEQUENCE", "t_id_seq", table)
    links = [entry("SEQUENCE OWNED BY", "t_id_seq", sequence), entry("SEQUENCE SET", "t_id_seq", sequence)]
    plan = build_plan(method, SHOP, table, sequence, *links)
    refuse(plan, method)
    assert not any(plan.admit(item) for item in (table, sequence, *links))
    assert [item.object for item in plan.skipped[1:]] == ["TABLE shop.t", "SEQUENCE shop.t_id_seq"]
    assert plan.skipped_sequences == {("shop", "t_id_seq")}


def test_checks_of_tables_wait_for_the_rows() -> None:
    table = entry(
        "TABLE", "t", SHOP, definition="CREATE TABLE shop.t (\n    a int,\n    CONSTRAINT c CHECK ((a > 0))\n);"
    )
    plan = build_plan(SHOP, table)
    assert "CHECK" not in plan.definition_of(table)
    assert [part.clause for part in plan.later_checks[table.dump_id]] == ["CONSTRAINT c CHECK ((a > 0))"]


def test_checks_of_a_domain_inside_of_another_type_stay() -> None:
    domain = entry("DOMAIN", "d", SHOP, definition="CREATE DOMAIN shop.d AS int\n\tCONSTRAINT c CHECK ((VALUE > 0));")
    table = entry("TABLE", "t", SHOP, domain, definition="CREATE TABLE shop.t (\n    a shop.d[]\n);")
    plan = build_plan(SHOP, domain, table)
    assert "CHECK" in plan.definition_of(domain)
    assert "CHECK" not in build_plan(SHOP, domain).definition_of(domain)


def test_a_function_comes_after_those_that_its_body_calls() -> None:
    body = "CREATE FUNCTION shop.{0}(text) LANGUAGE sql AS $$ SELECT shop.{1}($1) $$;"
    caller = entry("FUNCTION", "a(text)", SHOP, definition=body.format("a", "b"))
    called = entry("FUNCTION", "b(text)", SHOP, definition=body.format("b", "c"))
    recursive = entry("FUNCTION", "c(text)", SHOP, definition=body.format("c", "a"))
    assert order_by_calls([SHOP, caller, called, recursive]) == [SHOP, recursive, called, caller]


def test_a_called_function_comes_with_what_it_needs() -> None:
    row_type = entry("TYPE", "zz", SHOP)
    called = entry("FUNCTION", "z(zz)", SHOP, row_type)
    definition = "CREATE FUNCTION shop.a() LANGUAGE sql AS $$ SELECT shop.z(null) $$;"
    caller = entry("FUNCTION", "a()", SHOP, definition=definition)
    needed_type = entry("TYPE", "b", SHOP, caller)
    assert order_by_calls([SHOP, caller, needed_type, row_type, called]) == [
        SHOP,
        row_type,
        called,
        caller,
        needed_type,
    ]
