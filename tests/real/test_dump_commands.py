"""Dump files that the commands of pg_dump's manual write are imported. Damaged ones are refused before the swap."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.real.imports import import_file
from tests.real.servers import MAJORS, RealServers
from tests.real.sources import Source, compare_copy, create_source, imported

SHOP = (Path(__file__).parent / "shop.sql").read_text(encoding="utf-8")
# `{pg_dump}` is the source's own, with the database; each command writes {file}.
COMMANDS = {
    "a redirection": "{pg_dump} -Fc > {file}",
    "a redirection that appends": "{pg_dump} -Fc >> {file}",
    "a pipe": "{pg_dump} -Fc | cat > {file}",
    "an option": "{pg_dump} -Fc -f {file}",
    "a redirection, not compressed": "{pg_dump} -Fc -Z0 > {file}",
    "a redirection, with the highest level": "{pg_dump} -Fc -Z9 > {file}",
    "a redirection through gzip": "{pg_dump} -Fc | gzip > {file}",
    "a redirection to a file, then gzip": "{pg_dump} -Fc > {file}.x; gzip -c {file}.x > {file}",
    "a tar by a redirection": "{pg_dump} -Ft > {file}",
    "a tar through gzip": "{pg_dump} -Ft | gzip > {file}",
    "plain by a redirection": "{pg_dump} > {file}",
    "plain through gzip": "{pg_dump} | gzip > {file}",
    "plain, compressed by pg_dump": "{pg_dump} -Z5 -f {file}",
    "plain with inserts": "{pg_dump} --inserts > {file}",
    "plain with columns and inserts": "{pg_dump} --column-inserts --rows-per-insert=100 > {file}",
}
# pg_dump knows these since 16.
SINCE_16 = {
    "a redirection, zstd": "{pg_dump} -Fc --compress=zstd > {file}",
    "a redirection, lz4": "{pg_dump} -Fc --compress=lz4 > {file}",
    "a redirection, gzip with a level": "{pg_dump} -Fc --compress=gzip:9 > {file}",
    "an option, zstd with a level": "{pg_dump} -Fc --compress=zstd:level=19 -f {file}",
    "plain, compressed by zstd": "{pg_dump} --compress=zstd > {file}",
    "plain, compressed by lz4": "{pg_dump} --compress=lz4 > {file}",
}
NEEDS_LIBRARY = ("zstd", "lz4")  # the build of 16 has neither


def _dump(source: Source, command: str, folder: Path) -> bytes:
    file = folder / "file"
    pg_dump = f"{shlex.quote(str(source.server.bin / 'pg_dump'))} -d {shlex.quote(source.url)}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", command.format(pg_dump=pg_dump, file=file)], check=True)
    return file.read_bytes()


def _build_parameters() -> Iterator[ParameterSet]:
    for major in MAJORS:
        commands = {**COMMANDS, **(SINCE_16 if major >= 16 else {})}
        for title, command in commands.items():
            if major == 16 and any(name in command for name in NEEDS_LIBRARY):
                continue
            is_quick = major == 17 and "redirection" in title
            mark = pytest.mark.thorough if is_quick else pytest.mark.real
            yield pytest.param(major, command, marks=mark, id=f"{title}, {major}")


@pytest.mark.parametrize(("major", "command"), list(_build_parameters()))
def test_a_dump_arrives_however_it_was_written(servers: RealServers, tmp_path: Path, major: int, command: str) -> None:
    target = servers.server(max(major, 17))
    with create_source(servers.server(major), "written_shop", SHOP) as source:
        content = _dump(source, command, tmp_path)
        with imported(import_file(servers, content, target), target) as result:
            assert result.code == 0, result.err
            assert result.skipped == []
            if major == target.major:
                assert compare_copy(source, target, []) == []


def _cut(content: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    yield "half", content[: len(content) // 2]
    yield "without its last byte", content[:-1]
    yield "without its last block", content[:-512]
    yield "two files", content + content
    yield "two different files", content + other
    yield "spliced", content[: len(content) // 2] + other[len(other) // 2 :]


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["{pg_dump} -Fc > {file}", "{pg_dump} -Fc -f {file}"], ids=["redirected", "option"])
def test_a_damaged_archive_is_refused_and_leaves_nothing(servers: RealServers, tmp_path: Path, command: str) -> None:
    target = servers.server(17)
    with create_source(servers.server(17), "damaged_shop", SHOP) as source:
        content = _dump(source, command, tmp_path)
        source.server.execute("INSERT INTO customers VALUES (9999, 'later')", source.database)
        other = _dump(source, "{pg_dump} -Fc > {file}", tmp_path)
        for title, damaged in _cut(content, other):
            with imported(import_file(servers, damaged, target), target) as result:
                assert result.code != 0, title
                assert "Traceback" not in result.text, title
                assert target.query("SELECT FROM pg_database WHERE datname = 'real_copy'") == [], title
