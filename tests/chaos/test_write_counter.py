import pytest
from tests.chaos.write_counter import ConnectionCut, Side, WriteCounter, WritePoint


def _write(counter: WriteCounter, name: str) -> None:
    counter.after_write(counter.before_write(name), name)


def test_writes_are_counted_between_begin_and_end() -> None:
    counter = WriteCounter()
    _write(counter, "before the cell")
    counter.begin()
    _write(counter, "CREATE DATABASE")
    _write(counter, "PATCH postgresimports/status")
    assert counter.end() == ["CREATE DATABASE", "PATCH postgresimports/status"]
    _write(counter, "after the cell")
    assert counter.count == 2


@pytest.mark.parametrize("side", Side)
def test_the_fault_comes_once_at_the_chosen_write(side: Side) -> None:
    counter, actions = WriteCounter(), list[int]()
    counter.begin(WritePoint(2, side), lambda: actions.append(len(counter.writes)))
    _write(counter, "first")
    with pytest.raises(ConnectionCut):
        _write(counter, "second")
    _write(counter, "second")
    assert (counter.struck_write, actions, counter.writes) == ("second", [2], ["first", "second"])


def test_a_fault_may_leave_the_connection_open() -> None:
    counter, actions = WriteCounter(), list[str]()
    counter.begin(WritePoint(1, Side.BEFORE), lambda: actions.append("pod deleted"), cuts=False)
    _write(counter, "first")
    assert (counter.struck_write, actions) == ("first", ["pod deleted"])
