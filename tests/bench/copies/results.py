"""Figures of copies, and the report that is computed from them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

from tests.bench.missed_goals import REASONS
from tests.bench.report import Detail, Measure, Report
from tests.support.markdown import Rows

from pgimport.model.project_status import CloneMethod

IMPORT, CP = "import", "cp"
TITLES = {
    CloneMethod.CLONE.value: "`clone`",
    CloneMethod.FILE_COPY.value: "`FILE_COPY`",
    CloneMethod.WAL_LOG.value: "`WAL_LOG`",
    IMPORT: "import by the worker",
    CP: "`cp` of the same files",
}
GOAL_CLONE_SECONDS, GOAL_CLONE_PERCENT, GOAL_MANY_SECONDS = 2.0, 1.0, 120.0
GOAL_CP, GOAL_NEIGHBOUR = 1.15, 1.5
MANY = 50  # previews, for figures that are computed from fewer copies


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, or several that were made side by side."""

    method: str
    seconds: float  # until the copy can be used
    create_seconds: float  # of CREATE DATABASE alone
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class NeighbourTimes:
    """Seconds of the transactions of another database, before and during copies."""

    quiet: Sequence[float]
    busy: Sequence[float]

    @property
    def ratio(self) -> float:
        return p95(self.busy) / p95(self.quiet)


@dataclass(slots=True, kw_only=True)
class DiskResults:
    """What was measured on one file system."""

    name: str
    title: str
    database_bytes: int = 0
    copies: dict[str, list[Copy]] = field(default_factory=dict)  # by method, one after the other
    many: tuple[int, Copy] | None = None  # number of copies that were made side by side
    neighbours: dict[str, NeighbourTimes] = field(default_factory=dict)  # by method


def p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20)[-1]


def build_report(disks: Sequence[DiskResults], facts: Rows) -> Report:
    """`disks`: XFS first."""
    by_name = {disk.name: disk for disk in disks}
    measures = []
    if (xfs := by_name.get("xfs")) is not None:
        measures += _build_clone_measures(xfs)
    measures += [_build_cp(disks), _build_neighbours(disks)]
    details = [*map(_build_table, disks), _build_neighbour_table(disks)]
    return Report(measures=measures, details=details, facts=facts)


def _measure(name: str, title: str, value: float, goal: float, unit: str, method: str) -> Measure:
    return Measure(
        name=name,
        title=title,
        value=float(f"{value:.3g}"),
        goal=goal,
        unit=unit,
        method=method,
        reason=REASONS.get(name, ""),
    )


def _build_clone_measures(disk: DiskResults) -> list[Measure]:
    assert disk.many is not None
    clones, (count, many) = disk.copies[CloneMethod.CLONE.value], disk.many
    side_by_side = f"{count} copies of one Project were begun at the same time. The operator makes three side by side."
    return [
        _measure(
            "copies_clone_seconds",
            f"One copy by `clone` on {disk.title}",
            max(copy.seconds for copy in clones),
            GOAL_CLONE_SECONDS,
            "s",
            f"The slowest of {len(clones)} copies, one after the other, until the owner of the copy may log in.",
        ),
        _measure(
            "copies_clone_disk_percent",
            f"Disk of a copy by `clone` on {disk.title}, of the database's size",
            100 * many.disk_bytes / (count * disk.database_bytes),
            GOAL_CLONE_PERCENT,
            "%",
            f"{side_by_side} The figure is what they all take together, without write-ahead log.",
        ),
        _measure(
            "copies_fifty_clones_seconds",
            f"{count} copies by `clone` on {disk.title}",
            many.seconds,
            GOAL_MANY_SECONDS,
            "s",
            f"{side_by_side} The time ends when the last one is complete.",
        ),
    ]


def _build_cp(disks: Sequence[DiskResults]) -> Measure:
    ratios = {disk.title: _compare_with_cp(disk) for disk in disks}
    shown = ", ".join(f"{ratio:.2f} × on {title}" for title, ratio in ratios.items())
    return _measure(
        "copies_file_copy_against_cp",
        "Seconds of `FILE_COPY` against `cp` of the same files",
        max(ratios.values()),
        GOAL_CP,
        "×",
        f"{shown}. In turns: CREATE DATABASE, and `cp --reflink=never` with `sync` of each file. The figure is the"
        " larger of the medians of the ratios.",
    )


def _compare_with_cp(disk: DiskResults) -> float:
    pairs = zip(disk.copies[CloneMethod.FILE_COPY.value], disk.copies[CP], strict=True)
    return median(copy.create_seconds / cp.seconds for copy, cp in pairs)


def _build_neighbours(disks: Sequence[DiskResults]) -> Measure:
    chosen = {CloneMethod.CLONE.value if disk.name == "xfs" else CloneMethod.FILE_COPY.value: disk for disk in disks}
    ratios = {method: disk.neighbours[method].ratio for method, disk in chosen.items()}
    shown = ", ".join(f"{ratio:.2f} × during {TITLES[name]} on {chosen[name].title}" for name, ratio in ratios.items())
    return _measure(
        "copies_neighbour_p95_ratio",
        "95th percentile of another database's transactions during copies, against before",
        max(ratios.values()),
        GOAL_NEIGHBOUR,
        "×",
        f"{shown}. Two sessions change one row and read another, with a pause of 20 ms. The figure is the larger"
        " one. On ext4, the operator uses `FILE_COPY` on PostgreSQL 15 to 17, and `clone` from 18 on.",
    )


def _build_table(disk: DiskResults) -> Detail:
    rows: Rows = [("method", "copies", "s, median", "min", "max", "MB each", f"{MANY} copies: s", f"{MANY} copies: MB")]
    for method, copies in disk.copies.items():
        if method != CP:
            rows.append(_build_row(TITLES[method], copies))
    if (cps := disk.copies.get(CP)) is not None:
        rows.append((TITLES[CP], *_format_seconds(cps), "", "", ""))
    if disk.many is not None:
        count, many = disk.many
        name = f"{TITLES[many.method]}, side by side"
        rows.append((name, f"{count}", "", "", "", f"{many.disk_bytes / count / 1e6:.1f}", *_scale(many, count)))
    return Detail(
        title=f"Copies on {disk.title}",
        text=f"The database has {disk.database_bytes / 1e6:.0f} MB. Copies are made one after the other, and dropped,"
        f" unless the row says otherwise. Figures with ≈ are scaled from fewer copies to {MANY}.",
        rows=rows,
    )


def _build_row(title: str, copies: Sequence[Copy]) -> tuple[str, ...]:
    count = len(copies)
    disk = median(copy.disk_bytes for copy in copies)  # XFS frees what it has allocated in advance minutes later
    total = Copy(copies[0].method, sum(copy.seconds for copy in copies), 0, round(disk * count))
    return (title, *_format_seconds(copies), f"{disk / 1e6:.1f}", *_scale(total, count))


def _format_seconds(copies: Sequence[Copy]) -> tuple[str, str, str, str]:
    seconds = [copy.seconds for copy in copies]
    return f"{len(copies)}", f"{median(seconds):.2f}", f"{min(seconds):.2f}", f"{max(seconds):.2f}"


def _scale(total: Copy, count: int) -> tuple[str, str]:
    mark = "" if count == MANY else "≈ "
    return f"{mark}{total.seconds * MANY / count:.0f}", f"{mark}{total.disk_bytes * MANY / count / 1e6:.0f}"


def _build_neighbour_table(disks: Sequence[DiskResults]) -> Detail:
    rows: Rows = [("file system", "during", "before: p95, ms", "during: p95, ms", "during: max, ms", "ratio")]
    rows += [
        (
            disk.title,
            TITLES.get(method, method),
            f"{1000 * p95(times.quiet):.1f}",
            f"{1000 * p95(times.busy):.1f}",
            f"{1000 * max(times.busy):.0f}",
            f"{times.ratio:.2f} ×",
        )
        for disk in disks
        for method, times in disk.neighbours.items()
    ]
    return Detail(
        title="Transactions of another database on the same server",
        text="`FILE_COPY` and `clone` force two checkpoints for each copy. `WAL_LOG` writes the whole copy into the"
        " write-ahead log instead.",
        rows=rows,
    )
