"""Compares what an import makes of a plain SQL file with what psql makes of it."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres import PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.archive_bytes import build_plain_dump

from pgimport.model.result import WorkerResult

ServeDump = Callable[[bytes], None]


@dataclass
class Comparison:
    """Imports a file, and compares the copy with what psql makes of the same file."""

    bench: Bench
    serve_dump: ServeDump
    folder: Path

    def run(self, statements: str, for_psql: str | None = None) -> tuple[WorkerResult, list[str]]:
        """Returns the result, and the lines by which dumps of the two databases differ.

        `for_psql`: statements that psql gets instead.
        """
        server = self.bench.target
        self.serve_dump(build_plain_dump(statements))
        with self.bench.shadow() as shadow:
            result = self.bench.run()
            assert result.ok, result.failure
            copied = self._dump(server, shadow)
        with server.database("by_psql") as name:
            path = self.folder / "statements.sql"
            path.write_text(for_psql or statements)
            command = [str(server.bin / "psql"), "--no-psqlrc", "--quiet", f"--file={path}", server.url(name)]
            subprocess.run(command, check=True, capture_output=True)
            expected = self._dump(server, name)
        return result, sorted({f"- {line}" for line in expected - copied} | {f"+ {line}" for line in copied - expected})

    @staticmethod
    def _dump(server: PostgresServer, database: str) -> set[str]:
        """Returns the statements of a dump of structure and rows."""
        command = [str(server.bin / "pg_dump"), "--no-owner", "--no-privileges", "--inserts", server.url(database)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        lines = [line for line in text.splitlines() if not line.startswith(("--", "\\"))]
        return {" ".join(statement.split()) for statement in "\n".join(lines).split(";\n")}
