"""Plain dumps and partial dumps as people have them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from tests.real.imports import ImportPath, import_file
from tests.real.servers import CONTRIB_MAJORS, RealServers
from tests.real.sources import Source, compare_copy, create_source, imported

EXTENDED = (Path(__file__).parent / "extended_shop.sql").read_text(encoding="utf-8")
WITH_PUBLIC = "DROP SCHEMA public;\nCREATE SCHEMA public;\n"

# How a file is made of the source. The source has the extensions citext and pgcrypto in public.
FILES: dict[str, Callable[[Source, Path], bytes]] = {
    "clean": lambda source, folder: source.dump(ImportPath.PLAIN, folder, "--clean"),
    "clean if exists": lambda source, folder: source.dump(ImportPath.PLAIN, folder, "--clean", "--if-exists"),
    "no owner, no privileges": lambda source, folder: source.dump(ImportPath.PLAIN, folder, "-O", "-x"),
    "clean, with a new public": lambda source, folder: _replace_public(
        source.dump(ImportPath.PLAIN, folder, "--clean", "--if-exists")
    ),
    "a new public in front": lambda source, folder: WITH_PUBLIC.encode() + source.dump(ImportPath.PLAIN, folder),
    "schema and data": lambda source, folder: _join(source, folder, b""),
    "schema and data without triggers": lambda source, folder: _join(
        source, folder, b"SET session_replication_role = replica;\n"
    ),
    "schema and data with disabled triggers": lambda source, folder: (
        source.dump(ImportPath.PLAIN, folder, "--section=pre-data", "--section=post-data")
        + source.dump(ImportPath.PLAIN, folder, "--data-only", "--disable-triggers")
    ),
    "sections": lambda source, folder: b"".join(
        source.dump(ImportPath.PLAIN, folder, f"--section={name}") for name in ("pre-data", "data", "post-data")
    ),
    "inserts": lambda source, folder: source.dump(ImportPath.PLAIN, folder, "--inserts"),
    "line ends of Windows inside a comment": lambda source, folder: (
        b"-- made by a tool\r\n" + source.dump(ImportPath.PLAIN, folder)
    ),
    "custom, clean": lambda source, folder: source.dump(ImportPath.CUSTOM, folder, "--clean", "--if-exists"),
    "custom, create": lambda source, folder: source.dump(ImportPath.CUSTOM, folder, "--create"),
}


def _replace_public(content: bytes) -> bytes:
    """Adds the statements of pg_dump's --clean for a schema `public` that was dropped and created."""
    lines = b"DROP SCHEMA IF EXISTS public;\nCREATE SCHEMA public;\n\nALTER SCHEMA public OWNER TO postgres;\n\n"
    place = re.search(rb"^--\n-- Name: .*; Type: (SCHEMA|EXTENSION|TABLE)", content, re.M)
    assert place is not None
    return content[: place.start()] + lines + content[place.start() :]


def _join(source: Source, folder: Path, before_data: bytes) -> bytes:
    schema = source.dump(ImportPath.PLAIN, folder, "--schema-only")
    return schema + before_data + source.dump(ImportPath.PLAIN, folder, "--data-only", "--disable-triggers")


def _build_parameters() -> Iterator[ParameterSet]:
    for major in CONTRIB_MAJORS:
        for title in FILES:
            mark = pytest.mark.thorough if major == 17 else pytest.mark.real
            yield pytest.param(major, title, marks=mark, id=f"{title}, {major}")


@pytest.mark.parametrize(("major", "title"), list(_build_parameters()))
def test_a_dump_arrives_whatever_its_options(servers: RealServers, tmp_path: Path, major: int, title: str) -> None:
    target = servers.server(max(major, 17))
    with create_source(servers.server(major), "option_shop", EXTENDED) as source:
        content = FILES[title](source, tmp_path)
        with imported(import_file(servers, content, target), target) as result:
            assert result.code == 0, result.err
            assert [entry.title for entry in result.refused] == []
            if major == target.major:
                differences = [line for line in compare_copy(source, target, []) if "SCHEMA public" not in line]
                assert differences == []


@pytest.mark.thorough
@pytest.mark.parametrize("path", [ImportPath.PLAIN, ImportPath.CUSTOM], ids=str)
@pytest.mark.parametrize("options", [("-n", "app"), ("-t", "app.note"), ("-t", "app.no*")], ids=" ".join)
def test_a_partial_dump_gets_its_schemas(
    servers: RealServers, tmp_path: Path, path: ImportPath, options: tuple[str, ...]
) -> None:
    script = EXTENDED.replace("citext", "text").replace("CREATE EXTENSION text;", "")
    target = servers.server(17)
    with create_source(servers.server(17), "partial_shop", script) as source:
        content = source.dump(path, tmp_path, *options)
    # pgcrypto provides no type or default of the part.
    with imported(import_file(servers, content, target), target) as result:
        assert result.code == 0, result.err
        assert target.query("SELECT count(*) FROM app.note", "real_copy") == [(1,)]


@pytest.mark.thorough
@pytest.mark.parametrize("path", [ImportPath.PLAIN, ImportPath.CUSTOM, ImportPath.TAR], ids=str)
@pytest.mark.parametrize("options", [("-n", "app"), ("-t", "app.customer")], ids=" ".join)
def test_a_partial_dump_without_its_extension_says_how_to_dump(
    servers: RealServers, tmp_path: Path, path: ImportPath, options: tuple[str, ...]
) -> None:
    target = servers.server(17)
    with create_source(servers.server(17), "lacking_shop", EXTENDED) as source:
        content = source.dump(path, tmp_path, *options)
    with imported(import_file(servers, content, target), target) as result:
        assert "citext" in result.text
        assert "--extension" in result.text
