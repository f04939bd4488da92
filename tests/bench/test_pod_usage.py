from pathlib import Path

from tests.bench.pod_usage import PodUsage, parse_cpu_stat


def test_version_2_of_cgroups_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory.peak").write_text("1048576\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n")
    usage = PodUsage()
    usage.read(tmp_path)
    assert (usage.peak_bytes, usage.cpu_seconds) == (1048576, 1.5)


def test_version_1_of_cgroups_is_read(tmp_path: Path) -> None:
    (tmp_path / "memory.max_usage_in_bytes").write_text("2097152\n")
    (tmp_path / "cpuacct.usage").write_text("250000000\n")
    (tmp_path / "cpu.stat").write_text("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")
    usage = PodUsage()
    usage.read(tmp_path)
    assert (usage.peak_bytes, usage.cpu_seconds) == (2097152, 0.25)


def test_the_highest_values_are_kept_when_the_pod_is_gone(tmp_path: Path) -> None:
    (tmp_path / "memory.peak").write_text("5\n")
    usage = PodUsage()
    usage.read(tmp_path)
    usage.read(tmp_path / "gone")
    assert usage.peak_bytes == 5


def test_cpu_stat_of_version_1_has_no_seconds() -> None:
    assert parse_cpu_stat("nr_periods 7\n") == 0
