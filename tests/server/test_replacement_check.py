"""Tests of targets and owners that a swap must not replace."""

import dataclasses

import pytest
from tests.server.conftest import PreviewScenario

from pgimport.model.errors import Refused
from pgimport.server.swap import swap


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"owner": "admin"}, "cannot be the admin", id="owner-is-the-admin"),
        pytest.param({"target": "postgres"}, "cannot be replaced", id="the-maintenance-database"),
    ],
)
def test_the_admin_and_maintenance_databases_are_not_replaced(
    scenario: PreviewScenario, changes: dict[str, str], words: str
) -> None:
    scenario.prepare()
    plan = scenario.swap_plan()
    owner, target = changes.get("owner", plan.owner), changes.get("target", plan.target)
    changed_plan = dataclasses.replace(plan, owner=owner, target=target)
    with pytest.raises(Refused, match=words):
        swap(scenario.access, changed_plan)
    assert scenario.tables() == ["old"]


def test_an_owner_of_other_databases_is_not_replaced(scenario: PreviewScenario) -> None:
    other = f"{scenario.database}_other"
    scenario.server.execute(f"CREATE DATABASE {other} OWNER {scenario.owner}")
    scenario.prepare()
    with pytest.raises(Refused, match=f"also owns database {other}"):
        swap(scenario.access, scenario.swap_plan())
    assert scenario.tables() == ["old"]
