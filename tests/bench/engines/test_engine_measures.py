import json
from dataclasses import asdict

import pytest
from tests.bench.engines.engine_measures import build_report, median_ratio
from tests.bench.engines.launcher import parse_report
from tests.bench.engines.pipelines import Taken
from tests.bench.engines.sample_databases import FULL
from tests.bench.engines.sample_runs import a_part, a_run
from tests.bench.engines.scenarios import SLOW, Found
from tests.network_simulator.link import Probed
from tests.network_simulator.shaping import Passed

BIG = {
    "ours": [a_run(12), a_run(24), a_run(12)],
    "tls": [a_run(14)] * 3,
    "stream": [a_run(20), a_run(40), a_run(30)],
    "directory": [a_run(15)] * 3,
    "pgcopydb": [a_run(12.5)] * 3,
    "copy floor": [a_run(6, lines=["2000000000"])] * 3,
    "post-data floor": [a_run(4)] * 3,
}


def _failing(*seconds: float) -> list[Taken]:
    return [a_run(one, failure=None if one else "ended with -9") for one in seconds]


def test_a_slow_moment_of_the_machine_meets_both_sides_of_a_ratio() -> None:
    assert median_ratio(a_part(BIG), "ours", ["stream"]) == pytest.approx(0.6)
    assert median_ratio(a_part(BIG), "ours", ["copy floor", "post-data floor"]) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("others", "ratio"),
    [(_failing(0, 12, 6), 2.0), (_failing(0, 0, 0), None)],
    ids=["one round failed", "all failed"],
)
def test_a_round_counts_where_all_of_it_went_well(others: list[Taken], ratio: float | None) -> None:
    assert median_ratio(a_part({**BIG, "pgcopydb": others}), "ours", ["pgcopydb"]) == ratio


def _whole() -> Found:
    """A line that is full from 110 s to 150 s of a run from 100 s to 160 s."""
    record = [Passed(100 + n / 10, int(SLOW / 80) * min(max(n - 100, 0), 400), 0, 0) for n in range(601)]
    return Found(
        parts={
            "big": a_part(BIG),
            "mid 100": a_part({"ours": [a_run(60)] * 3}, "mid 100", SLOW),
            "small 17": a_part({"ours": [a_run(8)], "directory": [a_run(10)]}, "small 17"),
            "objects": a_part({"ours": [a_run(6)]}, "objects"),
            "empty": a_part({"ours": [a_run(3)]}, "empty"),
            "small 18": a_part({"ours": [a_run(9)]}, "small 18"),
        },
        probes={SLOW: Probed(20.3, 94.6)},
        record=record,
        versions={"PostgreSQL 17": "17.12"},
    )


def test_every_goal_has_its_measure() -> None:
    found = {one.name: (one.value, one.goal, one.unit, one.holds) for one in build_report(_whole(), FULL).measures}
    assert found == {
        "engine_big_against_stream": (0.6, 0.6, "×", True),
        "engine_big_against_floors": (1.2, 1.3, "×", True),
        "engine_big_against_pgcopydb": (0.96, 0.95, "×", False),
        "engine_big_against_directory": (0.8, 0.8, "×", True),
        "engine_client_cpu_per_gigabyte": (1.0, 3.0, "s", True),
        "engine_client_cpu_per_gigabyte_tls": (1.0, 4.5, "s", True),
        "engine_scratch_percent": (0.5, 1.0, "%", True),
        "engine_wire_percent": (100.0, 95.0, "%", True),
        "engine_small_18_seconds": (9, 15.0, "s", True),
        "engine_small_17_against_directory": (0.8, 0.85, "×", True),
        "engine_large_objects_seconds": (6, 5.0, "s", False),
    }


def test_what_could_not_be_measured_has_no_figure() -> None:
    found = Found(parts={"big": a_part({**BIG, "pgcopydb": _failing(0, 0, 0)}), "objects": a_part({"ours": []})})
    names = {one.name for one in build_report(found, FULL).measures}
    assert "engine_big_against_stream" in names
    assert names.isdisjoint({"engine_big_against_pgcopydb", "engine_large_objects_seconds", "engine_wire_percent"})


def test_a_report_is_the_same_after_its_way_between_processes() -> None:
    report = build_report(_whole(), FULL)
    assert parse_report(json.loads(json.dumps(asdict(report)))) == report
