import json
from dataclasses import asdict

import pytest
from tests.bench.engines.engine_measures import build_report, median_ratio
from tests.bench.engines.launcher import parse_report
from tests.bench.engines.pipelines import EngineRun
from tests.bench.engines.sample_databases import FULL
from tests.bench.engines.sample_runs import build_part, build_run
from tests.bench.engines.scenarios import SLOW, BenchResults
from tests.network_simulator.link import Probed
from tests.network_simulator.shaping import Passed

BIG = {
    "pgimport": [build_run(12), build_run(24), build_run(12)],
    "tls": [build_run(14)] * 3,
    "stream": [build_run(20), build_run(40), build_run(30)],
    "directory": [build_run(15)] * 3,
    "pgcopydb": [build_run(12.5)] * 3,
    "copy floor": [build_run(6, lines=["2000000000"])] * 3,
    "post-data floor": [build_run(4)] * 3,
}


def _build_runs(*seconds: float) -> list[EngineRun]:
    return [build_run(value, failure=None if value else "ended with -9") for value in seconds]


def test_a_ratio_compares_runs_of_the_same_round() -> None:
    assert median_ratio(build_part(BIG), "pgimport", ["stream"]) == pytest.approx(0.6)
    assert median_ratio(build_part(BIG), "pgimport", ["copy floor", "post-data floor"]) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("others", "ratio"),
    [(_build_runs(0, 12, 6), 2.0), (_build_runs(0, 0, 0), None)],
    ids=["one round failed", "all failed"],
)
def test_a_round_counts_only_if_all_its_runs_succeed(others: list[EngineRun], ratio: float | None) -> None:
    assert median_ratio(build_part({**BIG, "pgcopydb": others}), "pgimport", ["pgcopydb"]) == ratio


def _build_results() -> BenchResults:
    """Build results of a full run. The link is full from 110 s to 150 s of a run from 100 s to 160 s."""
    record = [Passed(100 + n / 10, int(SLOW / 80) * min(max(n - 100, 0), 400), 0, 0) for n in range(601)]
    return BenchResults(
        parts={
            "big": build_part(BIG),
            "mid 100": build_part({"pgimport": [build_run(60)] * 3}, "mid 100", SLOW),
            "small 17": build_part({"pgimport": [build_run(8)], "directory": [build_run(10)]}, "small 17"),
            "objects": build_part({"pgimport": [build_run(6)]}, "objects"),
            "empty": build_part({"pgimport": [build_run(3)]}, "empty"),
            "small 18": build_part({"pgimport": [build_run(9)]}, "small 18"),
        },
        probes={SLOW: Probed(20.3, 94.6)},
        record=record,
        help_cpu=[0.3, 0.15, 0.1],
        versions={"PostgreSQL 17": "17.12"},
    )


def test_every_goal_has_a_measure() -> None:
    measures = build_report(_build_results(), FULL).measures
    verdicts = {measure.name: (measure.value, measure.goal, measure.unit, measure.holds) for measure in measures}
    assert verdicts == {
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
        "startup_empty_cpu_seconds": (2.0, 1.2, "s", False),
        "startup_empty_seconds": (3, 2.5, "s", False),
        "startup_help_cpu_seconds": (0.15, 0.2, "s", True),
    }


def test_a_part_without_successful_runs_has_no_measure() -> None:
    results = BenchResults(
        parts={"big": build_part({**BIG, "pgcopydb": _build_runs(0, 0, 0)}), "objects": build_part({"pgimport": []})}
    )
    names = {measure.name for measure in build_report(results, FULL).measures}
    assert "engine_big_against_stream" in names
    assert names.isdisjoint({"engine_big_against_pgcopydb", "engine_large_objects_seconds", "engine_wire_percent"})


def test_a_report_is_the_same_after_passing_through_json() -> None:
    report = build_report(_build_results(), FULL)
    assert parse_report(json.loads(json.dumps(asdict(report)))) == report
