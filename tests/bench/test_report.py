import json
from pathlib import Path

from tests.bench.report import Detail, Measure, Report, format_report, write_report

HELD = Measure(name="quick", title="Quick", value=1.5, goal=2, unit="s", method="By a watch.", reason="Never shown.")
MISSED = Measure(
    name="full", title="Full", value=90, goal=95, unit="%", method="By a scale.", at_least=True, reason="It leaks."
)
DETAIL = Detail(title="All of it", text="In turn.", rows=[("a", "b"), ("1", "2")], plot="<svg/>", plot_name="all")
REPORT = Report(measures=[HELD, MISSED], details=[DETAIL], facts=[("Machine", "small")])


def test_a_missed_goal_is_reported_with_its_reason() -> None:
    text = format_report(REPORT, "Today.")
    assert "| Full | 90 % | at least 95 % | **no** |" in text
    assert "90 %; goal: at least 95 %: **missed**.\n\nIt leaks.\n\nBy a scale." in text
    assert "1.5 s; goal: at most 2 s: holds.\n\nBy a watch." in text
    assert "Never shown" not in text


def test_report_json_has_value_goal_unit_and_verdict(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path, quick=False)
    assert json.loads((tmp_path / "report.json").read_text()) == {
        "quick": {"value": 1.5, "goal": 2, "unit": "s", "holds": True},
        "full": {"value": 90, "goal": 95, "unit": "%", "holds": False},
    }


def test_plots_are_written_beside_the_report(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path, quick=True)
    assert "![All of it](plots/all.svg)" in (tmp_path / "report.md").read_text()
    assert (tmp_path / "plots" / "all.svg").read_text() == "<svg/>"
    assert "too small" in (tmp_path / "report.md").read_text()
