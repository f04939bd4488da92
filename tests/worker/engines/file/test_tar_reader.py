"""Tars: only regular files within their folder, each whole, to both closing blocks."""

import io
import tarfile

import pytest

from pgimport.worker.engines.file.compression import DumpStream
from pgimport.worker.engines.file.tar_reader import walk_members
from pgimport.worker.postgres.errors import ImportStopped


def a_tar(*members: tuple[str, bytes], form: int = tarfile.USTAR_FORMAT, **changes: object) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for field, value in changes.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def walk(content: bytes) -> dict[str, bytes]:
    return {member.path: member.read(1 << 20) for member in walk_members(DumpStream(io.BytesIO(content)))}


FILES = (("dump/toc.dat", b"x" * 1000), ("dump/1.dat", b"y" * 512), ("dump/empty", b""))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_come_whole(form: int) -> None:
    assert walk(a_tar(*FILES, form=form)) == dict(FILES)


def test_a_member_that_is_not_read_is_passed_over() -> None:
    assert [member.path for member in walk_members(DumpStream(io.BytesIO(a_tar(*FILES))))] == [
        name for name, _ in FILES
    ]


REFUSED = {
    "a link": a_tar(("dump/1.dat", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": a_tar(("dump/1.dat", b""), type=tarfile.LNKTYPE, linkname="toc.dat"),
    "a device": a_tar(("dump/1.dat", b""), type=tarfile.CHRTYPE),
    "a pipe": a_tar(("dump/1.dat", b""), type=tarfile.FIFOTYPE),
    "out of the folder": a_tar(("../1.dat", b"x")),
    "an absolute path": a_tar(("/etc/1.dat", b"x")),
    "a name with a newline": a_tar(("dump/1\n.dat", b"x")),
    "twice": a_tar(("dump/1.dat", b"x"), ("dump/1.dat", b"y")),
    "a long name in an extended header": a_tar(("d/" + "x" * 300, b"x"), form=tarfile.PAX_FORMAT),
    "a long name of GNU": a_tar(("d/" + "x" * 300, b"x"), form=tarfile.GNU_FORMAT),
    "one closing block": a_tar(*FILES).rstrip(b"\x00").ljust(512 * 6, b"\x00") + bytes(512),
    "something after its end": a_tar(*FILES) + b"x" * 512,
    "a wrong checksum": b"X" + a_tar(*FILES)[1:],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(ImportStopped):
        walk(REFUSED[name])
