"""Imports the object zoo from each major version to each newer one, by each method, and compares copy and source."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.https import HttpsServer, body
from tests.support.object_zoo.content import Content, find_differences, read_content, read_definitions
from tests.support.object_zoo.database import DATABASE
from tests.support.postgres import ADMIN, PostgresServer
from tests.worker.conftest import Bench
from tests.worker.engines.file.conftest import FORMATS, dump

from pgimport.model.names import attempt_password
from pgimport.model.owner_comment import OwnerComment
from pgimport.model.reasons import Reason
from pgimport.model.result import WorkerResult
from pgimport.model.row_values import show_values
from pgimport.server.server_access import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.worker.pipeline.import_steps import run_import
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.report.reporter import Reporter

MAJORS = (15, 16, 17, 18)
TARGETS = (17, 18)
LIVE, LIVE_DUMP, NEWER_CLIENT = "live, `relay`", "live, `engine: dump`", "live, newer `pg_dump`"
METHODS = (LIVE, LIVE_DUMP, NEWER_CLIENT, *FORMATS)
# The newest minor version of each client is not available everywhere, and these tests do not need it.
NO_MINIMUM_MINORS = {major: 0 for major in MAJORS}
EXTENSIONS = ["btree_gist", "citext", "hstore", "ltree", "pg_trgm", "unaccent", "uuid-ossp"]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A source, a target and an import method."""

    source: int
    target: int
    method: str

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, {self.method}"


# Cells that skip an option, and the server's words. Debian's 17 sets an option on columns, which 18 refuses.
SKIPPING = {MatrixCell(17, 18, NEWER_CLIENT): 'unrecognized parameter "pg_attver"'}
CELLS = [
    MatrixCell(source, target, method)
    for target in TARGETS
    for source in MAJORS
    if source <= target
    for method in METHODS
    if not (method == NEWER_CLIENT and source == target)
]


@dataclass(slots=True)
class Outcome:
    """Result of a cell."""

    differences: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)  # title → reason
    failure: str | None = None
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        return self.failure is None and not self.differences


@dataclass(slots=True)
class Matrix:
    """The servers, each with an object zoo, and what all cells share."""

    server: Callable[[int], PostgresServer]
    bin_root: Path
    https: HttpsServer
    folder: Path
    dumps: dict[tuple[int, str], bytes] = field(default_factory=dict)
    references: dict[tuple[int, int], Content] = field(default_factory=dict)

    def run(self, cell: MatrixCell) -> Outcome:
        started_at = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            outcome = self._run(cell, Path(home))
        outcome.seconds = time.monotonic() - started_at
        return outcome

    def _run(self, cell: MatrixCell, home: Path) -> Outcome:
        source, target = self.server(cell.source), self.server(cell.target)
        bench = Bench(home, source.url(DATABASE), target, self._link_clients(cell, home))
        if cell.method in FORMATS:
            self._serve_dump(cell, source, bench)
        order = {
            "target_version_num": target.major * 10000,
            "creatable_extensions": EXTENSIONS,
            "allowed_extensions": EXTENSIONS,
            "jobs": 2,
            "engine": "dump" if cell.method == LIVE_DUMP else "auto",
        }
        preflight = bench.preflight(**order)
        if preflight.failure is not None or preflight.preflight is None or preflight.preflight.source is None:
            return Outcome(failure=f"preflight: {preflight.failure}")
        access = Access(
            host=target.host, port=target.port, user=ADMIN, password=target.admin_password, sslmode="disable"
        )
        mark = OwnerComment(project_uid="fidelity", import_uid="uid", pod_uid=bench.pod_uid)
        password = attempt_password(bench.seed, bench.pod_uid)
        plan = ShadowPlan(
            names=bench.names,
            password=password,
            source=preflight.preflight.source,
            mark=mark,
            allowed_extensions=EXTENSIONS,
            close_other_databases=False,
        )
        try:
            prepare_shadow(access, plan)
            clients = ClientPrograms(
                bin_root=bench.bin_root, floors=NO_MINIMUM_MINORS, compression="gzip" if cell.source == 16 else "lz4"
            )
            result = run_import(
                bench.order(**order), bench.environment, Reporter(bench.out), clients, ClientProcesses()
            )
            return self._compare(cell, source, target, bench, result)
        finally:
            with suppress(Exception):
                drop_attempt(access, bench.names)

    def _link_clients(self, cell: MatrixCell, home: Path) -> Path:
        """Link the clients that the image of the target's major has, or those of the target's major alone."""
        root = home / "clients"
        root.mkdir()
        for major in MAJORS:
            if major == cell.target or (major < cell.target and cell.method != NEWER_CLIENT):
                (root / str(major)).symlink_to(self.bin_root / str(major))
        return root

    def _serve_dump(self, cell: MatrixCell, source: PostgresServer, bench: Bench) -> None:
        """Dump the source with the pg_dump of its own major, and serve the file over HTTPS."""
        key = (cell.source, cell.method)
        if key not in self.dumps:
            self.dumps[key] = dump(source, DATABASE, cell.method, self.folder)
        path = f"/{cell.source}-{cell.method}"
        self.https.answers[path] = body(self.dumps[key])
        bench.source_url = self.https.url(path)
        (bench.home / "ca").write_bytes(self.https.ca.read_bytes())

    def _compare(
        self,
        cell: MatrixCell,
        source: PostgresServer,
        target: PostgresServer,
        bench: Bench,
        result: WorkerResult,
    ) -> Outcome:
        skipped = {item.object: show_values(item.reason) for item in result.skipped}
        failure = f"{result.failure.reason}: {result.failure.message}" if result.failure else None
        if result.failure is not None and result.failure.reason is not Reason.VERIFICATION_FAILED:
            return Outcome(failure=failure, skipped=skipped)
        pg_dump = target.bin / "pg_dump"
        differences = find_differences(
            read_content(source, DATABASE, pg_dump),
            read_content(target, bench.names.database, pg_dump),
            skipped,
            self._read_reference(source, target),
        )
        return Outcome(differences, skipped, failure)

    def _read_reference(self, source: PostgresServer, target: PostgresServer) -> Content:
        """Return the source's definitions as the target's major writes them, restored by PostgreSQL's own clients."""
        key = (source.major, target.major)
        if key not in self.references and source.major == target.major:
            self.references[key] = {}
        elif key not in self.references:
            text = subprocess.run(
                [source.bin / "pg_dump", "--schema-only", "--no-owner", "--no-privileges", source.url(DATABASE)],
                check=True,
                capture_output=True,
            ).stdout
            with target.database(f"reference_{source.major}") as name:
                psql: list[str | Path] = [
                    target.bin / "psql",
                    "--quiet",
                    "--no-psqlrc",
                    "--set=ON_ERROR_STOP=1",
                    target.url(name),
                ]
                subprocess.run(psql, check=True, capture_output=True, input=text)
                self.references[key] = read_definitions(target, name, target.bin / "pg_dump")
        return self.references[key]


def format_table() -> str:
    """Format the matrix as Markdown: a row for each source and target, a column for each method."""
    lines = [f"| source | target | {' | '.join(METHODS)} |", f"|---|---|{'---|' * len(METHODS)}"]
    for target in TARGETS:
        for source in MAJORS:
            row = [_format(MatrixCell(source, target, method)) for method in METHODS]
            if source <= target:
                lines.append(f"| {source} | {target} | {' | '.join(row)} |")
    return "\n".join(lines)


def _format(cell: MatrixCell) -> str:
    if cell not in CELLS:
        return "–"
    return "skips ¹" if cell in SKIPPING else "equal"
