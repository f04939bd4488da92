"""Tests what each check makes of rows and facts: pass, warn or fail, and its message."""

from typing import Any

import pytest
from tests.worker.conftest import LOOPBACK

from pgimport.model.import_choices import Provider
from pgimport.model.import_spec import Filter, TargetLocale
from pgimport.model.order import Order, OrderTarget
from pgimport.model.preflight_checks import CheckName
from pgimport.model.project_spec import SSLMode
from pgimport.model.providers import find_provider
from pgimport.model.reasons import Reason
from pgimport.model.result import DumpFileInfo, SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.archive.database_properties import DatabaseProperties, parse_create_database
from pgimport.worker.checks.check_results import ROW_LIMIT, CheckResult, NotChecked
from pgimport.worker.checks.content_checks import (
    describe_side_effects,
    judge_encoding,
    judge_large_objects,
    judge_unsupported,
)
from pgimport.worker.checks.dump_file_checks import FileContents, build_facts, judge_file
from pgimport.worker.checks.privilege_checks import judge_privileges, judge_row_security
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_file_size, judge_size, judge_version
from pgimport.worker.scope.extension_needs import ExtensionNeeds
from pgimport.worker.scope.extensions import ExtensionContext, ExtensionSplit, split_extensions
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
        available_extensions=changes.pop("available_extensions", None),
        default_locale=changes.pop("default_locale", None),
    )
    fields: dict[str, Any] = {"sources": LOOPBACK, "allowed_extensions": ["vector", "citext"], **changes}
    return Order(import_uid="uid", import_name="orders", namespace="shop", target=target, **fields)


def facts(**changes: Any) -> SourceInfo:
    return SourceInfo(server_version="16.14", server_version_num=160014, **changes)


def extensions(*names: str) -> list[SourceExtension]:
    return [SourceExtension(name=name, version="1.0", schema_name="public") for name in names]


def verdict(result: CheckResult) -> tuple[str, Reason | None]:
    return result.check.status.value, result.failure.reason if result.failure else None


@pytest.mark.parametrize(
    ("source", "target", "expected", "text"),
    [
        pytest.param(180004, 180004, ("pass", None), "source 18.4, target 18.4", id="same major"),
        pytest.param(
            180004,
            170011,
            ("fail", Reason.SOURCE_NEWER_THAN_TARGET),
            "18, but the target is only PostgreSQL 17",
            id="newer",
        ),
        pytest.param(140020, 180004, ("pass", None), "14.20", id="oldest major"),
        pytest.param(
            130020, 180004, ("fail", Reason.SOURCE_VERSION_UNSUPPORTED), "oldest supported version is 14", id="too old"
        ),
    ],
)
def test_T12_the_version_of_the_source_is_compared_with_the_targets(
    source: int, target: int, expected: tuple[str, Reason | None], text: str
) -> None:
    result = judge_version(order(target), f"{source // 10000}.{source % 10000}", source)
    assert verdict(result) == expected
    assert text in result.check.detail


@pytest.mark.parametrize(
    ("size", "changes", "expected", "text"),
    [
        pytest.param(10**15, {}, ("pass", None), "no limit", id="no limit"),
        pytest.param(80, {"storage_limit_bytes": 100}, ("pass", None), "80 bytes", id="80 %"),
        pytest.param(81, {"storage_limit_bytes": 100}, ("warn", None), "more than 80 %", id="over 80 %"),
        pytest.param(100, {"storage_limit_bytes": 100}, ("warn", None), "more than 80 %", id="at the limit"),
        pytest.param(
            101, {"storage_limit_bytes": 100}, ("fail", Reason.SOURCE_TOO_LARGE), "101 bytes", id="over the limit"
        ),
        pytest.param(
            10 * GIB,
            {"scratch_bytes": 4 * GIB, "engine": "dump"},
            ("pass", None),
            "needs about 3.0 GiB of scratch",
            id="a dump",
        ),
        pytest.param(10 * GIB, {"scratch_bytes": GIB}, ("pass", None), "The relay needs no scratch", id="the relay"),
    ],
)
def test_the_size_of_a_database_is_compared_with_the_limit(
    size: int, changes: dict[str, Any], expected: tuple[str, Reason | None], text: str
) -> None:
    result = judge_size(order(**changes), size)
    assert verdict(result) == expected
    assert text in result.check.detail


def test_T23_too_little_scratch_for_a_dump_is_a_warning() -> None:
    result = judge_size(order(scratch_bytes=2 * GIB, engine="dump"), 10 * GIB)
    assert verdict(result) == ("warn", None)
    assert judge_size(order(scratch_bytes=2 * GIB), 10 * GIB, with_rows=["postgis"]) == result
    assert "3.0 GiB of scratch, but only has 2.0 GiB. Raise spec.scratch.size" in result.check.detail


@pytest.mark.parametrize(
    ("memory", "expected", "text"),
    [
        pytest.param(256 * MIB, "pass", "With 256.0 MiB of memory, a row may have up to 22.5 MiB", id="enough"),
        pytest.param(128 * MIB, "warn", "one stream needs 166.0 MiB and four times the largest row", id="too little"),
    ],
)
def test_too_little_memory_for_the_relay_is_a_warning(memory: int, expected: str, text: str) -> None:
    result = judge_size(order(), GIB, memory=memory)
    assert verdict(result) == (expected, None)
    assert text in result.check.detail


@pytest.mark.parametrize(
    ("size", "limit", "expected", "text"),
    [
        pytest.param(None, None, ("pass", None), "is not known", id="size unknown, no limit"),
        pytest.param(None, 100, ("warn", None), "watches the size during the import", id="size unknown"),
        pytest.param(50, 100, ("pass", None), "will be larger", id="fits"),
        pytest.param(90, 100, ("warn", None), "more than 80 %", id="over 80 %"),
        pytest.param(101, 100, ("fail", Reason.SOURCE_TOO_LARGE), "will be larger than its dump", id="too large"),
    ],
)
def test_the_size_of_a_file_is_compared_with_the_limit(
    size: int | None, limit: int | None, expected: tuple[str, Reason | None], text: str
) -> None:
    result = judge_file_size(order(storage_limit_bytes=limit), size)
    assert verdict(result) == expected
    assert text in result.check.detail


@pytest.mark.parametrize(
    ("names", "expected", "text"),
    [
        pytest.param((), ("pass", None), "the source uses none", id="none"),
        pytest.param(("vector", "plpgsql"), ("pass", None), "vector 1.0", id="allowed"),
        pytest.param(
            ("postgis",),
            ("fail", Reason.EXTENSION_NOT_ALLOWED),
            "the Project does not allow extensions: postgis",
            id="forbidden",
        ),
        pytest.param(
            ("citext",),
            ("fail", Reason.EXTENSION_NOT_ALLOWED),
            "the target server does not have extensions: citext. Ask its admin",
            id="missing",
        ),
        pytest.param(
            ("timescaledb",), ("fail", Reason.EXTENSION_NOT_ALLOWED), "shared_preload_libraries", id="preloaded library"
        ),
    ],
)
def test_T7_T9_extensions_that_the_target_cannot_create_are_named(
    names: tuple[str, ...], expected: tuple[str, Reason | None], text: str
) -> None:
    result = judge_extensions(order(), split_extensions(ExtensionContext(order()), extensions(*names)))
    assert verdict(result) == expected
    assert text in result.check.detail


def test_T9_extensions_of_the_provider_are_skipped_and_named() -> None:
    context = ExtensionContext(order(), find_provider(None, None, Provider.SUPABASE))
    split = split_extensions(context, extensions("vector", "pg_cron", "pg_graphql"))
    assert [extension.name for extension in split.imported] == ["vector"]
    assert split.skipped_objects == [
        SkippedObject(object="EXTENSION pg_cron", reason="it belongs to Supabase"),
        SkippedObject(object="EXTENSION pg_graphql", reason="it belongs to Supabase"),
    ]
    result = judge_extensions(order(), split, ["vector"])
    assert verdict(result) == ("pass", None)
    assert "The import skips pg_cron (it belongs to Supabase), pg_graphql (" in result.check.detail
    assert "rows in tables of vector if" in result.check.detail


def test_an_extension_that_only_a_superuser_may_create_is_a_warning_with_its_losses() -> None:
    needs = ExtensionNeeds(objects={"postgis": ["COLUMN public.homes.at", "VIEW public.near"]})
    postgis_order = order(allowed_extensions=["postgis"], available_extensions=["postgis"])
    result = judge_extensions(
        postgis_order, split_extensions(ExtensionContext(postgis_order, needs=needs), extensions("postgis"))
    )
    assert verdict(result) == ("warn", None)
    assert "lets only a superuser create postgis. The import tries it before it copies any row" in result.check.detail
    assert "spec.filter.excludeExtensions." in result.check.detail
    assert "The copy would then lack COLUMN public.homes.at, VIEW public.near" in result.check.detail


def test_an_unusual_schema_of_an_extension_is_named() -> None:
    extension = SourceExtension(name="vector", version="0.8.0", schema_name="tools")
    result = judge_extensions(order(), ExtensionSplit(imported=[extension]))
    assert "vector 0.8.0 in schema tools" in result.check.detail


@pytest.mark.parametrize(
    ("rows", "grantors", "grants"),
    [
        pytest.param(
            [("r", "shop", "orders", False)],
            "its owner, or a superuser,",
            'GRANT SELECT ON TABLE "shop"."orders" TO "reader";',
            id="one table",
        ),
        pytest.param(
            [("S", "shop", "ids", False), ("S", "shop", "numbers", False)],
            "their owners, or a superuser,",
            'GRANT SELECT ON SEQUENCE "shop"."ids", "shop"."numbers" TO "reader";',
            id="two sequences",
        ),
        pytest.param(
            [("r", "Shop", f"t{number}", True) for number in range(5)],
            "the owners of these schemas and objects, or a superuser,",
            'GRANT USAGE ON SCHEMA "Shop" TO "reader"; GRANT SELECT ON ALL TABLES IN SCHEMA "Shop" TO "reader";',
            id="schema without USAGE",
        ),
        pytest.param(
            [("r", f"s{number}", "t", True) for number in range(9)],
            "a superuser",
            'GRANT pg_read_all_data TO "reader";',
            id="many schemas",
        ),
    ],
)
def test_T5_a_failed_privilege_check_names_the_objects_and_the_grants(
    rows: list[tuple[Any, ...]], grantors: str, grants: str
) -> None:
    result = judge_privileges(rows, EVERYTHING, "reader")
    assert verdict(result) == ("fail", Reason.SOURCE_PERMISSION_DENIED)
    assert result.check.detail.endswith(f"Ask {grantors} to run: {grants}")
    assert result.failure is not None
    assert grants in result.failure.message


@pytest.mark.parametrize(
    ("filter_", "skipped_schemas", "status"),
    [
        pytest.param(None, (), "fail", id="everything is imported"),
        pytest.param(None, ("auth",), "pass", id="the provider's schema"),
        pytest.param(Filter(exclude_schemas=["au*"]), (), "pass", id="an excluded schema"),
        pytest.param(Filter(include_schemas=["public"]), (), "pass", id="another schema is included"),
        pytest.param(Filter(exclude_tables=["auth.user?"]), (), "pass", id="an excluded table"),
        pytest.param(Filter(exclude_tables=['"auth"."users"']), (), "pass", id="an excluded table, quoted"),
        pytest.param(Filter(exclude_tables=["AUTH.USERS"]), (), "pass", id="an excluded table, in capitals"),
        pytest.param(Filter(exclude_tables=["users"]), (), "fail", id="a name without schema matches only public"),
        pytest.param(Filter(exclude_table_data=["auth.users"]), (), "fail", id="its definition is imported"),
    ],
)
def test_T5_skipped_tables_need_no_privilege(
    filter_: Filter | None, skipped_schemas: tuple[str, ...], status: str
) -> None:
    result = judge_privileges([("r", "auth", "users", True)], build_name_filter(filter_, skipped_schemas), "reader")
    assert result.check.status == status


@pytest.mark.parametrize(
    ("rows", "expected", "text"),
    [
        pytest.param([], ("pass", None), "no table has", id="none"),
        pytest.param(
            [("s", "t", False, False)],
            ("pass", None),
            "row level security of 1 table does not apply to reader",
            id="not applied",
        ),
        pytest.param(
            [("s", "t", False, True)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'from reader: "s"."t". Ask a superuser of the source to run ALTER ROLE "reader" BYPASSRLS; or use',
            id="rows hidden",
        ),
        pytest.param(
            [("s", "t", True, True)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'ALTER TABLE "s"."t" NO FORCE ROW LEVEL SECURITY;',
            id="forced on the owner",
        ),
        pytest.param(NotChecked("timeout"), ("warn", None), "could not be checked: timeout", id="not checked"),
    ],
)
def test_row_security_that_hides_rows_is_a_failure(rows: Any, expected: tuple[str, Reason | None], text: str) -> None:
    result = judge_row_security(rows, EVERYTHING, "reader")
    assert verdict(result) == expected
    assert text in result.check.detail


def test_row_security_may_hide_rows_that_are_not_imported() -> None:
    scope = build_name_filter(Filter(exclude_table_data=["s.t"]), (), rows=True)
    assert judge_row_security([("s", "t", False, True)], scope, "reader").check.status == "pass"


@pytest.mark.parametrize(
    ("properties", "rows", "status", "text"),
    [
        pytest.param({}, (None, None), "pass", "UTF8, locale C", id="C"),
        pytest.param({"collate": "C.UTF-8", "ctype": "C.UTF-8"}, (None, None), "pass", "C.UTF-8", id="C.UTF-8"),
        pytest.param({"collate": "de_DE.UTF-8"}, (None, None), "warn", "gets C.UTF-8", id="another locale"),
        pytest.param({"locale_provider": "i", "locale": "sv-SE"}, (None, None), "warn", "this locale or ICU", id="ICU"),
        pytest.param({"locale_provider": "b", "locale": "C.UTF-8"}, (None, None), "pass", "builtin", id="builtin"),
        pytest.param({"encoding": "SQL_ASCII"}, (None, None), "warn", "convert the source", id="SQL_ASCII"),
        pytest.param({}, ([("2.31", "2.36")], []), "warn", "REINDEX DATABASE", id="changed library"),
        pytest.param({}, ([(None, "2.36")], []), "pass", "UTF8", id="no version"),
        pytest.param(
            {}, ([], [("s.german", "i", True)]), "warn", "s.german. Run REINDEX", id="changed user-defined collation"
        ),
        pytest.param({}, (NotChecked("no"), NotChecked("no")), "warn", "could not be checked: no", id="not checked"),
    ],
)
def test_encoding_and_locale_pass_or_warn(
    properties: dict[str, str], rows: tuple[Any, Any], status: str, text: str
) -> None:
    result = judge_encoding(facts(**properties), *rows)
    assert (result.check.status.value, result.failure) == (status, None)
    assert text in result.check.detail


@pytest.mark.parametrize(
    ("rows", "expected", "text"),
    [
        pytest.param([(0, 8192, 0, None)], ("pass", None), "none", id="none"),
        pytest.param([(3, 16384, 0, None)], ("pass", None), "3 large objects, 16.0 KiB", id="some"),
        pytest.param(
            [(3, 16384, 2, 4711)],
            ("fail", Reason.SOURCE_PERMISSION_DENIED),
            'GRANT SELECT ON LARGE OBJECT 4711 TO "reader";',
            id="unreadable",
        ),
        pytest.param(NotChecked("timeout"), ("warn", None), "could not be checked: timeout", id="not checked"),
    ],
)
def test_unreadable_large_objects_are_a_failure(rows: Any, expected: tuple[str, Reason | None], text: str) -> None:
    result = judge_large_objects(rows, "reader")
    assert verdict(result) == expected
    assert text in result.check.detail


def test_skipped_objects_are_a_warning() -> None:
    result = judge_unsupported([("EVENT TRIGGER", 4, ["a", "b", "c", "d"])], ["The import skips 3 jobs of pg_cron"])
    assert verdict(result) == ("warn", None)
    assert result.check.detail == (
        "The import skips these, and what depends on them: 4 EVENT TRIGGER (a, b, c and 1 more)."
        " The import skips 3 jobs of pg_cron"
    )


def test_T38_jobs_of_pg_cron_are_counted() -> None:
    assert describe_side_effects([], [(3,)]) == ["The import skips 3 jobs of pg_cron"]
    assert describe_side_effects([], [(0,)]) == describe_side_effects([], None) == []
    assert describe_side_effects(NotChecked("a"), NotChecked("b")) == [
        "Triggers could not be checked for calls to other services: a",
        "The import skips the jobs of pg_cron. They could not be counted: b",
    ]


def test_a_truncated_list_of_objects_is_a_warning() -> None:
    rows = [("r", "auth", f"t{number}", True) for number in range(ROW_LIMIT)]
    result = judge_privileges(rows, build_name_filter(Filter(exclude_schemas=["auth"]), ()), "reader")
    assert result.check.status == "warn"
    assert f"returned {ROW_LIMIT} objects that the import skips" in result.check.detail


def file_contents(**changes: Any) -> FileContents:
    fields: dict[str, Any] = {
        "address": "files.example.com/shop.dump",
        "server_version": "16.4",
        "server_version_num": 160004,
        "file": DumpFileInfo(format="custom", compression="gzip", size_bytes=50, client_version="16.5"),
        "archive_version": "1.15",
        "properties": DatabaseProperties(locale_known=True),
        **changes,
    }
    return FileContents(**fields)


def test_a_dump_file_gets_the_checks_that_apply_to_it() -> None:
    results = judge_file(
        order(storage_limit_bytes=100), file_contents(large_objects=2, extensions=extensions("vector"))
    )
    assert [(result.check.name, result.check.status.value) for result in results] == [
        ("source_reachable", "pass"),
        ("source_version_compatible", "pass"),
        ("source_size_within_plan", "pass"),
        ("encoding_and_collation", "pass"),
        ("large_objects", "pass"),
        ("unsupported_objects", "pass"),
        ("extensions_available_on_target", "pass"),
    ]
    assert results[0].check.detail == (
        "files.example.com/shop.dump: custom dump of PostgreSQL 16.4, by pg_dump 16.5, archive version 1.15, in gzip,"
        " 50 bytes"
    )


def test_T11_a_file_of_a_newer_server_is_refused() -> None:
    results = judge_file(order(170011), file_contents(server_version="18.1", server_version_num=180001))
    assert [result.failure.reason for result in results if result.failure] == [Reason.SOURCE_NEWER_THAN_TARGET]


def find_encoding_check(contents: FileContents, **changes: Any) -> CheckResult:
    (result,) = (
        result
        for result in judge_file(order(**changes), contents)
        if result.check.name == CheckName.ENCODING_AND_COLLATION
    )
    return result


def test_a_dump_of_an_old_server_is_imported() -> None:
    results = judge_file(order(), file_contents(server_version="9.6.24", server_version_num=90024))
    assert not [result for result in results if result.failure]


def test_an_unknown_locale_is_a_warning_that_names_the_copys() -> None:
    contents = file_contents(properties=DatabaseProperties())
    check = find_encoding_check(contents, default_locale="de_DE.UTF-8").check
    assert check.status == "warn"
    assert check.detail.startswith("UTF8, locale unknown. The file does not contain the locale of its database")
    assert "The copy gets de_DE.UTF-8, the default locale of the target server" in check.detail
    assert "spec.target.locale" in check.detail
    chosen = find_encoding_check(contents, target_locale=TargetLocale(lc_collate="C", lc_ctype="C")).check
    assert chosen.status == "pass"


def test_a_windows_locale_is_a_warning_with_its_translation() -> None:
    properties = parse_create_database("ENCODING = 'UTF8' LOCALE = 'German_Germany.1252'", "UTF8")
    check = find_encoding_check(file_contents(properties=properties)).check
    assert check.status == "warn"
    assert "'German_Germany.1252', which only Windows has. The copy gets de_DE.UTF-8" in check.detail


def test_columns_of_type_money_are_a_warning_with_their_names() -> None:
    check = find_encoding_check(file_contents(money_columns=["public.orders.total", "public.orders.tax"])).check
    assert check.status == "warn"
    assert "public.orders.total, public.orders.tax" in check.detail
    assert "PGOPTIONS='-c lc_monetary=C'" in check.detail


def test_T38_skipped_objects_of_a_file_are_counted_by_kind() -> None:
    skipped = [SkippedObject(object=f"EVENT TRIGGER {name}", reason="…") for name in ("a", "b")]
    skipped += [SkippedObject(object="FOREIGN TABLE public.far", reason="…")]
    results = judge_file(order(), file_contents(skipped=skipped, side_effects=["A trigger calls"]))
    (result,) = (result for result in results if result.check.status == "warn")
    assert "2 EVENT TRIGGER (a, b), 1 FOREIGN TABLE (public.far). A trigger calls" in result.check.detail


def test_a_providers_extensions_in_a_file_are_skipped() -> None:
    source_info = build_facts(
        order(provider=Provider.SUPABASE), file_contents(extensions=extensions("pg_net", "vector"))
    )
    assert ([extension.name for extension in source_info.extensions], source_info.provider) == (["vector"], "supabase")


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (1610612736, "1.5 GiB")]
)
def test_bytes_are_formatted_with_a_unit(count: int, text: str) -> None:
    assert format_bytes(count) == text


def test_a_long_list_of_names_is_shortened() -> None:
    assert some_of(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert some_of(["a"], total=1000) == "a and 999 more"
