"""Starts the servers of the real inputs, each when a test first needs it, and what all imports share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.debian_postgres import CLIENTS, RELEASES, link_clients, server_tree
from tests.support.https import HttpsServer, run_https_server
from tests.support.object_zoo.content import Content
from tests.support.postgres import PostgresServer, installation, run_postgres, tree_programs

MAJORS = (15, 16, 17, 18)
# Servers with the contrib extensions. 16 is a build without them, because no Debian release has 16.
CONTRIB_MAJORS = tuple(RELEASES)
# Reports a current minor version, which the worker requires. Only the build of 16 lacks lz4.
_CURRENT_CLIENT = """#!/bin/bash
if [ "$1" = --version ]; then echo "{name} (PostgreSQL) {major}.99"; exit; fi
exec {program} {arguments}
"""


@dataclass(slots=True)
class RealServers:
    """The running servers, the clients of all majors, and what was read or dumped before."""

    server: Callable[[int], PostgresServer]
    clients: Path  # for PGIMPORT_CLIENTS
    https: HttpsServer
    folder: Path
    databases: dict[tuple[str, int], str] = field(default_factory=dict)  # case, major → name of the database
    dumps: dict[tuple[str, int, str], bytes] = field(default_factory=dict)  # case, major, path → file
    references: dict[tuple[str, int, int], Content] = field(default_factory=dict)  # case, majors → definitions


@contextmanager
def run_servers(folder: Path) -> Iterator[RealServers]:
    """Runs the servers until the end of the block."""
    plain, current = _make_folder(folder / "clients"), _make_folder(folder / "current")
    for major in MAJORS:
        _link_current_clients(major, plain, current)
    running: dict[int, PostgresServer] = {}
    with ExitStack() as stack:

        def server(major: int) -> PostgresServer:
            if major not in running:
                has_contrib = major in RELEASES
                programs = tree_programs(major, server_tree(major), plain) if has_contrib else None
                running[major] = stack.enter_context(run_postgres(major, programs, max_locks_per_transaction="256"))
            return running[major]

        https = stack.enter_context(run_https_server(_make_folder(folder / "https"), "localhost"))
        yield RealServers(server, current, https, _make_folder(folder / "work"))


def _link_current_clients(major: int, plain: Path, current: Path) -> None:
    if major in RELEASES:
        link_clients(server_tree(major), major, plain)
    else:
        (plain / str(major)).symlink_to(installation(major))
    programs = _make_folder(_make_folder(current / str(major)) / "bin")
    arguments = '"$@"' if major in RELEASES else '"${@/--compress=lz4/--compress=gzip:1}"'
    for name in CLIENTS:
        program = plain / str(major) / "bin" / name
        (programs / name).write_text(
            _CURRENT_CLIENT.format(name=name, major=major, program=program, arguments=arguments)
        )
        (programs / name).chmod(0o755)


def _make_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder
