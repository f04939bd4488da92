"""`python -m tests.packages.pythons [VERSION …]`: runs the quick unit tests on other versions of Python.

A version that is on PATH is used in a virtual environment. Otherwise, as root on Debian, the tests run in a chroot with
the Python of a Debian release. The release is installed once by debootstrap and stays in the cache.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from tests.cluster.bare.debian_base import run_debootstrap
from tests.cluster.bare.debian_packages import ensure_packages
from tests.cluster.commands import find_program, print_progress
from tests.cluster.digest import digest_of
from tests.cluster.instance import REPOSITORY, cache_folder
from tests.cluster.lock import only_one_in_cache

# The Debian release that has each version.
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid"}
TREE_PACKAGES = ("python3", "ca-certificates")
SOURCES = REPOSITORY / "operator"
REQUIREMENTS = REPOSITORY / "tests" / "requirements.txt"
PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")
# Tests of parsers, models and decisions, which need no server. All unit tests would take more than three minutes for
# each version.
TESTS = (
    "tests/architecture",
    "tests/decide",
    "tests/fuzz",
    "tests/kubernetes_client",
    "tests/manifest",
    "tests/model",
    "tests/reconcile",
    "tests/schema",
    "tests/worker/archive",
    "tests/cli/test_console.py",
    "tests/test_main.py",
    "tests/test_settings.py",
)
UNIT = "not cluster and not thorough and not majors and not real"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", UNIT)

# Runs in a mount namespace of its own, so nothing stays mounted. The checkout is read-only.
IN_TREE = """
set -e
tree=$1 checkout=$2 packages=$3 version=$4
shift 4
mkdir -p "$tree/mnt" "$tree/usr/local/lib/python$version/dist-packages"
mount --rbind /dev "$tree/dev"
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/tmp"
mount --bind "$checkout" "$tree/mnt"
mount -o remount,bind,ro "$tree/mnt"
mount --bind "$packages" "$tree/usr/local/lib/python$version/dist-packages"
exec chroot "$tree" sh -c 'cd /mnt && exec "$@"' sh "python$version" "$@"
"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 if the tests passed on every version that this machine can run, else 1."""
    current = ".".join(platform.python_version_tuple()[:2])
    versions = list(arguments) or [version for version in SUITES if version != current]
    failed = []
    for version in versions:
        run_tests = _find_python(version)
        if run_tests is None:
            print(f"Python {version}: skipped. Install python{version}, or run this as root on Debian.")
            continue
        print_progress(f"running {len(TESTS)} test packages on Python {version}")
        if run_tests([*PYTEST, *TESTS]) != 0:
            failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _find_python(version: str) -> Callable[[Sequence[str]], int] | None:
    """Returns a function that runs this version with arguments, or None if the machine cannot run it."""
    program = f"python{version}"
    # A shim on PATH may name a version that is not installed: only a run tells.
    if find_program(program) and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
        return lambda arguments: _run_with(program, version, arguments)
    if os.geteuid() == 0 and find_program("apt-get") is not None and version in SUITES:
        return lambda arguments: _run_in_tree(version, arguments)
    return None


def _run_with(program: str, version: str, arguments: Sequence[str]) -> int:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ensure_site_packages(version)}:{SOURCES}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run([program, *arguments], cwd=REPOSITORY, env=environment, check=False).returncode


def _run_in_tree(version: str, arguments: Sequence[str]) -> int:
    script = ["unshare", "--mount", "sh", "-c", IN_TREE, "sh"]
    folders = [_ensure_tree(version), REPOSITORY, ensure_site_packages(version)]
    environment = {
        "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONPATH": "/mnt/operator",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    }
    return subprocess.run([*script, *folders, version, *arguments], env=environment, check=False).returncode


def _ensure_tree(version: str) -> Path:
    """Returns the root file system of the release that has this version. Raises RuntimeError if it has another."""
    suite = SUITES[version]
    tree = cache_folder() / f"python-{suite}"
    with only_one_in_cache(tree.name):
        if not tree.exists():
            ensure_packages()
            print_progress(f"installing Debian {suite} into {tree}")
            unfinished = tree.with_name(f"unfinished-{tree.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            run_debootstrap(suite, TREE_PACKAGES, unfinished)
            unfinished.rename(tree)
    if not (tree / "usr" / "bin" / f"python{version}").exists():
        raise RuntimeError(f"Debian {suite} has no Python {version} any more: change SUITES in {__file__}")
    return tree


def ensure_site_packages(version: str) -> Path:
    """Returns a folder with the locked test requirements as wheels of this version."""
    folder = cache_folder() / f"site-packages-{version}-{digest_of([REQUIREMENTS], PLATFORMS)}"
    with only_one_in_cache(f"site-packages-{version}"):
        if not folder.exists():
            print_progress(f"installing the packages of {REQUIREMENTS.name} for Python {version}")
            for old in folder.parent.glob(f"site-packages-{version}-*"):
                shutil.rmtree(old, ignore_errors=True)
            unfinished = folder.with_name(f"unfinished-{folder.name}")
            shutil.rmtree(unfinished, ignore_errors=True)
            _install(version, unfinished)
            unfinished.rename(folder)
    return folder


def _install(version: str, folder: Path) -> None:
    """Installs with this environment's pip, which knows the way to its index."""
    folder.mkdir(parents=True)
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join(select_requirements(REQUIREMENTS.read_text(), version)))
    machine = "aarch64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    tags = [f"--platform={name}_{machine}" for name in PLATFORMS]
    abis = [f"--abi={abi}" for abi in (f"cp{version.replace('.', '')}", "abi3", "none")]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", "--no-deps", "--no-compile", "--require-hashes", "--implementation=cp"),
            *(f"--python-version={version}", *tags, *abis),
            *("--target", folder, "--requirement", requirements),
        ],
        check=True,
    )


def select_requirements(locked: str, version: str) -> list[str]:
    """Selects the requirements of a lock file that apply to a version of Python on Linux, with their hashes.

    pip evaluates markers for the Python that runs it, also with --python-version. So the markers are removed.
    """
    environment: dict[str, str | AbstractSet[str]] = {name: str(value) for name, value in default_environment().items()}
    environment |= {"python_version": version, "python_full_version": f"{version}.0"}
    selected = []
    for entry in locked.replace("\\\n", " ").splitlines():
        if not entry or entry.startswith("#"):
            continue
        text, *hashes = entry.split("--hash=")
        requirement = Requirement(text.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            hash_options = [f"--hash={value.strip()}" for value in hashes]
            selected.append(" ".join([f"{requirement.name}{requirement.specifier}", *hash_options]))
    return selected


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
