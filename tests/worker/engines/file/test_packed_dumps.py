"""Dumps inside other files: compressed more than once, or in the tar or zip of an application's backup."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import lz4.frame
import pytest
from backports import zstd
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import pack_tar, read_whole_dump, unpack_tar

from pgimport.model.reasons import Reason
from pgimport.worker.engines.file.dump_opening import open_dump
from pgimport.worker.postgres.errors import ImportStopped

ServeDump = Callable[[bytes], None]
Files = Mapping[str, bytes]


def make_tar(files: Files, tar_format: int = tarfile.GNU_FORMAT) -> bytes:
    """Packs files as a backup of an application does: with folders, a link and a long name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        folder = tarfile.TarInfo("backup")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        link = tarfile.TarInfo("backup/current")
        link.type, link.linkname = tarfile.SYMTYPE, "/var/lib/app"
        tar.addfile(link)
        for name, content in {"backup/" + "long/" * 40 + "image.png": b"\x89PNG" + bytes(700), **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class _Unseekable(io.RawIOBase):
    """A pipe: zip programs write the sizes behind each file then."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        self.content += bytes(content)  # type: ignore[call-overload]
        return len(bytes(content))  # type: ignore[call-overload]


def make_zip(files: Files, method: int = zipfile.ZIP_DEFLATED, *, streamed: bool = False) -> bytes:
    buffer, pipe = io.BytesIO(), _Unseekable()
    with zipfile.ZipFile(pipe if streamed else buffer, "w", method) as packed:
        packed.mkdir("backup") if not streamed else None
        for name, content in {"backup/manifest.json": b"{}", **files}.items():
            packed.writestr(name, content)
        packed.comment = b"made by an application"
    return bytes(pipe.content) if streamed else buffer.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip in gzip": lambda content: gzip.compress(gzip.compress(content)),
    "zstd in gzip": lambda content: gzip.compress(zstd.compress(content)),
    "tar": lambda content: make_tar({"backup/db/database.sql": content, "backup/notes.txt": b"x"}),
    "tar of POSIX": lambda content: make_tar({"backup/database.sql": content}, tarfile.PAX_FORMAT),
    "tar.gz with gzip": lambda content: gzip.compress(make_tar({"backup/dump.sql.gz": gzip.compress(content)})),
    "tar in tar": lambda content: make_tar({"backup/db.tar": make_tar({"x.dump": content}), "backup/a": b"a"}),
    "zip": lambda content: make_zip({"backup/dump.sql": content, "backup/filestore/1": b"x" * 5000}),
    "stored in zip": lambda content: make_zip({"backup/dump.sql": content}, zipfile.ZIP_STORED),
    "streamed zip": lambda content: make_zip({"backup/dump.sql": content}, streamed=True),
    "zip with xz": lambda content: make_zip({"backup/dump.sql.xz": lzma.compress(content)}),
    "bzip2 streams": lambda content: bz2.compress(content[:1000]) + bz2.compress(content[1000:]),
    "xz streams with padding": lambda content: lzma.compress(content[:1000]) + bytes(8) + lzma.compress(content[1000:]),
    "lz4 frames": lambda content: lz4.frame.compress(content[:1000]) + lz4.frame.compress(content[1000:]),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("dump_format", ["custom", "tar", "plain"])
def test_the_only_dump_in_a_file_is_found(dumps: dict[str, bytes], dump_format: str, packing: str) -> None:
    content = PACKINGS[packing](dumps[dump_format])
    assert open_dump(io.BytesIO(content)).format.value == dump_format
    read_whole_dump(content)


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["tar.gz with gzip", "streamed zip", "zstd in gzip"])
@pytest.mark.parametrize("dump_format", ["custom", "plain"])
def test_a_packed_dump_is_imported(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], dump_format: str, packing: str
) -> None:
    serve_dump(PACKINGS[packing](dumps[dump_format]))
    preflight = file_bench.preflight()
    assert preflight.ok, preflight.failure
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM customers", shadow) == [(5000,)]


@pytest.mark.slow
@pytest.mark.parametrize("streamed", [False, True], ids=["zip", "streamed zip"])
def test_a_directory_archive_in_a_zip_is_imported(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes], streamed: bool
) -> None:
    buffer, pipe = io.BytesIO(), _Unseekable()
    with zipfile.ZipFile(pipe if streamed else buffer, "w") as packed:
        for name, content in unpack_tar(dumps["directory"]).items():
            packed.writestr(f"shop/{name}", content, zipfile.ZIP_DEFLATED)
    serve_dump(bytes(pipe.content) if streamed else buffer.getvalue())
    with file_bench.shadow() as shadow:
        result = file_bench.run()
        assert result.ok, result.failure
        assert file_bench.target.query("SELECT count(*) FROM customers", shadow) == [(5000,)]


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["tar", "tar.gz with gzip", "zip", "streamed zip", "zip with xz", "lz4 frames"])
def test_a_truncated_packed_dump_is_refused(dumps: dict[str, bytes], packing: str) -> None:
    content = PACKINGS[packing](dumps["custom"])
    chance = random.Random(4713)  # noqa: S311 (no secret)
    end = len(content.rstrip(b"\x00")) if packing == "tar" else len(content)
    for length in (*(chance.randrange(end) for _ in range(60)), end - 1, end - 25):
        with pytest.raises(ImportStopped) as stopped:
            read_whole_dump(content[:length])
        assert stopped.value.failure.reason in (Reason.DUMP_CORRUPT, Reason.DUMP_UNSUPPORTED)


def read_refusal(content: bytes) -> str:
    with pytest.raises(ImportStopped) as stopped:
        read_whole_dump(content)
    return stopped.value.failure.message


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_several_dumps_in_a_file_are_refused_and_listed(
    dumps: dict[str, bytes], make: Callable[[Files], bytes]
) -> None:
    message = read_refusal(
        make(
            {
                "a.sql": dumps["plain"],
                "b.txt": b"text",
                "c.dump": dumps["custom"],
                "d.gz": gzip.compress(dumps["plain"]),
            }
        )
    )
    assert "the file contains 3 dumps, and an import takes one: pack only one of a.sql, c.dump, d.gz" in message


def test_a_dump_beside_a_directory_is_refused(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]
) -> None:
    """The directory was left out without a word, and so was the dump if the directory came first."""
    directory = {f"backup/db/{name}": content for name, content in unpack_tar(dumps["directory"]).items()}
    plain = {"backup/db.sql.gz": gzip.compress(dumps["plain"])}
    assert "2 dumps" in read_refusal(make_zip({**plain, **directory}))
    assert "2 dumps" in read_refusal(make_zip({**directory, **plain}))
    serve_dump(pack_tar({**unpack_tar(dumps["directory"]), "notes.txt": b"x", "db.sql.gz": plain["backup/db.sql.gz"]}))
    with file_bench.shadow():
        failure = file_bench.run().failure
    assert failure is not None
    assert "the file contains 2 dumps" in failure.message


def test_several_dumps_are_refused_before_the_import(
    file_bench: Bench, serve_dump: ServeDump, dumps: dict[str, bytes]
) -> None:
    serve_dump(make_zip({"a.sql": dumps["plain"], "b.dump": dumps["custom"]}))
    failure = file_bench.preflight().failure
    assert failure is not None
    assert (failure.reason, "2 dumps" in failure.message) == (Reason.DUMP_UNSUPPORTED, True)


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_file_without_a_dump_lists_what_it_has(make: Callable[[Files], bytes]) -> None:
    message = read_refusal(make({"a.txt": b"text", "b.json": b"{}"}))
    assert "the file contains no dump of pg_dump, but " in message
    assert "a.txt, b.json" in message


def test_other_backups_are_refused_by_name(dumps: dict[str, bytes]) -> None:
    physical = pack_tar({"backup_label": b"START WAL LOCATION", "PG_VERSION": b"18\n"})
    assert "a physical backup of a server, as pg_basebackup writes it" in read_refusal(physical)
    cluster = pack_tar({"map.dat": b"1 shop\n", "toc.glo": b"PGDMP", "databases/1.dmp": dumps["custom"]})
    assert "a dump of all databases by pg_dumpall" in read_refusal(cluster)
    among_others = make_tar({f"backup/db/{name}": content for name, content in unpack_tar(dumps["directory"]).items()})
    assert "pack only that directory" in read_refusal(among_others)


def test_a_damaged_zip_is_refused(dumps: dict[str, bytes]) -> None:
    content = make_zip({"dump.sql": dumps["plain"]})
    for damaged in (content + b"x", content.replace(b"PK\x01\x02", b"PK\x01\x03"), content[:-22] + content[-22:-10]):
        assert "zip" in read_refusal(damaged)
    changed = bytearray(make_zip({"dump.sql": dumps["plain"]}, zipfile.ZIP_STORED))
    position = changed.index(b"customers")
    changed[position] ^= 1
    assert "the size or checksum of dump.sql in the zip is wrong" in read_refusal(bytes(changed))


def test_an_encrypted_zip_is_refused(dumps: dict[str, bytes]) -> None:
    content = bytearray(make_zip({}))
    content[6] |= 1
    assert "is encrypted" in read_refusal(bytes(content))


def test_bombs_around_bombs_are_refused() -> None:
    """The ratio is that of the whole file, not of each packing."""
    zeros = b"x" * 64 * 1024 * 1024
    plain = b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 16.4\n\n"
    plain += b"COPY public.t (a) FROM stdin;\n"
    bomb = gzip.compress(gzip.compress(plain + zeros * 3 + b"\n"))
    assert "unpacks to more than 500 times its size" in read_refusal(bomb)
    nested = plain
    for _ in range(6):
        nested = gzip.compress(nested)
    assert "packed more than 5 times" in read_refusal(nested)
