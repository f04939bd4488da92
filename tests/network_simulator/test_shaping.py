import struct

import pytest
from tests.network_simulator.shaping import Lane, Passed, parse_passed, parse_rate, share_of_rate, wire_bytes


def _packet(payload: int, segment: int, options: int = 12) -> bytes:
    """Builds a TCP packet over IPv4 as the kernel passes it: device header, IP header, TCP header, payload."""
    tcp = 20 + options
    ip_head = bytes([0x45]) + bytes(19)
    tcp_head = bytes(12) + bytes([(tcp // 4) << 4]) + bytes(tcp - 13)
    return struct.pack("=BBHHHH", 1, 1, 20 + tcp, segment, 20, 16) + ip_head + tcp_head + bytes(payload)


@pytest.mark.parametrize(
    ("payload", "segment", "on_the_wire"),
    [
        (0, 0, 52),
        (1000, 0, 1052),
        (1448, 1448, 1500),
        (1449, 1448, 1449 + 2 * 52),
        (44 * 1448, 1448, 44 * 1500),
        (44 * 1448 + 1, 1448, 44 * 1500 + 53),
    ],
    ids=["an acknowledgement", "one packet", "one segment", "one byte more", "44 segments", "44 and a byte"],
)
def test_every_segment_has_heads_of_its_own(payload: int, segment: int, on_the_wire: int) -> None:
    assert wire_bytes(_packet(payload, segment)) == on_the_wire


def test_packets_leave_at_the_rate_and_arrive_after_the_delay() -> None:
    lane = Lane(rate=8e6, delay_seconds=0.01, buffer_seconds=0.05)  # a byte in a microsecond
    assert lane.arrival(100.0, 1000) == pytest.approx(100.011)
    assert lane.arrival(100.0, 1000) == pytest.approx(100.012)  # behind the first one
    assert lane.arrival(200.0, 1000) == pytest.approx(200.011)  # an idle line saves nothing up
    assert lane.passed_bytes == 3000


def test_what_the_buffer_does_not_hold_is_dropped() -> None:
    lane = Lane(rate=8 * 2**20, delay_seconds=0.01, buffer_seconds=2**-4)  # 64 kB
    arrivals = [lane.arrival(0.0, 1024) for _ in range(100)]
    assert [place for place, one in enumerate(arrivals) if one is None] == list(range(65, 100))
    assert (lane.passed_bytes, lane.dropped) == (65 * 1024, 35)


def test_a_record_is_read_up_to_its_last_whole_line() -> None:
    record = parse_passed("ready\n10.0000 0 0 0\n10.0500 625000 9000 2\n10.1000 12")
    assert record == [Passed(10.0, 0, 0, 0), Passed(10.05, 625000, 9000, 2)]


@pytest.mark.parametrize(
    ("steps", "share"),
    [
        ([0] * 20 + [1_250_000] * 100 + [0] * 20, 1.0),
        ([0] * 20 + [625_000] * 100, 0.5),
        ([1_250_000] * 50 + [0] * 100 + [1_250_000] * 50, 0.5),
    ],
    ids=["full, between two silences", "half as fast", "with a hole in the middle"],
)
def test_the_line_in_use_is_told_for_the_time_of_the_copy(steps: list[int], share: float) -> None:
    record, passed = [Passed(0.0, 5_000_000, 0, 0)], 5_000_000
    for place, step in enumerate(steps):
        passed += step
        record.append(Passed((place + 1) / 10, passed, 0, 0))
    assert share_of_rate(record, 0.0, 1000.0, 100e6) == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("told", [b"100000000\n", b"1000000000\n100000000\n"], ids=["one", "two at once"])
def test_the_last_rate_holds(told: bytes) -> None:
    assert parse_rate(told) == 100e6
