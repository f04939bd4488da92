"""Which extensions of a source the target gets, and which are skipped."""

from typing import Any

import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.import_choices import Provider
from pgimport.model.import_spec import Filter
from pgimport.model.order import Order, OrderTarget
from pgimport.model.owner_comment import RefusedExtension, ShadowRecord
from pgimport.model.project_spec import SSLMode
from pgimport.model.provider_rules import UNKNOWN
from pgimport.model.providers import find_provider
from pgimport.model.result import SourceExtension
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.postgres.shadow_state import ShadowState
from pgimport.worker.scope.extension_needs import ExtensionNeeds, collect_needs
from pgimport.worker.scope.extensions import ExtensionContext, split_extensions
from pgimport.worker.scope.patterns import build_name_filter

ALLOWED = ["postgis", "citext", "hstore", "pg_stat_statements", "dblink", "earthdistance", "cube"]


def _order(**changes: Any) -> Order:
    target = OrderTarget(
        host="target",
        port=5432,
        sslmode=SSLMode.DISABLE,
        server_version="18.4",
        server_version_num=180004,
        creatable_extensions=["citext", "hstore", "cube"],
        available_extensions=[*ALLOWED, "pageinspect"],
    )
    fields: dict[str, Any] = {"allowed_extensions": ALLOWED, **changes}
    return Order(import_uid="uid", import_name="shop", namespace="shop", target=target, **fields)


def _extensions(*names: str) -> list[SourceExtension]:
    return [SourceExtension(name=name, version="1.0", schema_name="public") for name in names]


NEEDED = ExtensionNeeds(objects={"postgis": ["COLUMN public.homes.at"], "dblink": ["VIEW public.far"]})


@pytest.mark.parametrize(
    ("name", "needs", "changes", "outcome"),
    [
        pytest.param("citext", ExtensionNeeds(), {}, "optional", id="nothing needs it"),
        pytest.param("postgis", ExtensionNeeds(), {}, "optional", id="nothing needs it, and the catalogs deny it"),
        pytest.param("postgis", NEEDED, {}, "required", id="a column needs it"),
        pytest.param("postgis", None, {}, "required", id="plain SQL does not tell what needs it"),
        pytest.param("dblink", NEEDED, {}, "optional", id="it leads elsewhere, and the import does without"),
        pytest.param("pg_stat_statements", ExtensionNeeds(), {}, "it shows statistics of a server", id="no use"),
        pytest.param("pg_stat_statements", None, {}, "it shows statistics of a server", id="no use in plain SQL"),
        pytest.param("postgres_fdw", NEEDED, {}, "it leads to another server", id="foreign data"),
        pytest.param(
            "ltree",
            ExtensionNeeds(),
            {},
            "nothing in the database needs it, and the Project does not allow it",
            id="nothing needs it, and it is not allowed",
        ),
        pytest.param(
            "ltree",
            ExtensionNeeds(),
            {"allowed_extensions": ["ltree"]},
            "nothing in the database needs it, and the target server does not have it",
            id="nothing needs it, and it is not available",
        ),
        pytest.param(
            "postgis",
            NEEDED,
            {"filter": Filter(exclude_extensions=["post*"])},
            "spec.filter.excludeExtensions leaves it out",
            id="excluded by a pattern",
        ),
    ],
)
def test_an_extension_is_required_optional_or_skipped(
    name: str, needs: ExtensionNeeds | None, changes: dict[str, Any], outcome: str
) -> None:
    split = split_extensions(ExtensionContext(_order(**changes), needs=needs), _extensions(name, "plpgsql"))
    if outcome in ("required", "optional"):
        assert [(item.name, item.required) for item in split.imported] == [(name, outcome == "required")]
        assert split.skipped == {}
    else:
        assert split.imported == []
        assert split.skipped[name].startswith(outcome)


def test_an_extension_that_another_one_needs_is_needed_too() -> None:
    needs = ExtensionNeeds(
        objects={"earthdistance": ["INDEX public.near"]},
        requiring={"cube": {"earthdistance"}, "earthdistance": {"cube"}},
    )
    split = split_extensions(ExtensionContext(_order(), needs=needs), _extensions("cube", "earthdistance"))
    assert [(item.name, item.required) for item in split.imported] == [("cube", True), ("earthdistance", True)]
    assert split.dependents["cube"] == ["INDEX public.near"]


def test_after_the_gate_only_the_extensions_of_the_shadow_count() -> None:
    record = ShadowRecord(
        refused_extensions=[RefusedExtension(name="postgis", message="permission denied", sqlstate="42501")]
    )
    shadow = ShadowState(frozenset({"citext", "plpgsql"}), record)
    context = ExtensionContext(_order(), UNKNOWN, ExtensionNeeds(), shadow)
    split = split_extensions(context, _extensions("citext", "postgis", "hstore"))
    assert [item.name for item in split.imported] == ["citext"]
    assert split.skipped == {
        "hstore": "nothing in the database needs it, and the target database does not have it",
        "postgis": "nothing in the database needs it, and permission denied",
    }
    assert split.roots == frozenset()


def test_what_depends_on_a_providers_or_foreign_extension_is_skipped_with_it() -> None:
    context = ExtensionContext(_order(), find_provider(None, None, Provider.RDS), NEEDED)
    split = split_extensions(context, _extensions("aws_s3", "postgres_fdw", "postgis"))
    assert split.roots == {"aws_s3", "postgres_fdw"}


SOURCE = """
CREATE EXTENSION vector;
CREATE TABLE public.plain (id int);
CREATE SCHEMA other;
"""
USES = [
    pytest.param("CREATE TABLE other.t (v vector(3))", "COLUMN other.t.v", id="a column"),
    pytest.param("CREATE TABLE other.t (v vector[])", "COLUMN other.t.v", id="a column of the array type"),
    pytest.param("CREATE DOMAIN other.d AS vector", "TYPE other.d", id="a domain"),
    pytest.param(
        "CREATE FUNCTION other.f(vector) RETURNS int LANGUAGE sql AS 'SELECT 1'", "FUNCTION other.f(", id="a function"
    ),
    pytest.param("CREATE VIEW other.v AS SELECT '[1]'::vector::text AS x", 'RULE "_RETURN" on other.v', id="a view"),
]


@pytest.mark.parametrize(("use", "title"), USES)
def test_each_object_that_needs_an_extension_is_found(postgres16: PostgresServer, use: str, title: str) -> None:
    with postgres16.database("needs"):
        postgres16.execute(SOURCE, "needs")
        with postgres16.connect("needs") as connection:
            rows = connection.execute(read_query("scope/extension_needs")).fetchall()
            assert collect_needs(rows, build_name_filter(None, ())).objects == {}
            connection.execute(use.encode())
            rows = connection.execute(read_query("scope/extension_needs")).fetchall()
    (found,) = collect_needs(rows, build_name_filter(None, ())).objects["vector"]
    assert found.startswith(title)
    assert collect_needs(rows, build_name_filter(None, ()), ["other"]).objects == {}
    excluded = Filter(exclude_tables=["other.*"], exclude_schemas=["other"])
    assert collect_needs(rows, build_name_filter(excluded, ())).objects == {}
