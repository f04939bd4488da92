"""Runs a server of Debian that reports its errors in German. Nothing is installed on the machine.

The locale is compiled from the definitions in the package `locales`. The translated messages are those of the package
`postgresql-…` of this host's release, because the server's tree has none.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.cluster.debian_postgres import RELEASES, link_clients, server_tree
from tests.support.locales import compiled_locales
from tests.support.postgres import PostgresServer, run_postgres, tree_programs

LOCALE = "de_DE.UTF-8"
_CATALOGUES = ("postgres", "plpgsql")
_TRANSLATIONS = Path("usr/share/locale/de/LC_MESSAGES")


def find_major() -> int:
    """Returns the major version that this host's release of Debian has. Raises KeyError on another system."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    majors = {suite: major for major, suite in RELEASES.items()}
    return majors[release["VERSION_CODENAME"].strip('"')]


@contextmanager
def run_german_postgres(*, tls: bool = False, **options: str) -> Iterator[PostgresServer]:
    """Runs a server whose messages are German, in every database and for every role."""
    major = find_major()
    folder = Path(tempfile.mkdtemp(prefix="pgimport-tests-german-"))
    try:
        languages = folder / "languages"
        _write_translations(languages / "translations" / "de" / "LC_MESSAGES", major)
        with compiled_locales(LOCALE) as locales:
            shutil.copytree(locales, languages / "locales")
        link_clients(server_tree(major), major, folder / "clients")
        programs = tree_programs(major, server_tree(major), folder / "clients")
        programs = replace(programs, environment={"LOCPATH": "/mnt/locales"}, files=languages)
        settings = {"lc_messages": LOCALE, **options}
        with run_postgres(major, programs, tls=tls, disk=None, **settings) as server:
            yield server
    finally:
        shutil.rmtree(folder)


def _write_translations(folder: Path, major: int) -> None:
    """Writes the catalogues, which the server sees below /usr/share/locale."""
    folder.mkdir(parents=True)
    names = [f"{name}-{major}.mo" for name in _CATALOGUES]
    source = _find_files(f"postgresql-{major}", _TRANSLATIONS, names[0])
    for name in names:
        shutil.copy(source / name, folder)


def _find_files(package: str, folder: Path, sample: str) -> Path:
    """Returns the folder of an installed package, or that of the package which apt downloads."""
    installed = Path("/") / folder
    if (installed / sample).exists():
        return installed
    unpacked = Path(tempfile.gettempdir()) / f"pgimport-tests-{package}"
    if not (unpacked / folder / sample).exists():
        with tempfile.TemporaryDirectory() as download:
            subprocess.run(["apt-get", "download", "--quiet", package], check=True, capture_output=True, cwd=download)
            (archive,) = Path(download).glob(f"{package}_*.deb")
            subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True, capture_output=True)
    return unpacked / folder
