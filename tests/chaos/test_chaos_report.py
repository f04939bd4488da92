from pathlib import Path

from tests.chaos.cell_result import CellResult, PlayedCell
from tests.chaos.report import FOLDER, Report, format_report, read_report, write_report

KEPT = CellResult("worker killed", "data", True, 15.04, "completed", "new")
BROKEN = CellResult("operator killed", "swap", False, 4.0, "failed, Stalled", "new", "failed | but the target is new")
REPORT = Report(
    machine=[("Machine", "small")],
    writes=58,
    planned=3,
    cells=[PlayedCell("matrix", "a: data", "1234567", KEPT), PlayedCell("matrix", "b: swap", "1234567", BROKEN)],
    written_at="2026-01-01T00:00:00+00:00",
)


def test_a_broken_promise_is_reported_with_its_problem() -> None:
    text = format_report(REPORT)
    assert "| operator killed | swap | failed, Stalled | new | 4.0 | **no**: failed / but the target is new |" in text
    assert "| worker killed | data | completed | new | 15.0 | yes |" in text
    assert "Not all cells were played: 2 of 3." in text


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_report(REPORT, tmp_path)
    report = read_report(tmp_path)
    assert format_report(report) == (tmp_path / "report.md").read_text() == format_report(REPORT)
    assert [played.key for played in report.cells] == [("matrix", "a: data"), ("matrix", "b: swap")]


def test_without_a_report_there_are_no_cells(tmp_path: Path) -> None:
    assert list(read_report(tmp_path).cells) == []


def test_the_committed_report_can_be_written_again_from_its_figures() -> None:
    assert format_report(read_report()) == (FOLDER / "report.md").read_text(encoding="utf-8")
