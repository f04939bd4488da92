import xml.etree.ElementTree as ET

import pytest
from tests.bench.engines.bar_chart import Bar, build_bars
from tests.bench.engines.result_tables import HEAD, build_detail, steps_of
from tests.bench.engines.sample_runs import ENDED, a_part, a_run, progress
from tests.network_simulator.shaping import Passed

LINES = [
    '{"log": {"message": "preflight ended", "result": {}}}',
    *map(progress, ("schema", "data", "data", "verify")),
    ENDED,
]


def test_seconds_are_told_by_phase() -> None:
    assert steps_of(a_run(10, lines=LINES)) == pytest.approx(
        {"start and preflight": 2, "schema": 1, "data": 2, "verify": 1, "swap and end": 4}
    )


def test_a_table_has_all_engines_and_says_what_failed() -> None:
    runs = {"ours": [a_run(3, lines=LINES), a_run(5, lines=LINES)], "pgcopydb": [a_run(9, failure="hung |\n for ever")]}
    detail = build_detail(a_part(runs), [])
    assert detail.rows == [
        HEAD,
        ("engine ours", "4.0", "3.0", "5.0", "1.0", "5.0", "2.0", "64", "5.0"),
        ("engine pgcopydb", "–", "–", "–", "–", "–", "–", "–", "–"),
        ("engine pgcopydb: 1 of 1 failed: hung \\| for ever",),
    ]
    assert "data 0.8, verify 0.4" in detail.text


def test_on_a_line_it_is_told_how_much_of_it_was_in_use() -> None:
    record = [Passed(100 + n, n * 6_250_000, 0, 0) for n in range(20)]
    detail = build_detail(a_part({"ours": [a_run(15)]}, bits_per_second=100e6), record)
    assert [row[-1] for row in detail.rows] == ["line in use", "50 %"]


def test_bars_are_as_long_as_their_medians() -> None:
    plot = build_bars("a < b", "seconds", [Bar("one & only", 5, 4, 10), Bar("two", 10, 10, 10)])
    shapes = ET.fromstring(plot).findall("{http://www.w3.org/2000/svg}rect")  # noqa: S314 (ours)
    _, short, long = (float(shape.attrib["width"]) for shape in shapes)
    assert long == pytest.approx(2 * short)
