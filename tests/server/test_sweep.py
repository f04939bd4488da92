"""Leftovers: only what carries this Project's mark is found, and only that goes."""

import dataclasses

import pytest
from tests.server.conftest import House, build_house
from tests.server.crashing import Crash, CrashingConnect

from pgimport.model.mark import Mark
from pgimport.server.shadow import prepare_shadow
from pgimport.server.swap import swap
from pgimport.server.sweep import Marked, drop_marked, read_marked


def _found(house: House) -> list[tuple[str, str]]:
    return [(one.kind, one.name) for one in read_marked(house.access, house.mark.project_uid)]


def test_only_one_projects_things_are_found_databases_first(house: House) -> None:
    build_house(house.server, house.access)
    house.prepare()
    assert _found(house) == [
        ("database", house.names.database),
        ("database", house.database),
        ("role", house.names.role),
        ("role", house.owner),
    ]


def test_leftovers_go_and_the_rest_stays(house: House) -> None:
    other = build_house(house.server, house.access)
    house.prepare()
    assert swap(house.access, house.swap_plan()) is None
    for marked in read_marked(house.access, house.mark.project_uid):
        if marked.mark.import_uid is not None:
            drop_marked(house.access, marked)
    assert house.leftovers() == []
    assert house.tables() == ["new"]
    assert other.tables() == ["old"]


def test_half_made_things_are_found(house: House) -> None:
    for statements in (6, 8, 10):
        with pytest.raises(Crash):
            prepare_shadow(house.access, house.shadow_plan, connect=CrashingConnect(statements))
        for marked in read_marked(house.access, house.mark.project_uid):
            if marked.mark.pod_uid is not None:
                drop_marked(house.access, marked)
        assert house.leftovers() == []


def test_what_has_another_mark_by_now_is_not_dropped(house: House) -> None:
    stale = Marked("database", house.database, Mark(project_uid="another"))
    drop_marked(house.access, stale)
    drop_marked(house.access, dataclasses.replace(stale, name="not_there"))
    assert house.tables() == ["old"]
