import threading
import time
from collections import Counter

from tests.bench.engines.wait_events import SAMPLE_SECONDS, WaitEvents, WaitSampler
from tests.support.postgres import PostgresServer


def test_the_most_frequent_events_come_first() -> None:
    events = WaitEvents(10, Counter({"running": 15, "IO DataFileRead": 4, "LWLock WALWrite": 1}))
    assert events.in_words(2) == "2.0 active backends on average: running 75 %, IO DataFileRead 20 %"
    assert WaitEvents(3).in_words() == "no backend was active"


def test_the_wait_event_of_a_backend_is_sampled(postgres16: PostgresServer) -> None:
    sampler = WaitSampler(postgres16)
    sampler.start()
    sleeper = threading.Thread(target=postgres16.execute, args=(f"SELECT pg_sleep({8 * SAMPLE_SECONDS})",))
    sleeper.start()
    sleeper.join()
    time.sleep(SAMPLE_SECONDS)
    assert sampler.stop().counts["Timeout PgSleep"] >= 2
