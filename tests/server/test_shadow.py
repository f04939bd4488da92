"""Tests of the shadow: like its source, closed to other roles, safe from hostile content, and dropped completely."""

import dataclasses
import secrets
from typing import Any

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, build_scenario, build_source_info, read_log
from tests.server.crashing_connection import Crash, CrashingConnect, crash_at_each_statement
from tests.support.postgres import ADMIN, PostgresServer

from pgimport.model.errors import Conflict, Refused
from pgimport.model.import_spec import TargetLocale
from pgimport.model.names import attempt_names
from pgimport.model.owner_comment import ShadowRecord, format_owner_comment
from pgimport.model.reasons import Reason
from pgimport.model.result import SourceInfo
from pgimport.server.server_access import Access
from pgimport.server.shadow import drop_attempt, prepare_shadow


@pytest.fixture(scope="module")
def preview(server: PostgresServer) -> PreviewScenario:
    """A preview that the tests share, because no attempt changes it before the swap."""
    access = Access(host=server.host, port=server.port, user=ADMIN, password=server.admin_password, sslmode="disable")
    return build_scenario(server, access)


@pytest.fixture
def scenario(preview: PreviewScenario) -> PreviewScenario:
    """A new attempt for the shared preview."""
    return dataclasses.replace(preview, names=attempt_names(secrets.token_hex(8)))


@pytest.fixture(scope="module")
def hostile_scenario(preview: PreviewScenario) -> PreviewScenario:
    """An attempt that the tests of hostile content share, because hostile content changes nothing."""
    preview.server.execute(f"CREATE DATABASE {preview.database}_x", user=ADMIN)
    prepare_shadow(preview.access, preview.shadow_plan)
    return preview


def _prepare_for_source(scenario: PreviewScenario, source: SourceInfo) -> list[str]:
    return prepare_shadow(scenario.access, dataclasses.replace(scenario.shadow_plan, source=source)).notes


def _gate_is_open(scenario: PreviewScenario) -> bool:
    """Tells whether the attempt's role may log in."""
    rows = scenario.query("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", scenario.names.role)
    return rows == [(True,)]


def test_the_gate_opens_last_and_the_role_can_fill_it(scenario: PreviewScenario) -> None:
    record = prepare_shadow(scenario.access, scenario.shadow_plan)
    assert record == ShadowRecord()
    assert _gate_is_open(scenario)
    scenario.fill_shadow()
    assert scenario.query(
        "SELECT datdba::regrole::text, shobj_description(d.oid, 'pg_database'), shobj_description(r.oid, 'pg_authid')"
        " FROM pg_database AS d JOIN pg_roles AS r ON rolname = datname WHERE datname = %s",
        scenario.names.database,
    ) == [("admin", None, format_owner_comment(scenario.attempt_mark))]
    assert prepare_shadow(scenario.access, scenario.shadow_plan) == record


def test_the_next_call_completes_a_creation_that_crashed_anywhere(scenario: PreviewScenario) -> None:
    for statements in crash_at_each_statement(
        lambda connect: prepare_shadow(scenario.access, scenario.shadow_plan, connect=connect)
    ):
        assert not _gate_is_open(scenario), f"open after {statements} statements"
    scenario.fill_shadow()
    assert scenario.tables() == ["old"]


@pytest.mark.parametrize("statements", [3, 8, 10, 11])
def test_a_partly_created_shadow_can_be_dropped(scenario: PreviewScenario, statements: int) -> None:
    with pytest.raises(Crash):
        prepare_shadow(scenario.access, scenario.shadow_plan, connect=CrashingConnect(statements))
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_the_next_drop_completes_one_that_crashed_anywhere(scenario: PreviewScenario) -> None:
    scenario.prepare()
    crashes = list(
        crash_at_each_statement(lambda connect: drop_attempt(scenario.access, scenario.names, connect=connect))
    )
    assert len(crashes) > 3
    assert scenario.leftovers() == []


def test_dropping_a_missing_attempt_does_nothing(scenario: PreviewScenario) -> None:
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def _is_ended(connection: "psycopg.Connection[Any]") -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def test_an_interrupted_drop_ends_sessions_and_refuses_new_ones(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_attempt() as connection:
        crashes = crash_at_each_statement(
            lambda connect: drop_attempt(scenario.access, scenario.names, connect=connect)
        )
        assert any(_is_ended(connection) for _ in crashes)
    with pytest.raises(psycopg.OperationalError, match=r"not permitted to log in|not currently accepting"):
        scenario.as_attempt()
    with pytest.raises(Conflict, match="was ended"):
        prepare_shadow(scenario.access, scenario.shadow_plan)
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_a_shadow_with_a_prepared_transaction_is_dropped(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_attempt() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET default_transaction_read_only = on")
        connection.execute("BEGIN; CREATE TABLE half (id int); PREPARE TRANSACTION 'half of the dump'")
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'taken'")
    drop_attempt(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_a_foreign_role_with_the_name_is_a_conflict(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"CREATE ROLE {scenario.names.role}")
    scenario.server.execute(f"COMMENT ON ROLE {scenario.names.role} IS 'somebody'")
    with pytest.raises(Refused, match="was not created for this attempt"):
        prepare_shadow(scenario.access, scenario.shadow_plan)


HOSTILE = [
    pytest.param("DROP DATABASE {target}", id="drop-the-target"),
    pytest.param("ALTER DATABASE {target} SET search_path = evil", id="settings-of-the-target"),
    pytest.param("ALTER DATABASE {shadow} SET search_path = evil", id="settings-of-the-shadow"),
    pytest.param("ALTER DATABASE {shadow} RENAME TO {target}_2", id="rename-the-shadow"),
    pytest.param("DROP DATABASE {shadow}", id="drop-the-shadow"),
    pytest.param("COMMENT ON DATABASE {shadow} IS 'mine'", id="take-the-mark"),
    pytest.param("ALTER ROLE {owner} PASSWORD 'known'", id="password-of-the-owner"),
    pytest.param("ALTER ROLE {owner} SET search_path = evil", id="settings-of-the-owner"),
    pytest.param("GRANT {owner} TO CURRENT_USER", id="join-the-owner"),
    pytest.param("SET ROLE admin", id="become-the-admin"),
    pytest.param("CREATE ROLE more", id="create-a-role"),
    pytest.param("CREATE DATABASE more", id="create-a-database"),
    pytest.param("ALTER ROLE CURRENT_USER SUPERUSER", id="become-superuser"),
    pytest.param("COPY (SELECT 1) TO PROGRAM 'true'", id="run-a-program"),
    pytest.param("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'admin'", id="end-the-admin"),
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_hostile_content_is_refused(hostile_scenario: PreviewScenario, statement: str) -> None:
    text = statement.format(
        target=hostile_scenario.database, shadow=hostile_scenario.names.database, owner=hostile_scenario.owner
    )
    with (
        hostile_scenario.server.connect(user=ADMIN),
        hostile_scenario.as_attempt() as connection,
        pytest.raises(
            psycopg.Error, match=r"ermission|owner of|must (be|have)|denied|cannot drop the currently|current database"
        ),
    ):
        connection.execute(text.encode())


@pytest.mark.parametrize("database", ["{target}", "postgres", "template1", "{target}_x"])
def test_hostile_content_cannot_connect_elsewhere(hostile_scenario: PreviewScenario, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        hostile_scenario.as_attempt(database.format(target=hostile_scenario.database))


def test_other_databases_stay_open_if_the_admin_is_a_person(scenario: PreviewScenario) -> None:
    name = f"{scenario.database}_y"
    scenario.server.execute(f"CREATE DATABASE {name}", user="admin")
    prepare_shadow(scenario.access, dataclasses.replace(scenario.shadow_plan, close_other_databases=False))
    scenario.as_attempt(name).close()


@pytest.mark.parametrize(
    ("changes", "locale", "noted"),
    [
        pytest.param({}, ("UTF8", "C", "C"), False, id="C"),
        pytest.param({"encoding": "LATIN1"}, ("LATIN1", "C", "C"), False, id="latin1"),
        pytest.param({"encoding": "SQL_ASCII"}, ("SQL_ASCII", "C", "C"), False, id="sql-ascii"),
        pytest.param({"encoding": "EUC_TW"}, ("EUC_TW", "C", "C"), False, id="euc-tw"),
        pytest.param({"encoding": "MULE_INTERNAL"}, ("MULE_INTERNAL", "C", "C"), False, id="mule-internal"),
        pytest.param(
            {"collate": "xx_XX.UTF-8", "ctype": "xx_XX.UTF-8"}, ("UTF8", "C.UTF-8", "C.UTF-8"), True, id="unknown"
        ),
        pytest.param(
            {"encoding": "LATIN1", "collate": "xx_XX", "ctype": "xx_XX"},
            ("LATIN1", "C", "C"),
            True,
            id="unknown-latin1",
        ),
    ],
)
def test_encoding_and_locale_are_those_of_the_source_or_a_named_fallback(
    scenario: PreviewScenario, changes: dict[str, str], locale: tuple[str, str, str], noted: bool
) -> None:
    notes = _prepare_for_source(scenario, build_source_info(**changes))
    assert scenario.query(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = %s",
        scenario.names.database,
    ) == [locale]
    assert bool(notes) is noted
    assert all("the target server does not have the source's locale" in note for note in notes)
    assert _prepare_for_source(scenario, build_source_info(**changes)) == notes


def test_icu_is_used_if_the_server_supports_it(scenario: PreviewScenario) -> None:
    notes = _prepare_for_source(scenario, build_source_info(locale_provider="i", locale="en-US"))
    provider = scenario.query(
        "SELECT datlocprovider::text FROM pg_database WHERE datname = %s", scenario.names.database
    )
    assert (provider, bool(notes)) == (([("i",)], False) if scenario.server.major in (15, 17) else ([("c",)], True))


def test_the_builtin_provider_is_used_if_the_server_supports_it(scenario: PreviewScenario) -> None:
    notes = _prepare_for_source(scenario, build_source_info(locale_provider="b", locale="C.UTF-8"))
    provider = scenario.query(
        "SELECT datlocprovider::text FROM pg_database WHERE datname = %s", scenario.names.database
    )
    assert (provider, bool(notes)) == (([("b",)], False) if scenario.server.major >= 17 else ([("c",)], True))


def test_the_locale_of_the_user_comes_first(scenario: PreviewScenario) -> None:
    plan = dataclasses.replace(
        scenario.shadow_plan,
        source=build_source_info(collate="xx_XX", ctype="xx_XX"),
        locale=TargetLocale(lc_collate="C.UTF-8", lc_ctype="C.UTF-8"),
    )
    assert prepare_shadow(scenario.access, plan).notes == []
    assert scenario.query(
        "SELECT datcollate, datctype FROM pg_database WHERE datname = %s", scenario.names.database
    ) == [("C.UTF-8", "C.UTF-8")]


def test_an_unknown_locale_of_the_user_ends_the_import(scenario: PreviewScenario) -> None:
    plan = dataclasses.replace(scenario.shadow_plan, locale=TargetLocale(lc_collate="xx_XX", lc_ctype="xx_XX"))
    with pytest.raises(Refused, match=r"spec.target.locale: .* locale xx_XX") as raised:
        prepare_shadow(scenario.access, plan)
    assert raised.value.failure.reason is Reason.INVALID_SPEC
    assert not _gate_is_open(scenario)


def test_a_source_of_unknown_locale_gets_the_servers_default_with_a_note(scenario: PreviewScenario) -> None:
    source = build_source_info(collate="xx_XX", ctype="xx_XX").model_copy(update={"locale_known": False})
    (note,) = _prepare_for_source(scenario, source)
    assert "does not contain the locale of its source: the copy has C," in note
    assert "spec.target.locale" in note


def test_the_comment_of_the_source_is_on_the_shadow(scenario: PreviewScenario) -> None:
    _prepare_for_source(scenario, build_source_info(comment="it's the shop"))
    assert scenario.query(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", scenario.names.database
    ) == [("it's the shop",)]


def test_no_password_is_sent_in_clear_text(scenario: PreviewScenario) -> None:
    scenario.prepare()
    log = read_log(scenario.server)
    assert "CREATE ROLE" in log
    for secret in (scenario.owner_password, scenario.attempt_password):
        assert secret not in log
    assert scenario.attempt_password not in repr(scenario.shadow_plan)
    assert scenario.owner_password not in repr(scenario.swap_plan())
