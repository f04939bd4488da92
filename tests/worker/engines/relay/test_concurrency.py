"""How many large tables travel at once, on lines of all kinds; no line is there."""

from collections.abc import Callable

import pytest

from pgimport.worker.engines.relay.concurrency import RETRY_SAMPLES, SAMPLES_PER_LIMIT, StreamLimit


def run(pace: StreamLimit, rate_of: Callable[[int], float], looks: int, tables: int = 100) -> list[int]:
    """What was allowed after each look, on a line that gives so much to so many streams."""
    allowed = []
    for _ in range(looks):
        at_work = min(pace.current, tables)
        pace.add_sample(rate_of(at_work), at_work)
        allowed.append(pace.current)
    return allowed


def test_a_line_that_two_streams_fill_gets_no_third_for_long() -> None:
    allowed = run(StreamLimit(8), lambda _: 12e6, 2 * SAMPLES_PER_LIMIT + RETRY_SAMPLES // 2)
    assert allowed[SAMPLES_PER_LIMIT - 1 : 2 * SAMPLES_PER_LIMIT - 1] == [3] * SAMPLES_PER_LIMIT  # it is tried
    assert set(allowed[2 * SAMPLES_PER_LIMIT - 1 :]) == {2}


def test_a_line_with_room_is_filled_one_by_one() -> None:
    allowed = run(StreamLimit(8), lambda streams: streams * 50e6, 7 * SAMPLES_PER_LIMIT)
    assert allowed[::SAMPLES_PER_LIMIT] == [2, 3, 4, 5, 6, 7, 8]


def test_it_stops_where_another_one_does_not_help() -> None:
    assert run(StreamLimit(8), lambda streams: min(streams, 4) * 50e6, RETRY_SAMPLES // 2)[-1] == 4


@pytest.mark.parametrize("most", [1, 2])
def test_there_are_never_more_than_the_plan_has(most: int) -> None:
    assert set(run(StreamLimit(most), lambda streams: streams * 50e6, 3 * RETRY_SAMPLES)) == {most}


def test_a_line_that_became_faster_is_tried_again() -> None:
    pace = StreamLimit(4)
    run(pace, lambda _: 12e6, RETRY_SAMPLES // 2)
    assert run(pace, lambda streams: streams * 50e6, 2 * RETRY_SAMPLES)[-1] == 4


def test_rates_of_fewer_tables_than_allowed_tell_nothing() -> None:
    assert set(run(StreamLimit(4), lambda streams: streams * 50e6, 3 * SAMPLES_PER_LIMIT, tables=1)) == {2}
