"""Entry point of `python -m pgimport schema [FOLDER]`: prints the CRDs, or writes every generated file."""

from pathlib import Path

from pgimport.schema.crd import KINDS
from pgimport.schema.generated_files import build_document, build_files


def main(argv: list[str]) -> int:
    """Prints the CRDs; with a folder, writes all generated files below it and prints their paths.

    Returns 2 for any other arguments.
    """
    if not argv:
        print("".join(build_document(kind) for kind in KINDS), end="")
        return 0
    if len(argv) > 1 or argv[0].startswith("-"):
        print("usage: python -m pgimport schema [FOLDER OF THE CHECKOUT]")
        return 2
    for name, content in build_files().items():
        path = Path(argv[0], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        print(name)
    return 0
