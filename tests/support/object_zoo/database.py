"""Creates the database of the object zoo on a server."""

import subprocess
from pathlib import Path

from tests.support.postgres import PostgresServer

DATABASE = "fidelity"
OBJECTS = Path(__file__).parent / "objects"  # a file's number says from which major on it is loaded


def create_object_zoo(server: PostgresServer, has_contrib: bool) -> None:
    """Create the database with every object that this server supports.

    `has_contrib`: the server has the contrib extensions and is built with ICU, XML and lz4.
    """
    server.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING UTF8")
    for file in sorted(OBJECTS.glob("*.sql")):
        if server.major >= _oldest_major(file) and (has_contrib or not file.stem.endswith("contrib")):
            _run_script(server, file)


def _oldest_major(file: Path) -> int:
    """Files 01 to 14 suit every major; 15 to 18 are majors; 19 also needs 18."""
    number = int(file.name[:2])
    return number // 10 * 10 + min(number % 10, 8) if number >= 15 else 0


def _run_script(server: PostgresServer, file: Path) -> None:
    psql: list[str | Path] = [server.bin / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]
    command = [*psql, f"--file={file}", server.url(DATABASE)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
