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
Missed on 2026-11-30, while other work kept both processors busy. The three copies took 3.5, 2.0 and 2.9 s, and CREATE
DATABASE 2.2, 1.2 and 2.0 s of that. The rest is mostly the change of owners: `big` has 5,000 large objects, and each
needs a statement of 0.16 ms. Commits that do not wait for the disk gained nothing, larger transactions at most a third
of the change of owners. At a low priority, the same copies took 5 to 9 s, and fifty of them 252 s.""",
    "copies_file_copy_against_cp": """\
Missed on 2026-11-30, on busy processors: in an earlier run, the ratio on XFS was 0.84. CREATE DATABASE forces two
checkpoints, which `cp` does not. pgimport adds nothing to this time, which ends with CREATE DATABASE.""",
    "copies_neighbour_p95_ratio": """\
Missed on 2026-11-30 with 1.67 during fifty clones, three side by side. In an earlier run, on busier processors, the
ratio was 1.28: the transactions were slow before the copies too. Each copy forces two checkpoints.""",
}
