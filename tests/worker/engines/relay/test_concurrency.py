"""How many large tables travel at once, on lines of all kinds; no line is there."""

from collections.abc import Callable

import pytest

from pgimport.worker.engines.relay.concurrency import LOOKS, REST, StreamLimit


def run(pace: StreamLimit, rate_of: Callable[[int], float], looks: int, tables: int = 100) -> list[int]:
    """What was allowed after each look, on a line that gives so much to so many streams."""
    allowed = []
    for _ in range(looks):
        at_work = min(pace.allowed, tables)
        pace.look(rate_of(at_work), at_work)
        allowed.append(pace.allowed)
    return allowed


def test_a_line_that_two_streams_fill_gets_no_third_for_long() -> None:
    allowed = run(StreamLimit(8), lambda _: 12e6, 2 * LOOKS + REST // 2)
    assert allowed[LOOKS - 1 : 2 * LOOKS - 1] == [3] * LOOKS  # it is tried
    assert set(allowed[2 * LOOKS - 1 :]) == {2}


def test_a_line_with_room_is_filled_one_by_one() -> None:
    allowed = run(StreamLimit(8), lambda streams: streams * 50e6, 7 * LOOKS)
    assert allowed[::LOOKS] == [2, 3, 4, 5, 6, 7, 8]


def test_it_stops_where_another_one_does_not_help() -> None:
    assert run(StreamLimit(8), lambda streams: min(streams, 4) * 50e6, REST // 2)[-1] == 4


@pytest.mark.parametrize("most", [1, 2])
def test_there_are_never_more_than_the_plan_has(most: int) -> None:
    assert set(run(StreamLimit(most), lambda streams: streams * 50e6, 3 * REST)) == {most}


def test_a_line_that_became_faster_is_tried_again() -> None:
    pace = StreamLimit(4)
    run(pace, lambda _: 12e6, REST // 2)
    assert run(pace, lambda streams: streams * 50e6, 2 * REST)[-1] == 4


def test_rates_of_fewer_tables_than_allowed_tell_nothing() -> None:
    assert set(run(StreamLimit(4), lambda streams: streams * 50e6, 3 * LOOKS, tables=1)) == {2}
