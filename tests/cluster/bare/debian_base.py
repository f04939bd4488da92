"""Creates base file systems of Debian releases with debootstrap, from the mirror that this host uses."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.bare.mounts import unmount_below
from tests.cluster.commands import find_program, print_progress, run
from tests.cluster.digest import digest_of
from tests.cluster.instance import cache_folder

SUITE = "trixie"
# The release that has each major version of PostgreSQL; none has 16.
SUITES = {"15": "bookworm", "17": SUITE, "18": "sid"}

# What the project's Dockerfiles expect of their base: the Python of the public one, with pip for the build.
PACKAGES = ("python3", "python3-pip", "ca-certificates")

# Not needed in a container, and a third of the size.
EXCLUDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./var/cache/apt", "./var/lib/apt/lists")

# The apt settings with which this host reaches the archive.
APT_SETTINGS = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::Force")


def _dpkg_settings() -> list[str]:
    return [f"path-exclude={name.removeprefix('.')}/*" for name in EXCLUDED if name.startswith("./usr")]


def base_digest(suite: str = SUITE) -> str:
    return f"{suite}-{digest_of([], [suite, *_packages(suite), *EXCLUDED, *_dpkg_settings()])}"


def _packages(suite: str) -> tuple[str, ...]:
    """Returns the packages of a base: those of the Dockerfiles for the suite of our images, few for the others."""
    return PACKAGES if suite == SUITE else ("ca-certificates",)


def host_apt_settings() -> str:
    """Returns lines for apt.conf that are mounted during a build and never become part of an image."""
    lines = run(["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(APT_SETTINGS))


def _mirror() -> list[str]:
    """Returns the host's own mirror of Debian, if it has one, because debootstrap's default may be unreachable."""
    if find_program("apt-get") is None:
        return []
    shown = run(["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI)", "Created-By: Packages"])
    addresses = [line.split()[1] for line in shown.splitlines() if len(line.split()) == 2]
    return [address for address in addresses if address.rstrip("/").endswith("/debian")][:1]


def _proxy() -> dict[str, str]:
    shown = run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]).strip()
    return {"http_proxy": shown.partition("=")[2].strip("'")} if shown else {}


def _exclude_later(folder: Path) -> None:
    """Makes dpkg exclude the same files when a Dockerfile installs more packages."""
    (folder / "etc" / "dpkg" / "dpkg.cfg.d" / "small").write_text("\n".join([*_dpkg_settings(), ""]))


def _filter_entry(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    inside = any(entry.name.startswith(f"{folder}/") for folder in EXCLUDED)
    device = entry.isdev()  # a container gets its own /dev, and unpacking these needs rights
    return None if inside or device else entry


def run_debootstrap(suite: str, packages: Sequence[str], folder: Path) -> None:
    """Creates the smallest file system of a release that has these packages."""
    include = f"--include={','.join(packages)}"
    run(["debootstrap", "--variant=minbase", include, suite, folder, *_mirror()], env=_proxy())


def unfinished_folder() -> Path:
    """Returns the folder in which debootstrap works. A killed debootstrap leaves /proc mounted there."""
    return cache_folder() / "unfinished-base"


def ensure_base_archive(suite: str = SUITE) -> Path:
    """Returns the archive of a base file system, and creates it first unless it exists.

    The caller must hold the cache's lock for images.
    """
    archive = cache_folder() / f"base-{base_digest(suite)}.tar"
    if archive.exists():
        return archive
    print_progress(f"making a base file system: Debian {suite} by debootstrap")
    folder, unfinished = unfinished_folder(), cache_folder() / "unfinished-base.tar"
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)
    run_debootstrap(suite, _packages(suite), folder)
    _exclude_later(folder)
    with tarfile.open(unfinished, "w") as file:
        file.add(folder, arcname=".", filter=_filter_entry)
    unfinished.rename(archive)
    shutil.rmtree(folder)
    return archive
