"""Which previews a check of their Project looks at more closely."""

from datetime import timedelta

from tests.support.samples import NOW, a_preview

from pgimport.decide.projects import CHECK_INTERVAL
from pgimport.model.names import PREVIEWS
from pgimport.model.resources import ResourceKey
from pgimport.reconcile.preview_checks import PARTS, SHORTEST_INTERVAL, PreviewChecks

ALL = [a_preview(name=f"pr-{number}", uid=f"uid-{number}") for number in range(100)]
NAMES = {item.meta.name for item in ALL}
KEY = ResourceKey(PREVIEWS, "shop", "pr-1")


def test_each_secret_is_read_once_in_less_than_five_minutes() -> None:
    checks = PreviewChecks()
    rounds = [checks.choose_secrets("shop", ALL, NOW + number * CHECK_INTERVAL) for number in range(2 * PARTS)]
    for first in range(PARTS + 1):
        chosen = [item.meta.name for part in rounds[first : first + PARTS] for item in part]
        assert sorted(chosen) == sorted(NAMES)
    assert max(len(part) for part in rounds) < 2 * len(ALL) / PARTS
    assert timedelta(minutes=5) > PARTS * CHECK_INTERVAL


def test_a_project_that_is_reconciled_often_reads_no_more_secrets() -> None:
    checks = PreviewChecks()
    assert checks.choose_secrets("shop", ALL, NOW)
    assert checks.choose_secrets("shop", ALL, NOW + SHORTEST_INTERVAL / 2) == []
    assert checks.choose_secrets("another", ALL, NOW + SHORTEST_INTERVAL / 2)
    assert SHORTEST_INTERVAL < CHECK_INTERVAL


def test_a_clock_that_is_set_back_does_not_stop_the_reads() -> None:
    checks = PreviewChecks()
    checks.choose_secrets("shop", ALL, NOW)
    assert checks.choose_secrets("shop", ALL, NOW - timedelta(hours=1))


def test_a_database_is_read_once_for_each_suspicion() -> None:
    checks = PreviewChecks()
    assert not checks.take_suspect(KEY)
    checks.suspect([KEY])
    assert [checks.take_suspect(KEY) for _ in range(2)] == [True, False]
