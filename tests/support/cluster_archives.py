"""`python -m tests.support.cluster_archives FOLDER URL`: builds the commands for a cluster as one file, and for krew.

These commands need no compiled package, so any Python of the right version runs them from a zip file. The same sources
give the same bytes.
"""

import ast
import gzip
import hashlib
import importlib.metadata
import io
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from pgimport import __version__

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "operator"
PROGRAM = "pgimport.pyz"
ARCHIVE = "kubectl-pgimport.tar.gz"
MANIFEST = "pgimport.yaml"
ENTRY_MODULES = ("pgimport.cli.main", "pgimport.cli.cluster_commands")
LIBRARIES = ("rich",)  # the extra `cli`
TIME = (1980, 1, 1, 0, 0, 0)  # the oldest that a zip file can have
START = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("pgimport needs Python 3.11 or newer, and this is Python %d.%d" % sys.version_info[:2])
from os.path import basename

# One file is all programs: `pgimport`, kubectl's plugin, and the program that completes the plugin's arguments.
if basename(sys.argv[0]).startswith("kubectl_complete"):
    from pgimport.cli.cluster_commands.completion import kubectl_main as main
else:
    from pgimport.cli.main import main
sys.exit(main())
"""


def list_modules() -> dict[str, Path]:
    """Returns the files of the commands for a cluster, by their paths in the package, with all that they import."""
    files: dict[str, Path] = {}
    package = SOURCES / "pgimport" / "cli" / "cluster_commands"
    waiting = [*ENTRY_MODULES, *(f"pgimport.cli.cluster_commands.{path.stem}" for path in package.glob("*.py"))]
    while waiting:
        name = waiting.pop()
        path = SOURCES / Path(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        key = path.relative_to(SOURCES).as_posix()
        if key not in files and path.exists():
            files[key] = path
            parent, _, _ = name.rpartition(".")
            waiting += [*_list_imports(path), *([parent] if parent else [])]
    return files


def _list_imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_bytes())
    run = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    for node in (node for statement in run for node in ast.walk(statement)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "pgimport":
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def list_library_files() -> dict[str, Path]:
    """Returns the files of the libraries and of what they need, with their licences."""
    files: dict[str, Path] = {}
    waiting, seen = list(LIBRARIES), set[str]()
    while waiting:
        distribution = importlib.metadata.distribution(waiting.pop())
        if distribution.name in seen:
            continue
        seen.add(distribution.name)
        needed = [Requirement(text) for text in distribution.requires or ()]
        waiting += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
        for file in distribution.files or ():
            if _is_of_a_library(file):
                files[file.as_posix()] = Path(str(distribution.locate_file(file)))
    return files


def _is_of_a_library(file: importlib.metadata.PackagePath) -> bool:
    if ".." in file.parts or "__pycache__" in file.parts:
        return False
    return not file.parts[0].endswith(".dist-info") or file.name == "METADATA" or "LICENSE" in file.name


def build_program() -> bytes:
    """Builds the zip file that Python runs."""
    entries = {name: path.read_bytes() for name, path in (list_modules() | list_library_files()).items()}
    entries |= {"__main__.py": START.encode(), "LICENSE": (REPOSITORY / "LICENSE").read_bytes()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            archive.writestr(zipfile.ZipInfo(name, TIME), entries[name], zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/env python3\n" + content.getvalue()


def build_archive(program: bytes) -> bytes:
    """Builds the archive that krew unpacks."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, content, mode in (
            ("kubectl-pgimport", program, 0o755),
            ("LICENSE", (REPOSITORY / "LICENSE").read_bytes(), 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def build_manifest(archive: bytes, url: str) -> str:
    """Builds krew's manifest. `url`: of the folder from which people download the archive."""
    platform = {
        "selector": {"matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]},
        "uri": f"{url.rstrip('/')}/{ARCHIVE}",
        "sha256": hashlib.sha256(archive).hexdigest(),
        "bin": "kubectl-pgimport",
    }
    return yaml.safe_dump(
        {
            "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
            "kind": "Plugin",
            "metadata": {"name": "pgimport"},
            "spec": {
                "version": f"v{__version__}",
                "shortDescription": "Import PostgreSQL databases into previews",
                "description": "Creates, watches, explains and controls imports of PostgreSQL databases,\n"
                "and the preview databases that they fill.\n",
                "caveats": "The plugin needs Python 3.11 or newer as python3 on PATH.\n",
                "platforms": [platform],
            },
        },
        sort_keys=False,
    )


def main(folder: Path, url: str) -> int:
    folder.mkdir(exist_ok=True)
    program = build_program()
    (folder / PROGRAM).write_bytes(program)
    (folder / PROGRAM).chmod(0o755)
    archive = build_archive(program)
    (folder / ARCHIVE).write_bytes(archive)
    (folder / MANIFEST).write_text(build_manifest(archive, url))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
