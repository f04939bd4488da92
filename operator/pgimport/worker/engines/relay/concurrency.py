"""Limits how many large tables are copied at the same time.

Once the network is saturated, more streams do not make the copy faster. They only make all large tables finish late, so
that no index of a large table can be built during the copy.
"""

INITIAL_STREAMS = 2  # one stream reads while the other one starts a step or waits for the target
MIN_GAIN = 1.1  # factor by which another stream must raise the rate; less may be noise
SAMPLE_SECONDS = 0.5
SAMPLES_PER_LIMIT = 6  # taken with one limit before the limit changes
COUNTED_SAMPLES = 3  # number of last samples whose mean is used; earlier ones include the opening of connections
RETRY_SAMPLES = 60  # taken before one more stream is tried again, because the network's speed may have changed


class StreamLimit:
    """Starts with two streams, and allows one more as long as the last one raised the rate."""

    def __init__(self, max_streams: int) -> None:
        self.current = min(INITIAL_STREAMS, max_streams)
        self._max_streams = max_streams
        self._previous_rate = 0.0  # bytes per second with one stream less
        self._rates: list[float] = []
        self._samples_to_retry = 0

    def add_sample(self, rate: float, running: int) -> None:
        """Adjusts the limit. `rate`: bytes per second since the last sample. `running`: large steps under way."""
        if self._samples_to_retry > 0:
            self._samples_to_retry -= 1
            self._rates = [*self._rates[-SAMPLES_PER_LIMIT:], rate]
            if self._samples_to_retry == 0:
                self._raise_limit()
            return
        if running < self.current:
            self._rates = []  # these rates do not belong to the current limit
            return
        self._rates.append(rate)
        if len(self._rates) < SAMPLES_PER_LIMIT:
            return
        if self._mean_rate() >= MIN_GAIN * self._previous_rate:
            self._raise_limit()
        else:
            self.current -= 1
            self._samples_to_retry = RETRY_SAMPLES

    def _raise_limit(self) -> None:
        self._previous_rate = self._mean_rate()
        self._rates = []
        if self.current < self._max_streams:
            self.current += 1
        else:
            self._samples_to_retry = RETRY_SAMPLES

    def _mean_rate(self) -> float:
        rates = self._rates[-COUNTED_SAMPLES:]
        return sum(rates) / max(len(rates), 1)
