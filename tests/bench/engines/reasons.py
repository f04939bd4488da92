"""Why goals were missed: a measure's name comes in, what its profile says goes out; shown only where it is missed."""

REASONS: dict[str, str] = {
    "engine_big_against_directory": """\
On two processors this goal is nearly that of the two floors together, which bring rows and indexes and nothing else:
0.80 of the dump's 31.6 s are 25.3 s, and the floors take 24.0 s. From the second second to the last but two both
processors are busy (97 %). Of 50 processor seconds COPY and the indexes take 36 at the target, the source 6.5, pgimport
4.2; the dump takes 54, 7 of them in its clients, and waits for the disk at times. With rows and indexes side by side
there is nothing left to overlap: what remains is the server's own work. Tried without a gain: foreign keys beside other
indexes, more memory for an index, tables split by `ctid`.""",
}
