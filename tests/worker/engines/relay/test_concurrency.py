"""Limit of streams, for networks of different speed. Rates are computed, not measured."""

from collections.abc import Callable

import pytest

from pgimport.worker.engines.relay.concurrency import RETRY_SAMPLES, SAMPLES_PER_LIMIT, StreamLimit


def add_samples(
    limit: StreamLimit, rate_of: Callable[[int], float], sample_count: int, large_steps: int = 100
) -> list[int]:
    """Returns the limit after each sample. `rate_of`: bytes per second that so many streams reach together."""
    limits = []
    for _ in range(sample_count):
        running = min(limit.current, large_steps)
        limit.add_sample(rate_of(running), running)
        limits.append(limit.current)
    return limits


def test_a_third_stream_ends_if_two_fill_the_network() -> None:
    limits = add_samples(StreamLimit(8), lambda _: 12e6, 2 * SAMPLES_PER_LIMIT + RETRY_SAMPLES // 2)
    assert limits[SAMPLES_PER_LIMIT - 1 : 2 * SAMPLES_PER_LIMIT - 1] == [3] * SAMPLES_PER_LIMIT
    assert set(limits[2 * SAMPLES_PER_LIMIT - 1 :]) == {2}


def test_streams_are_added_one_by_one_while_the_rate_grows() -> None:
    limits = add_samples(StreamLimit(8), lambda streams: streams * 50e6, 7 * SAMPLES_PER_LIMIT)
    assert limits[::SAMPLES_PER_LIMIT] == [2, 3, 4, 5, 6, 7, 8]


def test_no_stream_is_added_once_the_rate_stops_growing() -> None:
    assert add_samples(StreamLimit(8), lambda streams: min(streams, 4) * 50e6, RETRY_SAMPLES // 2)[-1] == 4


@pytest.mark.parametrize("max_streams", [1, 2])
def test_the_limit_never_exceeds_the_streams_of_the_plan(max_streams: int) -> None:
    assert set(add_samples(StreamLimit(max_streams), lambda streams: streams * 50e6, 3 * RETRY_SAMPLES)) == {
        max_streams
    }


def test_another_stream_is_tried_again_after_a_while() -> None:
    limit = StreamLimit(4)
    add_samples(limit, lambda _: 12e6, RETRY_SAMPLES // 2)
    assert add_samples(limit, lambda streams: streams * 50e6, 2 * RETRY_SAMPLES)[-1] == 4


def test_rates_of_fewer_streams_than_the_limit_are_ignored() -> None:
    assert set(add_samples(StreamLimit(4), lambda streams: streams * 50e6, 3 * SAMPLES_PER_LIMIT, large_steps=1)) == {2}
