import threading
import time
from collections import Counter

from tests.bench.engines.wait_events import LOOK_SECONDS, Waits, Watch
from tests.support.postgres import PostgresServer


def test_the_commonest_are_told_first() -> None:
    waits = Waits(10, Counter({"running": 15, "IO DataFileRead": 4, "LWLock WALWrite": 1}))
    assert waits.in_words(2) == "2.0 backends at work on average: running 75 %, IO DataFileRead 20 %"
    assert Waits(3).in_words() == "no backend was at work"


def test_what_a_backend_waits_for_is_seen(postgres16: PostgresServer) -> None:
    watch = Watch(postgres16)
    watch.start()
    asleep = threading.Thread(target=postgres16.execute, args=(f"SELECT pg_sleep({8 * LOOK_SECONDS})",))
    asleep.start()
    asleep.join()
    time.sleep(LOOK_SECONDS)
    assert watch.stop().seen["Timeout PgSleep"] >= 2
