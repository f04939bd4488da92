import xml.etree.ElementTree as ET

import pytest
from tests.bench.engines.bar_chart import Bar, build_bars
from tests.bench.engines.result_tables import HEAD, build_detail, step_seconds
from tests.bench.engines.sample_runs import RESULT_LINE, build_part, build_run, progress_line
from tests.network_simulator.shaping import Passed

LINES = [
    '{"log": {"message": "preflight ended", "result": {}}}',
    *map(progress_line, ("schema", "data", "data", "verify")),
    RESULT_LINE,
]


def test_seconds_are_reported_by_phase() -> None:
    assert step_seconds(build_run(10, lines=LINES)) == pytest.approx(
        {"start and preflight": 2, "schema": 1, "data": 2, "verify": 1, "swap and end": 4}
    )


def test_a_table_lists_all_engines_and_their_failures() -> None:
    runs = {
        "pgimport": [build_run(3, lines=LINES), build_run(5, lines=LINES)],
        "pgcopydb": [build_run(9, failure="hung |\n for ever")],
    }
    detail = build_detail(build_part(runs), [])
    assert detail.rows == [
        HEAD,
        ("engine pgimport", "4.0", "3.0", "5.0", "1.0", "5.0", "2.0", "64", "5.0"),
        ("engine pgcopydb", "–", "–", "–", "–", "–", "–", "–", "–"),
        ("engine pgcopydb: 1 of 1 failed: hung \\| for ever",),
    ]
    assert "data 0.8, verify 0.4" in detail.text


def test_the_use_of_a_simulated_link_is_reported() -> None:
    record = [Passed(100 + n, n * 6_250_000, 0, 0) for n in range(20)]
    detail = build_detail(build_part({"pgimport": [build_run(15)]}, bits_per_second=100e6), record)
    assert [row[-1] for row in detail.rows] == ["link in use", "50 %"]


def test_bars_are_as_long_as_their_medians() -> None:
    plot = build_bars("a < b", "seconds", [Bar("one & only", 5, 4, 10), Bar("two", 10, 10, 10)])
    shapes = ET.fromstring(plot).findall("{http://www.w3.org/2000/svg}rect")  # noqa: S314 (ours)
    _, short, long = (float(shape.attrib["width"]) for shape in shapes)
    assert long == pytest.approx(2 * short)
