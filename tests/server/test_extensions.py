"""Tests of the extensions of a shadow: tried, granted to the owner of the copy, and taken from a template.

Only PostgreSQL 18 finds the extensions of these tests (extension_control_path).
"""

import dataclasses
from collections.abc import Iterator

import psycopg
import pytest
from tests.server.conftest import (
    DEPENDENT,
    TRUSTED,
    UNTRUSTED,
    PreviewScenario,
    build_source_info,
)

from pgimport.model.errors import Refused
from pgimport.model.owner_comment import RefusedExtension, ShadowRecord
from pgimport.model.reasons import Reason
from pgimport.model.result import SourceInfo
from pgimport.server.preview import reset_preview
from pgimport.server.server_state import read_server_properties, read_user_objects
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import swap


@pytest.fixture(autouse=True)
def _only_18(scenario: PreviewScenario) -> None:
    if scenario.server.major < 18:
        pytest.skip("the server has no extension_control_path")


@pytest.fixture
def template(scenario: PreviewScenario) -> Iterator[str]:
    """A template database with the untrusted extension, as the documentation tells a superuser to create it."""
    name = f"{scenario.database}_template"
    server = scenario.server
    server.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    server.execute(
        f"CREATE SCHEMA gis; CREATE EXTENSION {UNTRUSTED} SCHEMA gis;"
        " GRANT USAGE ON SCHEMA gis TO admin WITH GRANT OPTION;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON gis.places TO admin WITH GRANT OPTION",
        name,
    )
    server.execute(f"ALTER DATABASE {name} IS_TEMPLATE true ALLOW_CONNECTIONS false")
    yield name
    server.execute(f"ALTER DATABASE {name} IS_TEMPLATE false ALLOW_CONNECTIONS true")
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _prepare(scenario: PreviewScenario, source: SourceInfo, *templates: str) -> ShadowRecord:
    return prepare_shadow(
        scenario.access, dataclasses.replace(scenario.shadow_plan, source=source, templates=templates)
    )


def _with_optional(source: SourceInfo) -> SourceInfo:
    optional = [extension.model_copy(update={"required": False}) for extension in source.extensions]
    return source.model_copy(update={"extensions": optional})


def test_extensions_are_created_in_their_schemas_at_this_servers_version(scenario: PreviewScenario) -> None:
    source = build_source_info(
        (DEPENDENT, "1.0", "dependent"), (TRUSTED, "1.0", "extensions"), ("plpgsql", "1.0", "pg_catalog")
    )
    notes = _prepare(scenario, source).notes
    assert f"extension {TRUSTED}: version 1.0 at the source, version 1.1 in the copy" in notes
    assert any(note.startswith("rows that users added to extensions.systems cannot be copied") for note in notes)
    assert len(notes) == 2
    with scenario.as_attempt() as connection:
        assert connection.execute(
            "SELECT extname::text, extnamespace::regnamespace::text FROM pg_extension"
            " WHERE extname ~ '^pgimport' ORDER BY 1"
        ).fetchall() == [(DEPENDENT, "dependent"), (TRUSTED, "extensions")]
        assert (
            connection.execute(
                "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname IN ('dependent', 'extensions')"
            ).fetchall()
            == [(scenario.names.role,)] * 2
        )


def test_the_owner_of_the_copy_can_use_what_the_admin_created(scenario: PreviewScenario) -> None:
    source = build_source_info((DEPENDENT, "1.0", "dependent"), (TRUSTED, "1.1", "public"))
    _prepare(scenario, source)
    scenario.fill_shadow()
    assert swap(scenario.access, scenario.swap_plan()) is None
    with scenario.as_owner() as connection:
        connection.execute("INSERT INTO dependent.rules VALUES (7)")
        connection.execute("UPDATE dependent.rules SET id = 8")
        assert connection.execute("DELETE FROM dependent.rules RETURNING id").fetchone() == (8,)
        connection.execute("SELECT setval('dependent.rules_id_seq', 9)")
        assert connection.execute("SELECT dependent.own()").fetchone() == (1,)
        connection.execute("CREATE TABLE dependent.beside (id int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT dependent.as_admin()")


def test_a_required_extension_that_is_refused_ends_the_attempt_before_the_gate(scenario: PreviewScenario) -> None:
    with pytest.raises(Refused, match=rf'permission denied to create extension "{UNTRUSTED}" \(42501\)') as raised:
        _prepare(scenario, build_source_info((UNTRUSTED, "1.0", "public")))
    assert raised.value.failure.reason is Reason.EXTENSION_NOT_ALLOWED
    assert scenario.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", scenario.names.role) == [(False,)]


def test_each_required_extension_that_is_refused_is_named(scenario: PreviewScenario) -> None:
    """Seen before: an admin installed one extension after the other, because each attempt named only one."""
    with pytest.raises(Refused) as raised:
        _prepare(scenario, build_source_info((UNTRUSTED, "1.0", "public"), ("not_there", "1.0", "public")))
    assert raised.value.failure.message.startswith(
        "the target server does not have the extension not_there; the target server refuses to create the extension"
    )


def test_an_extension_that_nothing_needs_never_ends_the_attempt(scenario: PreviewScenario) -> None:
    source = _with_optional(
        build_source_info((UNTRUSTED, "1.0", "geo"), ("not_there", "1.0", "public"), ("hstore_x", "1", None))
    )
    record = _prepare(scenario, source)
    assert [(item.name, item.sqlstate) for item in record.refused_extensions] == [
        ("hstore_x", None),
        ("not_there", None),
        (UNTRUSTED, "42501"),
    ]
    assert "permission denied to create extension" in record.refused_extensions[2].message
    with scenario.as_attempt() as connection:  # the schema was rolled back together with the extension
        assert connection.execute("SELECT to_regnamespace('geo')").fetchone() == (None,)


def test_an_extension_that_the_project_does_not_allow_is_never_created(scenario: PreviewScenario) -> None:
    plan = dataclasses.replace(
        scenario.shadow_plan, source=build_source_info((TRUSTED, "1.1", "public")), allowed_extensions=()
    )
    with pytest.raises(Refused, match="does not allow the extension"):
        prepare_shadow(scenario.access, plan)
    optional = dataclasses.replace(plan, source=_with_optional(plan.source))
    assert prepare_shadow(scenario.access, optional).refused_extensions == [
        RefusedExtension(name=TRUSTED, message=f"the Project does not allow the extension {TRUSTED}")
    ]
    with scenario.as_attempt() as connection:
        assert connection.execute("SELECT FROM pg_extension WHERE extname = %s", [TRUSTED]).fetchone() is None


def test_a_template_brings_extensions_that_the_admin_may_not_create(scenario: PreviewScenario, template: str) -> None:
    record = _prepare(scenario, build_source_info((UNTRUSTED, "1.0", "gis")), "not_there", template)
    (note,) = record.notes
    assert "no database not_there" in note
    assert (record.refused_extensions, record.settings) == ([], [])
    with scenario.as_attempt() as connection:
        connection.execute("CREATE TABLE public.homes (at gis.place)")
        connection.execute("INSERT INTO gis.places VALUES (1)")
    assert swap(scenario.access, scenario.swap_plan()) is None
    with scenario.as_owner() as connection:
        assert connection.execute("UPDATE gis.places SET id = 2 RETURNING id").fetchone() == (2,)


def test_a_template_with_another_locale_is_not_used(scenario: PreviewScenario, template: str) -> None:
    source = build_source_info((UNTRUSTED, "1.0", "gis"), collate="C.UTF-8", ctype="C.UTF-8")
    with pytest.raises(Refused, match="permission denied to create extension"):
        _prepare(scenario, source, template)


def test_an_extension_in_another_schema_than_at_the_source_is_named(scenario: PreviewScenario, template: str) -> None:
    with pytest.raises(Refused, match=f"{UNTRUSTED} is in schema public at the source, but in schema gis"):
        _prepare(scenario, build_source_info((UNTRUSTED, "1.0", "public")), template)


def test_a_template_may_contain_only_extensions(scenario: PreviewScenario, template: str) -> None:
    scenario.server.execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS true")
    scenario.server.execute("CREATE TABLE gis.more (id int)", template)
    scenario.server.execute(f"ALTER DATABASE {template} ALLOW_CONNECTIONS false")
    with pytest.raises(Refused, match=r"contains table gis\.more") as raised:
        _prepare(scenario, build_source_info(), template)
    assert raised.value.failure.reason is Reason.TEMPLATE_NOT_FIT


def test_a_preview_from_a_template_is_empty_for_an_import(scenario: PreviewScenario, template: str) -> None:
    reset_preview(
        scenario.access,
        scenario.database,
        scenario.owner,
        scenario.owner_password,
        scenario.mark,
        templates=[template],
    )
    owner = dataclasses.replace(scenario.access, user=scenario.owner, password=scenario.owner_password)
    assert read_user_objects(owner, scenario.database) == []
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE homes (at gis.place)")
        connection.execute("INSERT INTO gis.places VALUES (1)")


def test_a_template_that_cannot_be_copied_is_a_warning_of_the_server_and_a_note_of_the_copy(
    scenario: PreviewScenario, template: str
) -> None:
    """Seen before: a name that does not exist was ignored silently, so the extensions of that template were missing."""
    scenario.server.execute(f"ALTER DATABASE {template} IS_TEMPLATE false")
    names = (template, "no_such_template")
    warnings = read_server_properties(scenario.access, [], names).warnings
    assert len(warnings) == 2
    assert f'run ALTER DATABASE "{template}" IS_TEMPLATE true' in warnings[0]
    assert "the target server has no database no_such_template" in warnings[1]
    assert set(warnings) <= set(_prepare(scenario, build_source_info(), *names).notes)
    scenario.server.execute(f"ALTER DATABASE {template} IS_TEMPLATE true")
    assert read_server_properties(scenario.access, [], [template]).warnings == ()
