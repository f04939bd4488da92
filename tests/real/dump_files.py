"""Writes dump files in the ways in which people write them."""

import io
import subprocess
import tarfile
from pathlib import Path

from tests.support.postgres import PostgresServer


def dump_database(server: PostgresServer, dbname: str, dump_format: str, folder: Path, *options: str) -> bytes:
    """Returns a dump as one file, written by the server's own pg_dump. A directory archive is packed into a tar."""
    path = folder / f"{dbname}-{dump_format}-{len(list(folder.iterdir()))}"
    command: list[str | Path] = [server.bin / "pg_dump", f"--format={dump_format}", f"--file={path}", *options]
    run_client([*command, server.url(dbname)])
    return path.read_bytes() if dump_format != "directory" else pack_directory(path)


def pack_directory(path: Path) -> bytes:
    """Returns a tar file that contains a folder under its own name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(path, path.name)
    return buffer.getvalue()


def run_client(command: list[str | Path], content: bytes | None = None) -> bytes:
    """Runs a client program and returns its output. Its errors are the test's."""
    process = subprocess.run(command, input=content, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()
    return process.stdout
