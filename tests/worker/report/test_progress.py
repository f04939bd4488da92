"""Progress: never backwards, silent when nothing moves, and true about bytes."""

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


class Watched:
    """A meter with a clock in our hand."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.seconds = 0.0
        self.meter = ProgressMeter(Reporter(self.out, lambda: datetime(2026, 1, 1, tzinfo=UTC)), lambda: self.seconds)
        self.meter.plan({1: 1000, 2: 100, 3: 100})

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line)["progress"] for line in self.out.getvalue().splitlines()]


@pytest.mark.parametrize("stages", [RELAY_STAGES, DUMP_STAGES], ids=["relay", "dump"])
def test_a_whole_import_goes_up_to_99(stages: tuple[Stage, ...]) -> None:
    watched = Watched()
    for stage in stages:
        watched.meter.begin(stage, 3)
        for oid in NAMES:
            watched.seconds += 2
            if stage in (Stage.COPY, Stage.DUMP, Stage.ROWS):
                watched.meter.finish(oid)
            else:
                watched.meter.step()
    percents = [line["percent"] for line in watched.lines()]
    assert percents == sorted(percents)
    assert (percents[0], percents[-1]) == (0, 99)
    done = [line["bytesDone"] for line in watched.lines()]
    assert done == sorted(done)
    assert watched.lines()[-1]["bytesDone"] == watched.lines()[-1]["bytesTotal"] == 1200
    assert watched.lines()[-1]["tablesDone"] == 3


def test_a_dump_file_goes_up_with_its_bytes() -> None:
    out, seconds = io.StringIO(), [0.0]
    meter = FileProgressMeter(Reporter(out, lambda: datetime(2026, 1, 1, tzinfo=UTC)), 1000, lambda: seconds[0])
    meter.begin(Stage.ROWS)
    for taken in (0, 250, 500, 1000):
        seconds[0] += 2
        meter.receive(taken)
    meter.begin(Stage.INDEXES)
    lines = [json.loads(line)["progress"] for line in out.getvalue().splitlines()]
    assert [line["percent"] for line in lines] == [2, 20, 38, 74, 74]
    assert [line["bytesDone"] for line in lines] == [0, 250, 500, 1000, 1000]
    assert (lines[2]["bytesPerSecond"], lines[2]["etaSeconds"]) == (83, 6)
    assert "tablesTotal" not in lines[0]


def test_what_does_not_move_prints_nothing() -> None:
    watched = Watched()
    watched.meter.begin(Stage.DUMP)
    for _ in range(5):
        watched.seconds += 10
        watched.meter.report_copied_bytes({1: 300})
    assert len(watched.lines()) == 2


def test_a_table_under_way_counts_as_far_as_it_is_and_never_as_whole() -> None:
    watched = Watched()
    watched.meter.begin(Stage.ROWS)
    watched.seconds += 10
    watched.meter.report_copied_bytes({1: 400})
    watched.seconds += 10
    watched.meter.report_copied_bytes({1: 99999})
    assert [line["bytesDone"] for line in watched.lines()] == [600, 800, 1075]
    assert watched.lines()[-1]["bytesPerSecond"] == 53
    assert watched.lines()[-1]["etaSeconds"] == 2


def test_several_streams_of_both_clients_are_followed() -> None:
    watched = Watched()
    watched.meter.begin(Stage.DUMP)
    ear = PgDumpProgress(watched.meter, NAMES, serial=False)
    for line in ("pg_dump: finished item 7 TABLE DATA small", "pg_dump: finished item 8 TABLE DATA big", "noise"):
        watched.seconds += 2
        ear.read_line(line)
    assert watched.lines()[-1]["bytesDone"] == 550
    watched.meter.begin(Stage.ROWS)
    watched.seconds += 2
    PgRestoreProgress(watched.meter, {7: 2}, NAMES, serial=False).read_line(
        "pg_restore: finished item 7 TABLE DATA small"
    )
    assert watched.lines()[-1]["tablesDone"] == 1


def test_one_stream_tells_only_what_it_begins() -> None:
    watched = Watched()
    watched.meter.begin(Stage.ROWS)
    ear = PgRestoreProgress(watched.meter, {}, NAMES, serial=True)
    for table in ("public.big", "other.small"):
        watched.seconds += 2
        ear.read_line(f'pg_restore: processing data for table "{table}"')
    assert (watched.lines()[-1]["tablesDone"], watched.lines()[-1]["bytesDone"]) == (1, 1100)


def test_a_password_that_looks_like_a_number_breaks_no_line() -> None:
    out = io.StringIO()
    reporter = Reporter(out, lambda: datetime(2026, 1, 1, tzinfo=UTC))
    reporter.hide("1", "true", None, "")
    reporter.log("user 1", tables=1, ok=True, notes=[{"text": "is 1 true"}])
    said = json.loads(out.getvalue())["log"]
    assert (said["message"], said["tables"], said["ok"], said["notes"]) == (
        "user ***",
        1,
        True,
        [{"text": "is *** ***"}],
    )


def test_secrets_are_taken_out_in_every_spelling() -> None:
    text = "p@ss/word p%40ss%2Fword postgresql://u:other@h/d a bad a-b"
    assert redact(text, ["p@ss/word", "a"]) == "*** *** postgresql://***@h/d *** bad ***-b"
