"""Explains goals that were missed, by the name of the measure. The report shows the text only if the goal is missed."""

REASONS: dict[str, str] = {
    "api_import_rate_ratio": """\
Missed once, with 0.49, on 2026-11-26: right after the 200 imports of the measure before it, the API was slower from the
first round on, the API server was not. By itself on the same machine it was 0.73, in the whole run before 0.66.""",
    "engine_big_against_directory": """\
On two processors this goal is nearly that of the two floors together (above), which bring rows and indexes and nothing
else. A profile of 2026-11-26: from the second second to the last but two both processors are busy (97 %). Of 50
processor seconds COPY and the indexes take 36 at the target, the source 6.5, pgimport 4; the dump takes 54, 7 of them
in its clients, and waits for the disk at times. With rows and indexes side by side there is nothing left to overlap:
what remains is the server's own work. Tried without a gain: foreign keys beside other indexes, more memory for an
index, an index's parallel workers only where a processor is free, tables split by `ctid`.""",
}
