"""What the API remembers of the progress of running imports."""

from itertools import count
from typing import Any

from pgimport.api.progress_history import MAX_IMPORTS, MAX_SAMPLES, ProgressHistory
from pgimport.model.names import IMPORTS, PREVIEWS


def a_running_import(uid: str = "u", **status: Any) -> dict[str, Any]:
    progress = {"phase": "data", "percent": 5, "bytesDone": 7}
    return {"metadata": {"uid": uid}, "status": {"state": "running", "progress": progress, **status}}


def a_history() -> ProgressHistory:
    times = count()
    return ProgressHistory(lambda: float(next(times)))


def test_only_running_imports_are_remembered() -> None:
    history = a_history()
    history.observe(PREVIEWS, a_running_import())
    history.observe(IMPORTS, a_running_import(state="completed"))
    history.observe(IMPORTS, a_running_import(progress=None))
    history.observe(IMPORTS, {"metadata": {"uid": "u"}})
    assert history.list_samples("u") == []
    history.observe(IMPORTS, a_running_import())
    assert [(sample.percent, sample.bytes_done) for sample in history.list_samples("u")] == [(5, 7)]


def test_a_long_import_keeps_its_begin_and_its_end() -> None:
    history = a_history()
    for _ in range(10 * MAX_SAMPLES):
        history.observe(IMPORTS, a_running_import())
        times = [sample.at for sample in history.list_samples("u")]
        assert len(times) <= MAX_SAMPLES
    assert (times[0], times[-1]) == (0, 10 * MAX_SAMPLES - 1)
    assert times == sorted(times)


def test_the_imports_that_changed_last_are_remembered() -> None:
    history = a_history()
    for number in range(MAX_IMPORTS + 1):
        history.observe(IMPORTS, a_running_import(uid=f"{number}"))
        history.observe(IMPORTS, a_running_import(uid="0"))
    assert history.list_samples("0")
    assert not history.list_samples("1")
    assert history.list_samples("2")
