"""Debian's archive, as this host reaches it, goes in; a release's file system comes out as one archive."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from tests.cluster.bare.mounts import unmount_below
from tests.cluster.commands import find_program, print_progress, run
from tests.cluster.digest import digest_of
from tests.cluster.instance import cache_folder

SUITE = "trixie"
# Which release has which major of PostgreSQL; 16 is in none of them.
SUITES = {"15": "bookworm", "17": SUITE, "18": "sid"}

# What the project's Dockerfiles expect of their base: the Python of the public one, with pip for the build.
PACKAGES = ("python3", "python3-pip", "ca-certificates")

# Nobody reads them in a container, and they are a third of the size.
LEFT_OUT = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./var/cache/apt", "./var/lib/apt/lists")

# How this host reaches the archive; what else it sets is its own affair.
REACHING = ("Acquire::http::", "Acquire::https::", "Acquire::Check-", "Acquire::Retries", "Acquire::Force")


def _dpkg_settings() -> list[str]:
    return [f"path-exclude={name.removeprefix('.')}/*" for name in LEFT_OUT if name.startswith("./usr")]


def base_digest(suite: str = SUITE) -> str:
    return f"{suite}-{digest_of([], [suite, *_packages(suite), *LEFT_OUT, *_dpkg_settings()])}"


def _packages(suite: str) -> tuple[str, ...]:
    """Only images of ours are made upon the one suite; of the others, servers and clients are taken."""
    return PACKAGES if suite == SUITE else ("ca-certificates",)


def host_apt_settings() -> str:
    """Lines for a build's apt.conf: mounted while it runs, never part of an image."""
    lines = run(["apt-config", "dump"]).splitlines()
    return "".join(f"{line}\n" for line in lines if line.startswith(REACHING))


def _mirror() -> list[str]:
    """The host's own mirror of Debian, if it names one: debootstrap's default may be out of its reach."""
    if find_program("apt-get") is None:
        return []
    shown = run(["apt-get", "indextargets", "--format", "$(SITE) $(REPO_URI)", "Created-By: Packages"])
    addresses = [line.split()[1] for line in shown.splitlines() if len(line.split()) == 2]
    return [address for address in addresses if address.rstrip("/").endswith("/debian")][:1]


def _proxy() -> dict[str, str]:
    shown = run(["apt-config", "shell", "PROXY", "Acquire::http::Proxy"]).strip()
    return {"http_proxy": shown.partition("=")[2].strip("'")} if shown else {}


def _leave_out_later(folder: Path) -> None:
    """Packages that a Dockerfile installs upon the base leave out the same parts."""
    (folder / "etc" / "dpkg" / "dpkg.cfg.d" / "small").write_text("\n".join([*_dpkg_settings(), ""]))


def _without_parts(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    inside = any(entry.name.startswith(f"{folder}/") for folder in LEFT_OUT)
    device = entry.isdev()  # a container gets its own /dev, and not everybody may unpack these
    return None if inside or device else entry


def unfinished_folder() -> Path:
    """debootstrap mounts /proc in it, and leaves it so when it is killed."""
    return cache_folder() / "unfinished-base"


def ensure_base_archive(suite: str = SUITE) -> Path:
    """Its caller holds the cache's lock for images."""
    archive = cache_folder() / f"base-{base_digest(suite)}.tar"
    if archive.exists():
        return archive
    print_progress(f"making a base file system: Debian {suite} by debootstrap")
    folder, unfinished = unfinished_folder(), cache_folder() / "unfinished-base.tar"
    unmount_below(folder)
    shutil.rmtree(folder, ignore_errors=True)
    include = f"--include={','.join(_packages(suite))}"
    run(["debootstrap", "--variant=minbase", include, suite, folder, *_mirror()], env=_proxy())
    _leave_out_later(folder)
    with tarfile.open(unfinished, "w") as file:
        file.add(folder, arcname=".", filter=_without_parts)
    unfinished.rename(archive)
    shutil.rmtree(folder)
    return archive
