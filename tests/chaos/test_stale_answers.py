from tests.chaos.stale_answers import Answer, AnswerHistory


def _remember(history: AnswerHistory, url: str, writes: int) -> None:
    history.remember(url, Answer(writes, 200, f"after {writes} writes".encode()))


def test_the_present_is_not_replaced() -> None:
    history = AnswerHistory()
    _remember(history, "/pods", 0)
    assert history.find("/pods", "/pods") is None
    assert history.stale_reads == 0


def test_old_answers_are_from_before_the_write() -> None:
    history = AnswerHistory()
    for writes in (0, 1, 2, 3):
        _remember(history, "/pods?limit=5", writes)
    history.go_back(2)
    answer = history.find("/pods?limit=5", "/pods")
    assert answer is not None
    assert answer.body == b"after 1 writes"
    assert (history.is_stale, history.stale_reads) == (True, 1)
    history.return_to_present()
    assert history.find("/pods?limit=5", "/pods") is None


def test_an_object_that_was_created_since_is_missing() -> None:
    history = AnswerHistory()
    history.record_created("/jobs/early", 1)
    history.record_created("/jobs/late", 3)
    history.go_back(3)
    answer = history.find("/jobs/late", "/jobs/late")
    assert answer is not None
    assert answer.status == 404
    assert history.find("/jobs/early", "/jobs/early") is None


def test_a_new_cell_begins_with_the_last_answers_before_it() -> None:
    history = AnswerHistory()
    for writes in (7, 8):
        _remember(history, "/pods", writes)
    history.begin()
    history.go_back(1)
    answer = history.find("/pods", "/pods")
    assert answer is not None
    assert answer.body == b"after 8 writes"
