"""Tests of the properties of a target and its owner that survive a swap."""

import dataclasses
import secrets

import psycopg
import pytest
from tests.server.conftest import PreviewScenario, build_source_info

from pgimport.model.names import attempt_names
from pgimport.model.owner_comment import format_owner_comment
from pgimport.model.result import DatabaseSetting
from pgimport.server.marked_objects import read_marked_objects
from pgimport.server.preview import ensure_preview
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import drop_replaced, swap


def test_changes_of_the_dump_to_its_role_are_removed(scenario: PreviewScenario) -> None:
    scenario.prepare()
    with scenario.as_attempt() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET search_path = evil")
        for database, setting in (
            (scenario.names.database, "default_transaction_read_only = on"),
            (scenario.database, "work_mem = '64kB'"),
        ):
            connection.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {setting}".encode())
        connection.execute("ALTER ROLE CURRENT_USER PASSWORD 'known to the dump'")
    assert swap(scenario.access, scenario.swap_plan()) is None
    with scenario.as_owner() as connection:
        connection.execute("CREATE TABLE still_writable (id int)")
        assert connection.execute("SHOW search_path").fetchone() == ('"$user", public',)
        assert connection.execute("SHOW work_mem").fetchone() == ("4MB",)
    assert scenario.query("SELECT FROM pg_db_role_setting WHERE setrole = %s::regrole", scenario.owner) == []
    for password in ("known to the dump", scenario.attempt_password):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            scenario.server.connect(scenario.database, scenario.owner, password)


def _read_properties(scenario: PreviewScenario, reader: str, group: str) -> list[list[tuple[object, ...]]]:
    return [
        scenario.query(
            "SELECT unnest(setconfig) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = setdatabase"
            " LEFT JOIN pg_roles r ON r.oid = setrole WHERE datname = %s OR rolname = %s ORDER BY 1",
            scenario.database,
            scenario.owner,
        ),
        scenario.query(
            "SELECT datconnlimit, datdba::regrole::text,"
            " has_database_privilege('public', oid, 'CONNECT'),"
            " has_database_privilege(%s, oid, 'TEMPORARY WITH GRANT OPTION') FROM pg_database WHERE datname = %s",
            reader,
            scenario.database,
        ),
        scenario.query(
            "SELECT rolconnlimit, rolvaliduntil, rolcanlogin, pg_has_role(%s, oid, 'USAGE'),"
            " pg_has_role(oid, %s::regrole::oid, 'USAGE'), shobj_description(oid, 'pg_authid')::json ->> 'pgimport'"
            " FROM pg_roles WHERE rolname = %s",
            reader,
            group,
            scenario.owner,
        ),
    ]


def test_settings_and_privileges_of_the_target_are_carried_over(scenario: PreviewScenario) -> None:
    reader, group = f"{scenario.owner}_reader", f"{scenario.owner}_group"
    for statement in (
        f"CREATE ROLE {reader} LOGIN",
        f"CREATE ROLE {group}",
    ):
        scenario.server.execute(statement, user="admin")
    for statement in (
        f"GRANT CONNECT, TEMPORARY ON DATABASE {scenario.database} TO {reader} WITH GRANT OPTION",
        f"GRANT {group} TO {scenario.owner}",
        f"GRANT {scenario.owner} TO {reader}",
        f"ALTER DATABASE {scenario.database} CONNECTION LIMIT 7",
        f'ALTER DATABASE {scenario.database} SET search_path = "$user", public, "odd "" , name"',
        f"ALTER DATABASE {scenario.database} SET application_name = 'it''s, \"quoted\"'",
        f"ALTER ROLE {scenario.owner} SET statement_timeout = '7min'",
        f"ALTER ROLE {scenario.owner} IN DATABASE {scenario.database} SET lock_timeout = '7s'",
        f"ALTER ROLE {scenario.owner} CONNECTION LIMIT 9 VALID UNTIL '2099-01-01 00:00:00+00'",
    ):
        scenario.server.execute(statement)
    before = _read_properties(scenario, reader, group)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert _read_properties(scenario, reader, group) == before
    drop_replaced(scenario.access, scenario.names)
    assert scenario.leftovers() == []


def test_a_setting_that_only_a_superuser_may_set_does_not_stop_the_swap(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"ALTER DATABASE {scenario.database} SET log_min_duration_statement = 100")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.tables() == ["new"]


def _swap_with_settings(scenario: PreviewScenario, comment: str | None, *settings: DatabaseSetting) -> list[str]:
    source = build_source_info().model_copy(update={"comment": comment, "settings": list(settings)})
    record = prepare_shadow(scenario.access, dataclasses.replace(scenario.shadow_plan, source=source))
    scenario.fill_shadow()
    assert swap(scenario.access, scenario.swap_plan()) is None
    drop_replaced(scenario.access, scenario.names)
    return record.notes


def _show(scenario: PreviewScenario, *names: str) -> list[object]:
    with scenario.as_owner() as connection:
        return [connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0] for name in names]  # type: ignore[index]


def test_the_settings_of_the_source_come_and_the_previews_own_win(scenario: PreviewScenario) -> None:
    scenario.server.execute(f"ALTER DATABASE {scenario.database} SET statement_timeout = '7min'")
    scenario.server.execute(f"ALTER ROLE {scenario.owner} SET random_page_cost = 2")
    notes = _swap_with_settings(
        scenario,
        "shop",
        DatabaseSetting(name="search_path", value='app, "odd "" , name", public'),
        DatabaseSetting(name="TimeZone", value="Asia/Tokyo"),
        DatabaseSetting(name="random_page_cost", value="1.5"),
        DatabaseSetting(name="enable_seqscan", value="off", for_owner=True),
        DatabaseSetting(name="lc_time", value="no_such_locale"),
        # A worker is not trusted: these are not in the list.
        DatabaseSetting(name="session_preload_libraries", value="evil"),
        DatabaseSetting(name="app.token", value="secret"),
    )
    assert len(notes) == 1
    assert notes[0].startswith("setting lc_time of the source database: the target server refuses its value (invalid")
    assert _show(scenario, "search_path", "timezone", "random_page_cost", "enable_seqscan", "statement_timeout") == [
        'app, "odd "" , name", public',
        "Asia/Tokyo",
        "2",
        "off",
        "7min",
    ]
    assert scenario.query(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", scenario.database
    ) == [("shop",)]
    assert scenario.query(
        "SELECT count(*) FROM pg_db_role_setting WHERE array_to_string(setconfig, ' ') ~ 'secret|evil'"
    ) == [(0,)]


def test_a_later_import_replaces_the_settings_of_an_earlier_one(scenario: PreviewScenario) -> None:
    first = DatabaseSetting(name="search_path", value="first")
    _swap_with_settings(scenario, "first", first, DatabaseSetting(name="DateStyle", value="German"))
    scenario.server.execute(f"ALTER DATABASE {scenario.database} SET work_mem = '5MB'")
    again = dataclasses.replace(scenario, names=attempt_names(secrets.token_hex(8)))
    _swap_with_settings(again, None, first.model_copy(update={"value": "second"}))
    assert _show(again, "search_path", "datestyle", "work_mem") == ["second", "ISO, MDY", "5MB"]
    assert again.query(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", again.database
    ) == [(None,)]
    uid = again.mark.project_uid
    own = [marked.name for marked in read_marked_objects(again.access, uid) if marked.mark.project_uid == uid]
    assert own == [again.database, again.owner]


def test_marks_of_an_older_release_leave_the_databases(scenario: PreviewScenario) -> None:
    scenario.prepare()
    for database, mark in ((scenario.database, scenario.mark), (scenario.names.database, scenario.attempt_mark)):
        scenario.server.execute(f"COMMENT ON DATABASE {database} IS '{format_owner_comment(mark)}'")
    ensure_preview(scenario.access, scenario.database, scenario.owner, scenario.owner_password, scenario.mark)
    comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    assert scenario.query(comment, scenario.database) == [(None,)]
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.query(comment, scenario.database) == [(None,)]
    assert scenario.tables() == ["new"]


@pytest.mark.isolation
def test_settings_that_are_too_long_or_that_change_the_role_are_not_carried_over(
    scenario: PreviewScenario, caplog: pytest.LogCaptureFixture
) -> None:
    for setting in (f"search_path = '{'x' * 70_000}'", "role = 'none'", "work_mem = '9MB'"):
        scenario.server.execute(f"ALTER DATABASE {scenario.database} SET {setting}")
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    assert scenario.query(
        "SELECT unnest(setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase"
        " WHERE datname = %s",
        scenario.database,
    ) == [("work_mem=9MB",)]
    assert "longer than 64 KiB or no text in UTF-8: search_path" in caplog.text
