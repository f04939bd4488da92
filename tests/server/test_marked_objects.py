"""Tests of marked objects: only those of one Project are listed and dropped."""

import dataclasses

import pytest
from psycopg import sql
from tests.server.conftest import PreviewScenario, build_scenario
from tests.server.crashing_connection import Crash, CrashingConnect

from pgimport.model.names import replaced_names
from pgimport.model.owner_comment import OwnerComment, format_owner_comment
from pgimport.server.marked_objects import MarkedObject, drop_marked_object, read_marked_objects
from pgimport.server.preview import drop_preview
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import swap


def _list_objects(scenario: PreviewScenario) -> list[tuple[str, str]]:
    uid = scenario.mark.project_uid
    marked_objects = read_marked_objects(scenario.access, uid)
    return [(marked.kind, marked.name) for marked in marked_objects if marked.mark.project_uid == uid]


def test_marked_objects_of_one_project_are_listed_databases_first(scenario: PreviewScenario) -> None:
    build_scenario(scenario.server, scenario.access)
    scenario.prepare()
    assert _list_objects(scenario) == [
        ("database", scenario.names.database),
        ("database", scenario.database),
        ("role", scenario.names.role),
        ("role", scenario.owner),
    ]


def test_leftovers_are_dropped_and_other_objects_stay(scenario: PreviewScenario) -> None:
    other = build_scenario(scenario.server, scenario.access)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    for marked in read_marked_objects(scenario.access, scenario.mark.project_uid):
        if marked.mark.import_uid is not None and marked.mark.project_uid == scenario.mark.project_uid:
            drop_marked_object(scenario.access, marked)
    assert scenario.leftovers() == []
    assert scenario.tables() == ["new"]
    assert other.tables() == ["old"]


def test_partly_created_objects_are_found(scenario: PreviewScenario) -> None:
    for statements in (6, 8, 10):
        with pytest.raises(Crash):
            prepare_shadow(scenario.access, scenario.shadow_plan, connect=CrashingConnect(statements))
        for marked in read_marked_objects(scenario.access, scenario.mark.project_uid):
            if marked.mark.pod_uid is not None and marked.mark.project_uid == scenario.mark.project_uid:
                drop_marked_object(scenario.access, marked)
        assert scenario.leftovers() == []


def test_an_object_with_another_mark_is_not_dropped(scenario: PreviewScenario) -> None:
    stale = MarkedObject("database", scenario.database, OwnerComment(project_uid="another"))
    drop_marked_object(scenario.access, stale)
    drop_marked_object(scenario.access, dataclasses.replace(stale, name="not_there"))
    assert scenario.tables() == ["old"]


def test_the_mark_of_a_replaced_database_cannot_be_forged(scenario: PreviewScenario) -> None:
    """A member of the owner may write the comment, and so could hide the database from its own Project."""
    other = build_scenario(scenario.server, scenario.access)
    scenario.prepare()
    assert swap(scenario.access, scenario.swap_plan()) is None
    replaced = replaced_names(scenario.names.database)
    forged = other.mark.model_copy(update={"import_uid": "gone"})
    comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(replaced.database), sql.Literal(format_owner_comment(forged))
    )
    with scenario.server.connect() as connection:
        connection.execute(comment)
        assert ("database", replaced.database) in _list_objects(scenario)
        assert ("database", replaced.database) not in _list_objects(other)


@pytest.mark.parametrize("name", ["{}_extra", "{}_owner"], ids=["another name", "the name of the role"])
def test_a_database_that_somebody_gave_to_the_owner_of_a_preview_is_never_dropped(
    scenario: PreviewScenario, name: str
) -> None:
    """Seen before: after the preview was deleted, the sweep took the database for a part of it, and dropped it."""
    extra = name.format(scenario.database)
    with scenario.server.connect() as connection:
        connection.autocommit = True
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(extra), sql.Identifier(scenario.owner))
        )
    assert _list_objects(scenario) == [("database", scenario.database), ("role", scenario.owner)]
    drop_preview(scenario.access, scenario.database, scenario.owner)
    for marked in read_marked_objects(scenario.access, scenario.mark.project_uid):
        if marked.mark.project_uid == scenario.mark.project_uid:
            drop_marked_object(scenario.access, marked)
    assert scenario.query("SELECT datname FROM pg_database WHERE datname = %s", extra) == [(extra,)]
    ((_, role),) = _list_objects(scenario)
    with scenario.server.connect() as connection:  # leave nothing behind
        connection.autocommit = True
        connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(extra)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
