"""A tar may hold regular files inside its folder only, and must be complete to both closing blocks."""

import io
import tarfile

import pytest

from pgimport.worker.engines.file.dump_stream import DumpStream
from pgimport.worker.engines.file.tar_reader import walk_members
from pgimport.worker.postgres.errors import ImportStopped


def make_tar(*members: tuple[str, bytes], tar_format: int = tarfile.USTAR_FORMAT, **changes: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in changes.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def walk(content: bytes) -> dict[str, bytes]:
    return {member.path: member.read(1 << 20) for member in walk_members(DumpStream(io.BytesIO(content)))}


FILES = (("dump/toc.dat", b"x" * 1000), ("dump/1.dat", b"y" * 512), ("dump/empty", b""))


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_read_completely(tar_format: int) -> None:
    assert walk(make_tar(*FILES, tar_format=tar_format)) == dict(FILES)


def test_a_member_that_is_not_read_is_skipped() -> None:
    assert [member.path for member in walk_members(DumpStream(io.BytesIO(make_tar(*FILES))))] == [
        name for name, _ in FILES
    ]


REFUSED = {
    "a link": make_tar(("dump/1.dat", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": make_tar(("dump/1.dat", b""), type=tarfile.LNKTYPE, linkname="toc.dat"),
    "a device": make_tar(("dump/1.dat", b""), type=tarfile.CHRTYPE),
    "a pipe": make_tar(("dump/1.dat", b""), type=tarfile.FIFOTYPE),
    "a name outside the folder": make_tar(("../1.dat", b"x")),
    "an absolute path": make_tar(("/etc/1.dat", b"x")),
    "a name with a newline": make_tar(("dump/1\n.dat", b"x")),
    "the same name twice": make_tar(("dump/1.dat", b"x"), ("dump/1.dat", b"y")),
    "a long name in an extended header": make_tar(("d/" + "x" * 300, b"x"), tar_format=tarfile.PAX_FORMAT),
    "a long name of GNU": make_tar(("d/" + "x" * 300, b"x"), tar_format=tarfile.GNU_FORMAT),
    "only one closing block": make_tar(*FILES).rstrip(b"\x00").ljust(512 * 6, b"\x00") + bytes(512),
    "bytes after its end": make_tar(*FILES) + b"x" * 512,
    "a wrong checksum": b"X" + make_tar(*FILES)[1:],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_tar_is_refused(name: str) -> None:
    with pytest.raises(ImportStopped):
        walk(REFUSED[name])
