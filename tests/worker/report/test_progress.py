"""Progress never goes backwards, prints nothing while nothing changes, and counts bytes correctly."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from pgimport.worker.engines.client_progress import PgDumpProgress, PgRestoreProgress
from pgimport.worker.report.progress_meter import FileProgressMeter, ProgressMeter, Stage
from pgimport.worker.report.reporter import Reporter, redact

NAMES = {1: ("public", "big"), 2: ("public", "small"), 3: ("other", "small")}

RELAY_STAGES = (Stage.SNAPSHOT, Stage.SCHEMA, Stage.COPY, Stage.INDEXES, Stage.ANALYZE, Stage.VERIFY)
DUMP_STAGES = (
    Stage.SNAPSHOT,
    Stage.DUMP,
    Stage.STRUCTURE,
    Stage.ROWS,
    Stage.INDEXES,
    Stage.ANALYZE,
    Stage.VERIFY,
)


class MeterWithClock:
    """A progress meter with a clock that the test sets."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.seconds = 0.0
        self.meter = ProgressMeter(Reporter(self.out, lambda: datetime(2026, 1, 1, tzinfo=UTC)), lambda: self.seconds)
        self.meter.plan({1: 1000, 2: 100, 3: 100})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line)["progress"] for line in self.out.getvalue().splitlines()]


@pytest.mark.parametrize("stages", [RELAY_STAGES, DUMP_STAGES], ids=["relay", "dump"])
def test_progress_rises_to_99_percent(stages: tuple[Stage, ...]) -> None:
    clocked_meter = MeterWithClock()
    for stage in stages:
        clocked_meter.meter.begin(stage, 3)
        for oid in NAMES:
            clocked_meter.seconds += 2
            if stage in (Stage.COPY, Stage.DUMP, Stage.ROWS):
                clocked_meter.meter.finish(oid)
            else:
                clocked_meter.meter.step()
    percents = [line["percent"] for line in clocked_meter.lines()]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 99)
    done = [line["bytesDone"] for line in clocked_meter.lines()]
    assert done == sorted(done)
    assert clocked_meter.lines()[-1]["bytesDone"] == clocked_meter.lines()[-1]["bytesTotal"] == 1200
    assert clocked_meter.lines()[-1]["tablesDone"] == 3


def test_the_progress_of_a_dump_file_follows_its_bytes() -> None:
    out, seconds = io.StringIO(), [0.0]
    meter = FileProgressMeter(Reporter(out, lambda: datetime(2026, 1, 1, tzinfo=UTC)), 1000, lambda: seconds[0])
    meter.begin(Stage.ROWS)
    for received_bytes in (0, 250, 500, 1000):
        seconds[0] += 2
        meter.receive(received_bytes)
    meter.begin(Stage.INDEXES)
    lines = [json.loads(line)["progress"] for line in out.getvalue().splitlines()]
    assert [line["percent"] for line in lines] == [2, 20, 38, 74, 74]
    assert [line["bytesDone"] for line in lines] == [0, 250, 500, 1000, 1000]
    assert (lines[2]["bytesPerSecond"], lines[2]["etaSeconds"]) == (83, 6)
    assert "tablesTotal" not in lines[0]


def test_unchanged_progress_is_not_printed() -> None:
    clocked_meter = MeterWithClock()
    clocked_meter.meter.begin(Stage.DUMP)
    for _ in range(5):
        clocked_meter.seconds += 10
        clocked_meter.meter.report_copied_bytes({1: 300})
    assert len(clocked_meter.lines()) == 2


def test_a_running_table_counts_with_its_copied_bytes_but_never_as_finished() -> None:
    clocked_meter = MeterWithClock()
    clocked_meter.meter.begin(Stage.ROWS)
    clocked_meter.seconds += 10
    clocked_meter.meter.report_copied_bytes({1: 400})
    clocked_meter.seconds += 10
    clocked_meter.meter.report_copied_bytes({1: 99999})
    assert [line["bytesDone"] for line in clocked_meter.lines()] == [600, 800, 1075]
    assert clocked_meter.lines()[-1]["bytesPerSecond"] == 53
    assert clocked_meter.lines()[-1]["etaSeconds"] == 2


def test_parallel_streams_are_followed() -> None:
    clocked_meter = MeterWithClock()
    clocked_meter.meter.begin(Stage.DUMP)
    progress = PgDumpProgress(clocked_meter.meter, NAMES, serial=False)
    for line in ("pg_dump: finished item 7 TABLE DATA small", "pg_dump: finished item 8 TABLE DATA big", "noise"):
        clocked_meter.seconds += 2
        progress.read_line(line)
    assert clocked_meter.lines()[-1]["bytesDone"] == 550
    clocked_meter.meter.begin(Stage.ROWS)
    clocked_meter.seconds += 2
    PgRestoreProgress(clocked_meter.meter, {7: 2}, NAMES, serial=False).read_line(
        "pg_restore: finished item 7 TABLE DATA small"
    )
    assert clocked_meter.lines()[-1]["tablesDone"] == 1


def test_a_single_stream_reports_the_start_of_each_table() -> None:
    clocked_meter = MeterWithClock()
    clocked_meter.meter.begin(Stage.ROWS)
    progress = PgRestoreProgress(clocked_meter.meter, {}, NAMES, serial=True)
    for table in ("public.big", "other.small"):
        clocked_meter.seconds += 2
        progress.read_line(f'pg_restore: processing data for table "{table}"')
    assert (clocked_meter.lines()[-1]["tablesDone"], clocked_meter.lines()[-1]["bytesDone"]) == (1, 1100)


def test_a_password_that_looks_like_a_number_keeps_lines_valid() -> None:
    out = io.StringIO()
    reporter = Reporter(out, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    reporter.hide("1", "true", None, "")
    reporter.log("user 1", tables=1, ok=True, notes=[{"text": "is 1 true"}])
    entry = json.loads(out.getvalue())["log"]
    assert (entry["message"], entry["tables"], entry["ok"], entry["notes"]) == (
        "user ***",
        1,
        True,
        [{"text": "is *** ***"}],
    )


def test_secrets_are_redacted_in_every_spelling() -> None:
    text = "p@ss/word p%40ss%2Fword postgresql://u:other@h/d a bad a-b"
    assert redact(text, ["p@ss/word", "a"]) == "*** *** postgresql://***@h/d *** bad ***-b"
