"""Explains goals that were missed, by the name of the measure. The report shows the text only if the goal is missed."""

REASONS: dict[str, str] = {
    "api_import_rate_ratio": """\
Missed once, with 0.49, on 2026-11-26. This measure ran right after the one with 200 imports. The API was slower from
the first round on, and the API server was not. Measured alone on the same machine, the ratio was 0.73; in the
previous full run it was 0.66.""",
    "engine_big_against_directory": """\
On two processors this goal is nearly the time of the two floors together (above), which copy rows and create indexes
and do nothing else. A profile of 2026-11-26 shows both processors busy (97 %) from the second second to the last but
two. Of 50 CPU seconds, COPY and the indexes take 36 at the target, the source takes 6.5 and pgimport 4. The dump
takes 54, 7 of them in its clients, and sometimes waits for the disk. Rows and indexes run side by side already, so
only the server's own work is left. These changes gained nothing: foreign keys beside other indexes, more memory for
an index, parallel workers for an index only if a processor is free, tables split by `ctid`.""",
    "operator_start_seconds": """\
Missed on 2026-11-30. The process starts in a second, and lists 170 MB of imports in five more: the API server encodes
them while the operator reads the page before. Then 500 statuses are written, each after five reads, at 70 a second.
Both processors are busy, mostly with the API server, which runs on this machine too. Before ready previews came later
and pages were read ahead, it was 14.8 s.""",
    "copies_file_copy_against_cp": """\
Missed on 2026-11-30. A run half an hour earlier on the same machine, with five samples, gave 0.94 on XFS and 0.67 on
ext4: the speed of this machine's disk varies more than the two methods differ. CREATE DATABASE forces two checkpoints,
which `cp` does not. pgimport adds nothing to this time, which ends with CREATE DATABASE.""",
    "copies_neighbour_p95_ratio": """\
Missed on 2026-11-30. CREATE DATABASE forces two checkpoints and writes each file of the copy to the disk. On an idle
machine, a transaction that took 1.7 ms (95th percentile) took 8 ms meanwhile. The operator could make fewer copies at
a time. One by one, thirty clones took 15 s instead of 9, and the ratio was 3.1 to 3.7. With a new copy every 1.0, 1.5
and 2.2 s it was 3.2, 2.1 and 1.9: users would wait three to seven times as long, and the goal would be missed too.""",
}
