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
    "copies_clone_seconds": """\
Measured once, on 2026-11-30, while other work kept both processors busy (load average 13 to 20). CREATE DATABASE took
1.8 to 4.0 s. The rest is mostly the change of owners: `big` has 5,000 large objects, and each needs a statement.
PostgreSQL took 0.16 ms for one of them. Commits that do not wait for the disk gained nothing, larger transactions at
most a third of the change of owners.""",
    "copies_fifty_clones_seconds": """\
Measured once, on 2026-11-30, in the same run on busy processors as a single copy, which took three to four times as
long as its goal.""",
    "copies_file_copy_against_cp": """\
Missed once, on 2026-11-30, on ext4 and on busy processors. CREATE DATABASE forces two checkpoints, which `cp` does not.
On XFS, the goal held in the same run.""",
}
