"""Compiles locales of the C library for the servers of unit tests. Nothing is installed on the machine."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEFINITIONS = Path("/usr/share/i18n")  # of Debian's package `locales`


@contextmanager
def compiled_locales(*names: str) -> Iterator[Path]:
    """Yields a folder with these locales, such as `de_DE.UTF-8`, for the environment variable LOCPATH of a server."""
    folder = Path(tempfile.mkdtemp(prefix="pgimport-tests-locales-"))
    try:
        definitions = DEFINITIONS if (DEFINITIONS / "locales").exists() else _unpack_definitions(folder)
        for name in names:
            language, _, encoding = name.partition(".")
            subprocess.run(
                ["localedef", "--no-archive", f"--inputfile={language}", f"--charmap={encoding}", folder / name],
                check=True,
                capture_output=True,
                env={"PATH": "/usr/bin:/bin", "I18NPATH": str(definitions), "LC_ALL": "C"},
            )
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        yield folder
    finally:
        shutil.rmtree(folder)


def _unpack_definitions(folder: Path) -> Path:
    """Downloads the package `locales` with apt and unpacks it."""
    subprocess.run(["apt-get", "download", "--quiet", "locales"], check=True, capture_output=True, cwd=folder)
    (package,) = folder.glob("locales_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder / "package"], check=True, capture_output=True)
    return folder / "package" / "usr" / "share" / "i18n"
