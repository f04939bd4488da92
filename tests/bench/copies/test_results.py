from tests.bench.copies.results import CP, IMPORT, Copy, DiskResults, NeighbourTimes, build_report, p95
from tests.bench.report import Measure

from pgimport.model.project_status import CloneMethod

SIZE = 1_000_000_000
CLONE, FILE_COPY, WAL_LOG = (method.value for method in (CloneMethod.CLONE, CloneMethod.FILE_COPY, CloneMethod.WAL_LOG))


def _build_disk(name: str, *, cp_seconds: float = 10.0, busy: float = 0.01) -> DiskResults:
    return DiskResults(
        name=name,
        title=name.upper(),
        database_bytes=SIZE,
        copies={
            IMPORT: [Copy(IMPORT, 40, 40, SIZE)] * 5,
            CLONE: [Copy(CLONE, 1, 0.5, 1_000_000), Copy(CLONE, 1.5, 1, 1_000_000)],
            FILE_COPY: [Copy(FILE_COPY, 12, 11, SIZE)] * 2,
            CP: [Copy(CP, cp_seconds, cp_seconds, 0)] * 2,
            WAL_LOG: [Copy(WAL_LOG, 30, 29, SIZE)] * 2,
        },
        many=(50, Copy(CLONE, 60, 60, 50 * 2_000_000)) if name == "xfs" else None,
        neighbours={
            method: NeighbourTimes([0.01] * 10, [busy] * 10 if method == FILE_COPY else [0.012] * 10)
            for method in (CLONE, FILE_COPY, WAL_LOG)
        },
    )


def _measure(*disks: DiskResults) -> dict[str, Measure]:
    return {measure.name: measure for measure in build_report(disks, []).measures}


def test_the_figures_of_the_goals_are_the_worst_ones() -> None:
    measures = _measure(_build_disk("xfs"), _build_disk("ext4", cp_seconds=8))
    values = {name: measure.value for name, measure in measures.items()}
    assert values == {
        "copies_clone_seconds": 1.5,
        "copies_clone_disk_percent": 0.2,
        "copies_fifty_clones_seconds": 60,
        "copies_file_copy_against_cp": 1.38,
        "copies_neighbour_p95_ratio": 1.2,
    }
    assert not measures["copies_file_copy_against_cp"].holds


def test_neighbours_count_during_the_method_that_suits_the_file_system() -> None:
    """`FILE_COPY` on XFS is in the table only: the operator uses `clone` there."""
    slow_where_it_is_not_used = _measure(_build_disk("xfs", busy=0.1), _build_disk("ext4"))
    assert slow_where_it_is_not_used["copies_neighbour_p95_ratio"].value == 1.2
    slow_where_it_is_used = _measure(_build_disk("xfs"), _build_disk("ext4", busy=0.1))
    assert slow_where_it_is_used["copies_neighbour_p95_ratio"].value == 10


def test_figures_for_fifty_copies_are_marked_if_they_are_scaled() -> None:
    xfs, _, _ = build_report((_build_disk("xfs"), _build_disk("ext4")), []).details
    assert ("import by the worker", "5", "40.00", "40.00", "40.00", "1000.0", "≈ 2000", "≈ 50000") in xfs.rows
    assert ("`clone`, side by side", "50", "", "", "", "2.0", "60", "100") in xfs.rows
    assert len({len(row) for row in xfs.rows}) == 1


def test_the_95th_percentile_leaves_out_a_single_slow_transaction() -> None:
    assert p95([1.0] * 99 + [50.0]) == 1.0
