"""What the API remembers of the progress of running imports."""

from datetime import UTC, datetime
from typing import Any

from pgimport.api.progress_history import MAX_IMPORTS, MAX_SAMPLES, ProgressHistory
from pgimport.model.names import IMPORTS, PREVIEWS


def a_running_import(uid: str = "u", at: float = 0, **status: Any) -> dict[str, Any]:
    progress = {"phase": "data", "percent": 5, "bytesDone": 7, "saidAt": datetime.fromtimestamp(at, UTC).isoformat()}
    return {"metadata": {"uid": uid}, "status": {"state": "running", "progress": progress, **status}}


def test_only_running_imports_are_remembered() -> None:
    history = ProgressHistory()
    history.observe(PREVIEWS, a_running_import())
    history.observe(IMPORTS, a_running_import(state="completed"))
    history.observe(IMPORTS, a_running_import(progress=None))
    history.observe(IMPORTS, {"metadata": {"uid": "u"}})
    assert history.list_samples("u") == []
    history.observe(IMPORTS, a_running_import())
    assert [(sample.percent, sample.bytes_done) for sample in history.list_samples("u")] == [(5, 7)]


def test_a_sample_has_the_time_of_the_worker() -> None:
    history = ProgressHistory()
    for at in (
        1.5,
        1.5,
        6.25,
        6.0,
    ):  # the same report again, as other parts of the status change; a clock that is behind
        history.observe(IMPORTS, a_running_import(at=at))
    for progress in ({"percent": 5}, {"percent": 5, "saidAt": "soon"}):
        history.observe(IMPORTS, a_running_import(progress=progress))
    assert [sample.at for sample in history.list_samples("u")] == [1.5, 6.25]


def test_a_long_import_keeps_its_begin_and_its_end() -> None:
    history = ProgressHistory()
    for second in range(10 * MAX_SAMPLES):
        history.observe(IMPORTS, a_running_import(at=second))
        times = [sample.at for sample in history.list_samples("u")]
        assert len(times) <= MAX_SAMPLES
    assert (times[0], times[-1]) == (0, 10 * MAX_SAMPLES - 1)
    assert times == sorted(times)


def test_the_imports_that_changed_last_are_remembered() -> None:
    history = ProgressHistory()
    for number in range(MAX_IMPORTS + 1):
        history.observe(IMPORTS, a_running_import(uid=f"{number}"))
        history.observe(IMPORTS, a_running_import(uid="0", at=number))
    assert history.list_samples("0")
    assert not history.list_samples("1")
    assert history.list_samples("2")
