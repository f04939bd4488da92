"""Which imports that have ended are deleted, if the Project's spec.history limits them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.support.samples import NOW, a_policy, a_project_spec, observed_project

from pgimport.decide.decision import DeleteImports, DropOrphanedObjects
from pgimport.decide.import_history import DELETED_AT_ONCE
from pgimport.decide.observed_objects import ObservedProject
from pgimport.decide.projects import decide_project
from pgimport.model.observations import Unreachable
from pgimport.model.reasons import Failure, Reason
from pgimport.model.resources import ImportOwner

DAY = timedelta(days=1)


def an_old_import(
    name: str = "old", age: timedelta = 2 * DAY, removable: bool = True, ended: bool = True
) -> ImportOwner:
    """Builds an import that ended some time ago."""
    ended_at = NOW - age if ended else None
    return ImportOwner(name=name, uid=name, project="shop", cleaned_up=True, ended_at=ended_at, removable=removable)


def a_project(*imports: ImportOwner, history: Any = None, **observed: Any) -> ObservedProject:
    spec = a_project_spec(history={"ttlSeconds": 86_400} if history is None else history)
    return observed_project(spec, import_owners=imports, **observed)


def deleted(observed: ObservedProject, now: datetime = NOW) -> list[str]:
    actions = decide_project(observed, now, a_policy()).actions
    return [item.name for action in actions if isinstance(action, DeleteImports) for item in action.imports]


def test_an_import_is_deleted_when_its_time_is_over() -> None:
    observed = a_project(an_old_import(age=3 * DAY), history={"ttlSeconds": 3 * 86_400})
    assert deleted(observed) == ["old"]
    assert deleted(observed, NOW - timedelta(seconds=1)) == []


def test_the_last_imports_are_kept() -> None:
    imports = [an_old_import(f"n{days}", days * DAY) for days in (4, 2, 5, 3)]
    assert deleted(a_project(*imports, history={"maxFinishedImports": 2})) == ["n5", "n4"]
    assert deleted(a_project(*imports, history={"maxFinishedImports": 0})) == ["n5", "n4", "n3", "n2"]
    assert deleted(a_project(*imports, history={"maxFinishedImports": 2, "ttlSeconds": 3 * 86_400})) == [
        "n5",
        "n4",
        "n3",
    ]


@pytest.mark.parametrize("history", [None, {}], ids=["absent", "empty"])
def test_without_a_limit_all_imports_are_kept(history: Any) -> None:
    observed = observed_project(a_project_spec(history=history), import_owners=(an_old_import(age=900 * DAY),))
    assert deleted(observed) == []


@pytest.mark.parametrize(
    ("item", "observed"),
    [
        pytest.param(an_old_import(age=DAY - timedelta(seconds=1)), {}, id="a request may be repeated"),
        pytest.param(an_old_import(removable=False), {}, id="it is not cleaned up"),
        pytest.param(an_old_import(), {"clone_imports": frozenset({"old"})}, id="a preview names it"),
        pytest.param(an_old_import(ended=False), {}, id="nobody knows when it ended"),
    ],
)
def test_what_something_still_needs_is_kept(item: ImportOwner, observed: dict[str, Any]) -> None:
    for history in ({"ttlSeconds": 86_400}, {"maxFinishedImports": 0}):
        assert deleted(a_project(item, history=history, **observed)) == []


def test_many_imports_are_deleted_bit_by_bit_the_oldest_first() -> None:
    imports = [an_old_import(f"n{number:03}", 2 * DAY + timedelta(seconds=number)) for number in range(150)]
    assert deleted(a_project(*imports)) == [f"n{number:03}" for number in range(149, 149 - DELETED_AT_ONCE, -1)]


def test_a_failing_sweep_does_not_stop_the_history() -> None:
    """The actions run in order until one fails."""
    observed = a_project(an_old_import(), orphaned_objects=("database x",))
    kinds = [type(action) for action in decide_project(observed, NOW, a_policy()).actions]
    assert kinds.index(DeleteImports) < kinds.index(DropOrphanedObjects)


def test_a_project_that_is_not_ready_deletes_nothing() -> None:
    failure = Failure(Reason.SERVER_UNREACHABLE, "the target server cannot be reached")
    assert deleted(a_project(an_old_import(), server=Unreachable(failure=failure))) == []
    namespace = replace(a_project(an_old_import()), namespace_owner="first")
    assert deleted(namespace) == []
