"""Grafana's own model of a dashboard, grafana-foundation-sdk, knows each field of ours, and its type."""

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, get_type_hints

import pytest
from grafana_foundation_sdk.cog import runtime
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import prometheus, stat, timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pgimport.schema.dashboard import build_dashboard

DASHBOARD: dict[str, Any] = json.loads(build_dashboard())

runtime.register_dataquery_variant(prometheus.variant_config())
for panel_type in (stat, timeseries):
    runtime.register_panelcfg_variant(panel_type.variant_config())


def find_faults(dashboard: dict[str, Any]) -> list[str]:
    """Returns the fields that Grafana's model does not know, and those whose values have another type."""
    model = Dashboard.from_json(dashboard)
    encoded = json.loads(json.dumps(model, cls=JSONEncoder))
    return [*find_lost(dashboard, encoded, ""), *find_other_types(model, "")]


def find_lost(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yields the paths that are in `before` and not in `after`. The model adds defaults, which are no faults."""
    if isinstance(before, dict) and isinstance(after, dict):
        yield from (f"{path}.{key}" for key in before.keys() - after.keys())
        for key in before.keys() & after.keys():
            yield from find_lost(before[key], after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from find_lost(*pair, f"{path}[{index}]")
    elif before != after:
        yield path


def is_valid(value: Any, hint: Any) -> bool:
    try:
        return bool(build_adapter(hint).validate_python(value) == value)  # not a string that pydantic reads as a number
    except ValidationError:
        return False


@cache
def build_adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def find_other_types(value: Any, path: str) -> Iterator[str]:
    """Yields the paths of attributes that do not have the type of their annotation: the SDK does not check it."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_other_types(item, f"{path}[{index}]")
    if not type(value).__module__.startswith("grafana_foundation_sdk.models"):
        return
    for name, hint in get_type_hints(type(value)).items():
        attribute, place = getattr(value, name, None), f"{path}.{name}"
        if not is_valid(attribute, hint):
            yield place
        yield from find_other_types(attribute, place)


def test_grafana_knows_each_field() -> None:
    assert find_faults(DASHBOARD) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(("refreshh",), "1m", id="an unknown field of the dashboard"),
        pytest.param(("editable",), "yes", id="a string for a flag"),
        pytest.param(("schemaVersion",), "39", id="a string for a number"),
        pytest.param(("panels", 1, "titel"), "Running", id="an unknown field of a panel"),
        pytest.param(("panels", 1, "gridPos", "w"), "wide", id="a width that is no number"),
        pytest.param(("panels", 1, "targets", 0, "expression"), "up", id="an unknown field of a query"),
        pytest.param(("panels", 1, "targets", 0, "expr"), 1, id="a query that is no string"),
        pytest.param(("panels", 1, "fieldConfig", "defaults", "min"), "none", id="a limit that is no number"),
        pytest.param(("templating", "list", 0, "type"), "data source", id="an unknown type of a variable"),
        pytest.param(("templating", "list", 1, "refresh"), 7, id="an unknown number of a choice"),
    ],
)
def test_a_fault_is_found(path: tuple[str | int, ...], value: object) -> None:
    changed = copy.deepcopy(DASHBOARD)
    *parents, field = path
    place: Any = changed
    for step in parents:
        place = place[step]
    place[field] = value
    assert find_faults(changed)
