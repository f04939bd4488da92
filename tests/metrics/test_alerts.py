"""The alerts of the chart, with promtool: each is valid, has cases in which it fires, and a section in the runbook."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.metrics.conftest import Promtool

from pgimport.metrics.state_gauges import GAUGES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "charts/pgimport/files/alerts.yaml"
CASES = Path(__file__).parent / "alerts.test.yaml"
RUNBOOK = ROOT / "docs/operations/alerts.md"
ALERTS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in ALERTS]
# The chart refuses scrapes that are further apart.
LONGEST_SCRAPE_INTERVAL = 60.0
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def test_promtool_accepts_the_rules(promtool: Promtool) -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(NAMES)} rules found" in checked.stdout


def test_each_alert_fires_when_it_should_and_resolves(promtool: Promtool) -> None:
    tested = promtool("test", "rules", CASES)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_alert_has_cases(name: str) -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == name}
    assert fires == {True, False}


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_windows_hold_at_least_four_scrapes(rule: dict[str, Any]) -> None:
    """Else a window may hold fewer than two, and the expression has no series."""
    for number, unit in re.findall(r"\[(\d+)([smhd])\]", rule["expr"]):
        assert int(number) * UNITS[unit] >= 4 * LONGEST_SCRAPE_INTERVAL


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_gauges_that_the_rules_name_exist(rule: dict[str, Any]) -> None:
    elsewhere = {"build_info", "watch_stalled", "watch_age_seconds", "api_requests_total"}
    names = set(re.findall(r"pgimport_\w+", rule["expr"]))
    assert names <= GAUGES.keys() | {f"pgimport_{name}" for name in elsewhere}


def test_the_runbook_has_a_section_for_each_alert() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.MULTILINE)
    assert sections == NAMES
