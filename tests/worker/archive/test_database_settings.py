"""Settings and comment of a dumped database."""

import pytest
from tests.support.postgres import PostgresServer

from pgimport.model.database_settings import MAX_SEARCH_PATH, is_carried
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.model.result import DatabaseSetting
from pgimport.worker.archive.database_settings import parse_comment, parse_settings
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.scope.database_settings import StoredProperties, build_live_properties, build_stored_properties

PROPERTIES = """
ALTER DATABASE shop SET search_path TO 'app', 'public', 'odd "" , name';
ALTER DATABASE shop SET "TimeZone" TO 'Asia/Tokyo';
ALTER DATABASE shop SET "app.secret" TO 'it''s';
ALTER ROLE shop_owner IN DATABASE shop SET enable_seqscan TO 'off';
ALTER ROLE somebody IN DATABASE shop SET work_mem TO '1GB';
"""


def test_the_settings_of_a_dump_are_those_of_the_catalog() -> None:
    assert parse_settings(PROPERTIES, "shop_owner") == [
        DatabaseSetting(name="search_path", value='"app", "public", "odd """" , name"'),
        DatabaseSetting(name="TimeZone", value="Asia/Tokyo"),
        DatabaseSetting(name="app.secret", value="it's"),
        DatabaseSetting(name="enable_seqscan", value="off", for_owner=True),
    ]


@pytest.mark.parametrize(
    ("statement", "comment"),
    [
        ("COMMENT ON DATABASE shop IS 'it''s';", "it's"),
        ("COMMENT ON DATABASE \"my shop\" IS 'x';", "x"),
        ("COMMENT ON SCHEMA shop IS 'x';", None),
        (f"COMMENT ON DATABASE shop IS '{format_owner_comment(OwnerComment(project_uid='p'))}';", None),
    ],
    ids=["text", "quoted-name", "another-object", "our-mark"],
)
def test_the_comment_of_a_dump(statement: str, comment: str | None) -> None:
    assert parse_comment(statement) == comment


def test_only_listed_settings_travel_with_their_values() -> None:
    settings = [
        DatabaseSetting(name="app.token", value="secret"),
        DatabaseSetting(name="statement_timeout", value="1s", for_owner=True),
        DatabaseSetting(name="search_path", value="x" * (MAX_SEARCH_PATH + 1)),
        DatabaseSetting(name="DateStyle", value="German"),
    ]
    stored = build_stored_properties(settings, "shop")
    assert [setting.name for setting in stored.settings] == ["DateStyle"]
    assert [item.object for item in stored.skipped] == [
        "DATABASE SETTING app.token",
        "OWNER ROLE SETTING statement_timeout",
        "DATABASE SETTING search_path",
    ]
    assert "secret" not in str(stored.skipped)
    assert stored.comment == "shop"


@pytest.mark.parametrize("name", ["session_preload_libraries", "jit_provider", "role", "enable.x", "log_statement"])
def test_a_setting_of_the_server_is_not_carried(name: str) -> None:
    assert not is_carried(name)


def test_the_settings_of_a_live_source_are_read(postgres16: PostgresServer) -> None:
    postgres16.execute("CREATE ROLE settings_owner LOGIN PASSWORD 'x'; CREATE ROLE settings_other")
    with postgres16.database("settings", "settings_owner"):
        postgres16.execute(
            "ALTER DATABASE settings SET search_path = app, public;"
            "ALTER ROLE settings_owner SET random_page_cost = 1;"
            "ALTER ROLE settings_owner IN DATABASE settings SET random_page_cost = 2;"
            "ALTER ROLE settings_other IN DATABASE settings SET random_page_cost = 3;"
            "COMMENT ON DATABASE settings IS 'shop'"
        )
        with postgres16.connect("settings") as connection:
            rows = connection.execute(read_query("scope/database_settings")).fetchall()
    postgres16.execute("DROP ROLE settings_owner; DROP ROLE settings_other")
    assert build_live_properties(rows) == StoredProperties(
        settings=[
            DatabaseSetting(name="random_page_cost", value="2", for_owner=True),
            DatabaseSetting(name="search_path", value="app, public"),
        ],
        comment="shop",
    )
