"""The shapes of plots."""

from pgimport.api.page.plots import plot_progress, scale_ages
from pgimport.api.progress_history import ProgressSample

MIB = 1024.0**2


def a_sample(at: float, percent: float, mebibytes: float = 0) -> ProgressSample:
    return ProgressSample(at, percent, mebibytes * MIB)


def test_a_plot_needs_two_times() -> None:
    assert plot_progress([]) is None
    assert plot_progress([a_sample(5, 1)]) is None
    assert plot_progress([a_sample(5, 1), a_sample(5, 2)]) is None


def test_the_rate_is_that_between_two_samples() -> None:
    plot = plot_progress([a_sample(0, 0), a_sample(10, 50, 100), a_sample(20, 100, 120)])
    assert plot is not None
    assert plot.progress_lines == ["0.0,120.0 300.0,60.0 600.0,0.0"]
    assert plot.highest_rate == 10 * MIB
    assert plot.rate_lines == ["0.0,0.0 300.0,0.0 300.0,96.0 600.0,96.0"]


def test_an_attempt_that_begins_again_has_its_own_line() -> None:
    plot = plot_progress([a_sample(0, 0), a_sample(10, 60, 60), a_sample(20, 0), a_sample(30, 30, 30)])
    assert plot is not None
    assert plot.progress_lines == ["0.0,120.0 200.0,48.0", "400.0,120.0 600.0,84.0"]
    assert len(plot.rate_lines) == 2


def test_an_import_without_bytes_has_no_rate() -> None:
    plot = plot_progress([a_sample(0, 0), a_sample(10, 60)])
    assert plot is not None
    assert plot.rate_lines == []


def test_ages_are_compared_with_the_oldest() -> None:
    assert scale_ages([]) == []
    assert scale_ages([None, 50.0, 200.0, -3.0]) == [None, 25.0, 100.0, 0.0]
