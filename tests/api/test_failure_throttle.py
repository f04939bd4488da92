"""The throttle of failed authentication attempts."""

from pgimport.api.failure_throttle import MAX_ADDRESSES, MAX_FAILURES, REFILL_SECONDS, FailureThrottle


def test_an_address_that_fails_too_often_must_wait() -> None:
    throttle = FailureThrottle()
    for _ in range(MAX_FAILURES):
        assert throttle.check("192.0.2.1", 0) is None
        throttle.fail("192.0.2.1", 0)
    assert throttle.check("192.0.2.1", 0) == REFILL_SECONDS
    assert throttle.check("192.0.2.2", 0) is None
    assert throttle.check("192.0.2.1", REFILL_SECONDS) is None
    assert throttle.check("192.0.2.1", REFILL_SECONDS - 1) is not None


def test_an_ipv6_network_shares_its_failures() -> None:
    throttle = FailureThrottle()
    for host in range(MAX_FAILURES):
        throttle.fail(f"2001:db8::{host:x}", 0)
    assert throttle.check("2001:db8::ffff:1", 0) is not None
    assert throttle.check("2001:db8:0:1::1", 0) is None
    for _ in range(MAX_FAILURES):
        throttle.fail("::ffff:192.0.2.9", 0)
    assert throttle.check("192.0.2.9", 0) is not None


def test_the_number_of_addresses_in_memory_is_limited() -> None:
    throttle = FailureThrottle()
    for number in range(MAX_ADDRESSES + 100):
        throttle.fail(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0)
    assert len(throttle._buckets) == MAX_ADDRESSES
