"""Each check on plain facts: what fails, what warns, and which words a person gets."""

from typing import Any

import pytest
from tests.worker.conftest import LOOPBACK

from pgimport.model.import_choices import Provider
from pgimport.model.import_spec import Filter
from pgimport.model.order import Order, OrderTarget
from pgimport.model.project_spec import SSLMode
from pgimport.model.providers import find_provider
from pgimport.model.reasons import Reason
from pgimport.model.result import DumpFileInfo, SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.checks.check_results import CheckResult, NotChecked
from pgimport.worker.checks.content_checks import (
    describe_effects,
    judge_encoding,
    judge_large_objects,
    judge_unsupported,
)
from pgimport.worker.checks.dump_file_checks import FileContents, build_facts, judge_file
from pgimport.worker.checks.privilege_checks import MOST, judge_privileges, judge_row_security
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_file_size, judge_size, judge_version
from pgimport.worker.scope.extensions import split_extensions
from pgimport.worker.scope.patterns import build_name_filter
from pgimport.worker.text import format_bytes, some_of

MIB, GIB = 2**20, 2**30
EVERYTHING = build_name_filter(None, ())


def order(target_version: int = 180004, **changes: Any) -> Order:
    target = OrderTarget(
        host="target",
        port=5432,
        sslmode=SSLMode.REQUIRE,
        server_version=f"{target_version // 10000}.{target_version % 10000}",
        server_version_num=target_version,
        creatable_extensions=["vector"],
    )
    given: dict[str, Any] = {"sources": LOOPBACK, "allowed_extensions": ["vector", "citext"], **changes}
    return Order(import_uid="uid", import_name="orders", namespace="shop", target=target, **given)


def facts(**changes: Any) -> SourceInfo:
    return SourceInfo(server_version="16.14", server_version_num=160014, **changes)


def extensions(*names: str) -> list[SourceExtension]:
    return [SourceExtension(name=name, version="1.0", schema_name="public") for name in names]


def verdict(judged: CheckResult) -> tuple[str, Reason | None]:
    return judged.check.status.value, judged.failure.reason if judged.failure else None


@pytest.mark.parametrize(
    ("source", "target", "expected", "words"),
    [
        pytest.param(180004, 180004, ("pass", None), "source 18.4, target 18.4", id="same major"),
        pytest.param(180004, 170011, ("fail", Reason.SOURCE_NEWER_THAN_TARGET), "18, the target only 17", id="newer"),
        pytest.param(140020, 180004, ("pass", None), "14.20", id="oldest major"),
        pytest.param(130020, 180004, ("fail", Reason.SOURCE_VERSION_UNSUPPORTED), "14 and newer", id="too old"),
    ],
)
def test_T12_versions_are_judged_before_any_client_runs(
    source: int, target: int, expected: tuple[str, Reason | None], words: str
) -> None:
    judged = judge_version(order(target), f"{source // 10000}.{source % 10000}", source)
    assert verdict(judged) == expected
    assert words in judged.check.detail


@pytest.mark.parametrize(
    ("size", "changes", "expected", "words"),
    [
        pytest.param(10**15, {}, ("pass", None), "no limit", id="no limit"),
        pytest.param(80, {"storage_limit_bytes": 100}, ("pass", None), "80 bytes", id="80 %"),
        pytest.param(81, {"storage_limit_bytes": 100}, ("warn", None), "more than 80 %", id="over 80 %"),
        pytest.param(100, {"storage_limit_bytes": 100}, ("warn", None), "more than 80 %", id="at the limit"),
        pytest.param(101, {"storage_limit_bytes": 100}, ("fail", Reason.SOURCE_TOO_LARGE), "101 bytes", id="over it"),
        pytest.param(
            10 * GIB,
            {"scratch_bytes": 4 * GIB, "engine": "dump"},
            ("pass", None),
            "about 3.0 GiB of scratch",
            id="a dump",
        ),
        pytest.param(10 * GIB, {"scratch_bytes": GIB}, ("pass", None), "its rows need no scratch", id="the relay"),
    ],
)
def test_a_size_is_judged(size: int, changes: dict[str, Any], expected: tuple[str, Reason | None], words: str) -> None:
    judged = judge_size(order(**changes), size)
    assert verdict(judged) == expected
    assert words in judged.check.detail


def test_T23_too_little_scratch_for_the_dump_is_told_beforehand() -> None:
    judged = judge_size(order(scratch_bytes=2 * GIB, engine="dump"), 10 * GIB)
    assert verdict(judged) == ("warn", None)
    assert judge_size(order(scratch_bytes=2 * GIB), 10 * GIB, with_rows=["postgis"]) == judged
    assert "3.0 GiB of scratch and has 2.0 GiB: raise spec.scratch.size" in judged.check.detail


@pytest.mark.parametrize(
    ("memory", "expected", "words"),
    [
        pytest.param(256 * MIB, "pass", "one may have 22.5 MiB in the worker's 256.0 MiB of memory", id="enough"),
        pytest.param(128 * MIB, "warn", "one stream needs 166.0 MiB and four times the largest row", id="too little"),
    ],
)
def test_the_workers_memory_is_judged_beforehand(memory: int, expected: str, words: str) -> None:
    judged = judge_size(order(), GIB, memory=memory)
    assert verdict(judged) == (expected, None)
    assert words in judged.check.detail


@pytest.mark.parametrize(
    ("size", "limit", "expected", "words"),
    [
        pytest.param(None, None, ("pass", None), "not told", id="size unknown, no limit"),
        pytest.param(None, 100, ("warn", None), "watched during the import", id="size unknown"),
        pytest.param(50, 100, ("pass", None), "will be larger", id="fits"),
        pytest.param(90, 100, ("warn", None), "more than 80 %", id="nearly"),
        pytest.param(101, 100, ("fail", Reason.SOURCE_TOO_LARGE), "larger still", id="alone too large"),
    ],
)
def test_a_files_size_is_judged(
    size: int | None, limit: int | None, expected: tuple[str, Reason | None], words: str
) -> None:
    judged = judge_file_size(order(storage_limit_bytes=limit), size)
    assert verdict(judged) == expected
    assert words in judged.check.detail


@pytest.mark.parametrize(
    ("names", "expected", "words"),
    [
        pytest.param((), ("pass", None), "the source uses none", id="none"),
        pytest.param(("vector", "plpgsql"), ("pass", None), "vector 1.0", id="allowed"),
        pytest.param(("postgis",), ("fail", Reason.EXTENSION_NOT_ALLOWED), "project: postgis", id="forbidden"),
        pytest.param(
            ("citext",), ("fail", Reason.EXTENSION_NOT_ALLOWED), "server: citext (not installed", id="missing"
        ),
        pytest.param(
            ("timescaledb",), ("fail", Reason.EXTENSION_NOT_ALLOWED), "shared_preload_libraries", id="preload"
        ),
    ],
)
def test_T7_T9_extensions_that_the_target_cannot_have_are_named(
    names: tuple[str, ...], expected: tuple[str, Reason | None], words: str
) -> None:
    wanted, left = split_extensions(order(), find_provider("db.example.com"), extensions(*names))
    judged = judge_extensions(order(), wanted, left)
    assert verdict(judged) == expected
    assert words in judged.check.detail


def test_T9_extensions_of_the_provider_stay_behind_and_are_named() -> None:
    supabase = find_provider(None, None, Provider.SUPABASE)
    wanted, left = split_extensions(order(), supabase, extensions("vector", "pg_cron", "pg_graphql"))
    assert [one.name for one in wanted] == ["vector"]
    assert left == [
        SkippedObject(object="EXTENSION pg_cron", reason="it belongs to Supabase"),
        SkippedObject(object="EXTENSION pg_graphql", reason="it belongs to Supabase"),
    ]
    judged = judge_extensions(order(), wanted, left, ["vector"])
    assert verdict(judged) == ("pass", None)
    assert "left behind: pg_cron, pg_graphql" in judged.check.detail
    assert "rows in their own tables" in judged.check.detail


def test_an_extension_in_an_odd_schema_is_told() -> None:
    odd = [SourceExtension(name="vector", version="0.8.0", schema_name="tools")]
    assert "vector 0.8.0 in schema tools" in judge_extensions(order(), odd).check.detail


@pytest.mark.parametrize(
    ("found", "cure"),
    [
        pytest.param(
            [("r", "shop", "orders", False)], 'GRANT SELECT ON TABLE "shop"."orders" TO "reader";', id="one table"
        ),
        pytest.param(
            [("S", "shop", "ids", False)], 'GRANT SELECT ON SEQUENCE "shop"."ids" TO "reader";', id="a sequence"
        ),
        pytest.param(
            [("r", "Shop", f"t{at}", True) for at in range(5)],
            'GRANT USAGE ON SCHEMA "Shop" TO "reader"; GRANT SELECT ON ALL TABLES IN SCHEMA "Shop" TO "reader";',
            id="a closed schema",
        ),
        pytest.param(
            [("r", f"s{at}", "t", True) for at in range(9)], 'GRANT pg_read_all_data TO "reader";', id="many schemas"
        ),
    ],
)
def test_T5_what_cannot_be_read_is_named_with_its_cure(found: list[tuple[Any, ...]], cure: str) -> None:
    judged = judge_privileges(found, EVERYTHING, "reader")
    assert verdict(judged) == ("fail", Reason.SOURCE_PERMISSION_DENIED)
    assert judged.check.detail.endswith(f"their owner cures it: {cure}")
    assert judged.failure is not None
    assert cure in judged.failure.message


@pytest.mark.parametrize(
    ("filter_", "left", "status"),
    [
        pytest.param(None, (), "fail", id="all is wanted"),
        pytest.param(None, ("auth",), "pass", id="the provider's schema"),
        pytest.param(Filter(exclude_schemas=["au*"]), (), "pass", id="an excluded schema"),
        pytest.param(Filter(include_schemas=["public"]), (), "pass", id="another schema is included"),
        pytest.param(Filter(exclude_tables=["auth.user?"]), (), "pass", id="an excluded table"),
        pytest.param(Filter(exclude_tables=['"auth"."users"']), (), "pass", id="an excluded table, quoted"),
        pytest.param(Filter(exclude_tables=["AUTH.USERS"]), (), "pass", id="an excluded table, in capitals"),
        pytest.param(Filter(exclude_tables=["users"]), (), "fail", id="a name that is looked for elsewhere"),
        pytest.param(Filter(exclude_table_data=["auth.users"]), (), "fail", id="its shape is wanted"),
    ],
)
def test_T5_what_does_not_come_along_needs_no_privilege(
    filter_: Filter | None, left: tuple[str, ...], status: str
) -> None:
    judged = judge_privileges([("r", "auth", "users", True)], build_name_filter(filter_, left), "reader")
    assert judged.check.status == status


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        pytest.param([], ("pass", None), "no table has", id="none"),
        pytest.param([("s", "t", False, False)], ("pass", None), "1 table with it, none hides rows", id="harmless"),
        pytest.param(
            [("s", "t", False, True)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'of 1 table from reader: "s"."t"; ALTER ROLE "reader" BYPASSRLS; cures it',
            id="rows hidden",
        ),
        pytest.param(
            [("s", "t", True, True)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'ALTER TABLE "s"."t" NO FORCE ROW LEVEL SECURITY;',
            id="from the owner too",
        ),
        pytest.param(NotChecked("timeout"), ("warn", None), "could not be checked: timeout", id="not known"),
    ],
)
def test_row_security_is_judged(found: Any, expected: tuple[str, Reason | None], words: str) -> None:
    judged = judge_row_security(found, EVERYTHING, "reader")
    assert verdict(judged) == expected
    assert words in judged.check.detail


def test_rows_that_are_not_wanted_may_be_hidden() -> None:
    scope = build_name_filter(Filter(exclude_table_data=["s.t"]), (), rows=True)
    assert judge_row_security([("s", "t", False, True)], scope, "reader").check.status == "pass"


@pytest.mark.parametrize(
    ("source", "asked", "status", "words"),
    [
        pytest.param({}, (None, None), "pass", "UTF8, locale C", id="C"),
        pytest.param({"collate": "C.UTF-8", "ctype": "C.UTF-8"}, (None, None), "pass", "C.UTF-8", id="C.UTF-8"),
        pytest.param({"collate": "de_DE.UTF-8"}, (None, None), "warn", "gets C.UTF-8", id="a locale of its own"),
        pytest.param({"locale_provider": "i", "locale": "sv-SE"}, (None, None), "warn", "this locale or ICU", id="ICU"),
        pytest.param({"locale_provider": "b", "locale": "C.UTF-8"}, (None, None), "pass", "builtin", id="builtin"),
        pytest.param({"encoding": "SQL_ASCII"}, (None, None), "warn", "convert the source", id="SQL_ASCII"),
        pytest.param({}, ([("2.31", "2.36")], []), "warn", "REINDEX DATABASE", id="another library's rules"),
        pytest.param({}, ([(None, "2.36")], []), "pass", "UTF8", id="no version"),
        pytest.param({}, ([], [("s.german", "i", True)]), "warn", "s.german: REINDEX", id="a collation of its own"),
        pytest.param({}, (NotChecked("no"), NotChecked("no")), "warn", "could not be checked: no", id="not known"),
    ],
)
def test_encoding_and_locale_are_judged(
    source: dict[str, str], asked: tuple[Any, Any], status: str, words: str
) -> None:
    judged = judge_encoding(facts(**source), *asked)
    assert (judged.check.status.value, judged.failure) == (status, None)
    assert words in judged.check.detail


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        pytest.param([(0, 8192, 0, None)], ("pass", None), "none", id="none"),
        pytest.param([(3, 16384, 0, None)], ("pass", None), "3 large objects, 16.0 KiB", id="some"),
        pytest.param(
            [(3, 16384, 2, 4711)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'GRANT SELECT ON LARGE OBJECT 4711 TO "reader";',
            id="closed",
        ),
        pytest.param(NotChecked("timeout"), ("warn", None), "could not be checked: timeout", id="not known"),
    ],
)
def test_large_objects_are_judged(found: Any, expected: tuple[str, Reason | None], words: str) -> None:
    judged = judge_large_objects(found, "reader")
    assert verdict(judged) == expected
    assert words in judged.check.detail


def test_what_stays_behind_warns_and_never_fails() -> None:
    judged = judge_unsupported([("EVENT TRIGGER", 4, ["a", "b", "c", "d"])], ["3 jobs of pg_cron stay behind"])
    assert verdict(judged) == ("warn", None)
    assert judged.check.detail == (
        "left behind, with what needs it: 4 EVENT TRIGGER (a, b, c and 1 more); 3 jobs of pg_cron stay behind"
    )


def test_T38_jobs_of_pg_cron_are_counted() -> None:
    assert describe_effects([], [(3,)]) == ["3 jobs of pg_cron stay behind"]
    assert describe_effects([], [(0,)]) == describe_effects([], None) == []
    assert describe_effects(NotChecked("a"), NotChecked("b")) == [
        "whether triggers call other services could not be checked: a",
        "jobs of pg_cron stay behind; how many could not be checked: b",
    ]


def test_a_list_that_was_cut_is_no_list_of_everything() -> None:
    found = [("r", "auth", f"t{at}", True) for at in range(MOST)]
    judged = judge_privileges(found, build_name_filter(Filter(exclude_schemas=["auth"]), ()), "reader")
    assert judged.check.status == "warn"
    assert f"more than {MOST}" in judged.check.detail


def a_file(**changes: Any) -> FileContents:
    given: dict[str, Any] = {
        "address": "files.example.com/shop.dump",
        "server_version": "16.4",
        "server_version_num": 160004,
        "file": DumpFileInfo(format="custom", compression="gzip", size_bytes=50, client_version="16.5"),
        "archive_version": "1.15",
        **changes,
    }
    return FileContents(**given)


def test_a_dump_file_gets_the_checks_that_make_sense_for_it() -> None:
    judged = judge_file(order(storage_limit_bytes=100), a_file(large_objects=2, extensions=extensions("vector")))
    assert [(one.check.name, one.check.status.value) for one in judged] == [
        ("source_reachable", "pass"),
        ("source_version_compatible", "pass"),
        ("source_size_within_plan", "pass"),
        ("encoding_and_collation", "pass"),
        ("large_objects", "pass"),
        ("unsupported_objects", "pass"),
        ("extensions_available_on_target", "pass"),
    ]
    assert judged[0].check.detail == (
        "files.example.com/shop.dump: custom dump of PostgreSQL 16.4, by pg_dump 16.5, archive version 1.15, in gzip,"
        " 50 bytes"
    )


def test_T11_a_file_of_a_newer_server_is_refused_by_name() -> None:
    judged = judge_file(order(170011), a_file(server_version="18.1", server_version_num=180001))
    assert [one.failure.reason for one in judged if one.failure] == [Reason.SOURCE_NEWER_THAN_TARGET]


def test_T38_what_a_file_leaves_is_counted_by_kind() -> None:
    left = [SkippedObject(object=f"EVENT TRIGGER {name}", reason="…") for name in ("a", "b")]
    left += [SkippedObject(object="FOREIGN TABLE public.far", reason="…")]
    (judged,) = (
        one for one in judge_file(order(), a_file(left=left, effects=["a trigger calls"])) if one.check.status == "warn"
    )
    assert "2 EVENT TRIGGER (a, b), 1 FOREIGN TABLE (public.far); a trigger calls" in judged.check.detail


def test_a_files_extensions_of_a_provider_are_not_made() -> None:
    found = build_facts(order(provider=Provider.SUPABASE), a_file(extensions=extensions("pg_net", "vector")))
    assert ([one.name for one in found.extensions], found.provider) == (["vector"], "supabase")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1610612736, "1.5 GiB")]
)
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_many_names_are_cut() -> None:
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert some_of(["a"], total=1000) == "a and 999 more"
