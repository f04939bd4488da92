"""How many large tables travel at once: how fast rows come is told now and then; a number goes out.

More streams than a line has room for bring nothing sooner, and all large tables to their end together: no index is
then made beside the copy, and the last ones begin when all rows are in.
"""

INITIAL_STREAMS = 2  # one reads while the other writes its end, or begins
MIN_GAIN = 1.1  # times the rate before: less is no gain, but chance
SAMPLE_SECONDS = 0.5
SAMPLES_PER_LIMIT = 6  # at one number of streams
COUNTED_SAMPLES = 3  # of them, which count: before, connections are opened and find their pace
RETRY_SAMPLES = 60  # looks after which another stream is tried once more: a line changes


class StreamLimit:
    """Begins with two, and adds another one as long as the last one made the rows come faster."""

    def __init__(self, most: int) -> None:
        self.current = min(INITIAL_STREAMS, most)
        self._most = most
        self._before = 0.0  # bytes a second, with one stream less
        self._rates: list[float] = []
        self._resting = 0

    def add_sample(self, rate: float, at_work: int) -> None:
        """Bytes a second since the last look, and how many large tables are on their way."""
        if self._resting > 0:
            self._resting -= 1
            self._rates = [*self._rates[-SAMPLES_PER_LIMIT:], rate]
            if self._resting == 0:
                self._add()
            return
        if at_work < self.current:
            self._rates = []  # it tells nothing of this number
            return
        self._rates.append(rate)
        if len(self._rates) < SAMPLES_PER_LIMIT:
            return
        if self._mean() >= MIN_GAIN * self._before:
            self._add()
        else:
            self.current -= 1
            self._resting = RETRY_SAMPLES

    def _add(self) -> None:
        self._before = self._mean()
        self._rates = []
        if self.current < self._most:
            self.current += 1
        else:
            self._resting = RETRY_SAMPLES

    def _mean(self) -> float:
        told = self._rates[-COUNTED_SAMPLES:]
        return sum(told) / max(len(told), 1)
