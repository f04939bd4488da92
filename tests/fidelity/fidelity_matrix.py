"""A source's major, a target's and a way come in; the import runs as in a pod, and what differs afterwards goes out."""

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
from pgimport.server.connection import Access
from pgimport.server.shadow import ShadowPlan, drop_attempt, prepare_shadow
from pgimport.worker.pipeline.import_steps import run_import
from pgimport.worker.postgres.clients import ClientProcesses, ClientPrograms
from pgimport.worker.report.reporter import Reporter

MAJORS = (15, 16, 17, 18)
TARGETS = (17, 18)
LIVE, BY_DUMP, NEWER_CLIENT = "live", "live, by a dump", "live, by the target's pg_dump"
WAYS = (LIVE, BY_DUMP, NEWER_CLIENT, *FORMATS)
# Each major's last minor is not everywhere; here, what a pg_dump of the source's own major writes is of interest.
NO_FLOORS = {major: 0 for major in MAJORS}
# Plain SQL tells of no dependencies: what needs something that stays behind fails there, by name.
WITHOUT_DEPENDENTS = ("VIEW outside.needs_quiet", "VIEW outside.remote_view")
EXTENSIONS = ["btree_gist", "citext", "hstore", "ltree", "pg_trgm", "unaccent", "uuid-ossp"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix."""

    source: int
    target: int
    way: str

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, {self.way}"


# What fails, and how: a pg_dump that does not know what Debian's 17 stamps columns with hands it on.
FAILING = {Cell(17, 18, NEWER_CLIENT): 'unrecognized parameter "pg_attver"'}
CELLS = [
    Cell(source, target, way)
    for target in TARGETS
    for source in MAJORS
    if source <= target
    for way in WAYS
    if not (way == NEWER_CLIENT and source == target)
]


@dataclass(slots=True)
class Outcome:
    """What became of a cell."""

    differences: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)  # title → why
    failure: str | None = None
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.failure is None and not self.differences


@dataclass(slots=True)
class Matrix:
    """Servers that run, each with its source database, and what is shared by all cells."""

    server: Callable[[int], PostgresServer]
    bin_root: Path
    https: HttpsServer
    folder: Path
    dumps: dict[tuple[int, str], bytes] = field(default_factory=dict)
    references: dict[tuple[int, int], Content] = field(default_factory=dict)

    def run(self, cell: Cell) -> Outcome:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self.folder) as home:
            outcome = self._run(cell, Path(home))
        outcome.seconds = time.monotonic() - begun
        return outcome

    def _run(self, cell: Cell, home: Path) -> Outcome:
        source, target = self.server(cell.source), self.server(cell.target)
        bench = Bench(home, source.url(DATABASE), target, self._clients(cell, home))
        if cell.way in FORMATS:
            self._offer(cell, source, bench)
        order = {
            "target_version_num": target.major * 10000,
            "creatable_extensions": EXTENSIONS,
            "allowed_extensions": EXTENSIONS,
            "jobs": 2,
            "engine": "dump" if cell.way == BY_DUMP else "auto",
        }
        looked = bench.preflight(**order)
        if looked.failure is not None or looked.preflight is None or looked.preflight.source is None:
            return Outcome(failure=f"preflight: {looked.failure}")
        access = Access(
            host=target.host, port=target.port, user=ADMIN, password=target.admin_password, sslmode="disable"
        )
        mark = OwnerComment(project_uid="fidelity", import_uid="uid", pod_uid=bench.pod_uid)
        password = attempt_password(bench.seed, bench.pod_uid)
        plan = ShadowPlan(
            names=bench.names, password=password, source=looked.preflight.source, mark=mark, close_other_databases=False
        )
        try:
            notes = prepare_shadow(access, plan)
            clients = ClientPrograms(
                bin_root=bench.bin_root, floors=NO_FLOORS, compression="gzip" if cell.source == 16 else "lz4"
            )
            result = run_import(
                bench.order(**order), bench.environment, Reporter(bench.out), clients, ClientProcesses()
            )
            return self._compare(cell, source, target, bench, result, notes)
        finally:
            with suppress(Exception):
                drop_attempt(access, bench.names)

    def _clients(self, cell: Cell, home: Path) -> Path:
        """All majors, as an image of the target's major has them; or the target's alone."""
        root = home / "clients"
        root.mkdir()
        for major in MAJORS:
            if major == cell.target or (major < cell.target and cell.way != NEWER_CLIENT):
                (root / str(major)).symlink_to(self.bin_root / str(major))
        return root

    def _offer(self, cell: Cell, source: PostgresServer, bench: Bench) -> None:
        """The dump as the source's user makes it, with the pg_dump that came with the server."""
        key = (cell.source, cell.way)
        if key not in self.dumps:
            left = WITHOUT_DEPENDENTS if cell.way == "plain" else ()
            options = [f"--exclude-table={title.removeprefix('VIEW ')}" for title in left]
            self.dumps[key] = dump(source, DATABASE, cell.way, self.folder, *options)
        path = f"/{cell.source}-{cell.way}"
        self.https.answers[path] = body(self.dumps[key])
        bench.source_url = self.https.url(path)
        (bench.home / "ca").write_bytes(self.https.ca.read_bytes())

    def _compare(
        self,
        cell: Cell,
        source: PostgresServer,
        target: PostgresServer,
        bench: Bench,
        result: WorkerResult,
        notes: list[str],
    ) -> Outcome:
        said = [*notes, *(result.verification.notes if result.verification else [])]
        left = dict(_parse_left(note) for note in said if note.startswith("left behind: "))
        if cell.way == "plain":
            left |= dict.fromkeys(WITHOUT_DEPENDENTS, "not in the file")
        failure = f"{result.failure.reason}: {result.failure.message}" if result.failure else None
        if result.failure is not None and result.failure.reason is not Reason.VERIFICATION_FAILED:
            return Outcome(failure=failure, left=left)
        pg_dump = target.bin / "pg_dump"
        differences = find_differences(
            read_content(source, DATABASE, pg_dump),
            read_content(target, bench.names.database, pg_dump),
            left,
            self._refer(source, target),
        )
        return Outcome(differences, left, failure)

    def _refer(self, source: PostgresServer, target: PostgresServer) -> Content:
        """The source's definitions as the target's server writes them."""
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


def _parse_left(note: str) -> tuple[str, str]:
    title, _, why = note.removeprefix("left behind: ").rpartition(": ")
    return title, why


def format_table() -> str:
    """The matrix as Markdown, as the tests prove it: one line for a source and a target, one column for a way."""
    lines = [f"| source | target | {' | '.join(WAYS)} |", f"|---|---|{'---|' * len(WAYS)}"]
    for target in TARGETS:
        for source in MAJORS:
            row = [_format(Cell(source, target, way)) for way in WAYS]
            if source <= target:
                lines.append(f"| {source} | {target} | {' | '.join(row)} |")
    return "\n".join(lines)


def _format(cell: Cell) -> str:
    if cell not in CELLS:
        return "–"
    return "fails ¹" if cell in FAILING else "equal"
