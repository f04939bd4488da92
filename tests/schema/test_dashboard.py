"""The dashboard is one that Grafana can load: ids, places, variables and queries fit together."""

import itertools
import json
import re
from typing import Any

import pytest

from pgimport.schema.dashboard import build_dashboard

DASHBOARD: dict[str, Any] = json.loads(build_dashboard())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
PLOTS = [panel for panel in PANELS if panel["type"] != "row"]
TITLES = [panel["title"] for panel in PLOTS]
BUILT_IN = {"__rate_interval", "__all"}


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return set(itertools.product(columns, lines))


def test_panels_have_ids_and_titles_of_their_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len(set(TITLES)) == len(TITLES)


def test_no_panel_covers_another_one_or_leaves_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert not taken & cells(panel), panel["title"]
        taken |= cells(panel)
    assert max(x for x, _ in taken) == 23


def test_each_variable_is_defined() -> None:
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD)))
    assert used - BUILT_IN == defined


@pytest.mark.parametrize("panel", PLOTS, ids=TITLES)
def test_a_panel_reads_the_chosen_data_source(panel: dict[str, Any]) -> None:
    assert panel["type"] in ("stat", "timeseries")
    sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    names = [target["refId"] for target in panel["targets"]]
    assert sorted(set(names)) == names


@pytest.mark.parametrize("panel", PLOTS, ids=TITLES)
def test_a_panel_shows_the_chosen_namespaces_alone(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        assert 'namespace=~"$namespace"' in target["expr"]


@pytest.mark.parametrize(
    ("name", "aggregator"),
    [
        ("pgimport_import_stall_ratio", "max"),
        ("pgimport_target_server_up", "min"),
        ("pgimport_webhooks_failing", "max"),
        ("pgimport_watch_age_seconds", "max"),
    ],
)
def test_ratios_ages_and_flags_of_several_releases_are_not_added(name: str, aggregator: str) -> None:
    expressions = [target["expr"] for panel in PLOTS for target in panel["targets"] if name in target["expr"]]
    assert expressions
    assert all(text.startswith((f"{aggregator} by (", "count(")) for text in expressions)
