"""Finds out which extensions the objects of a source need. Pure."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.scope.patterns import ANY_RELATION, NameFilter

# schema, relation and title of an object that needs an extension, or the extension that needs it
NeedRow = tuple[str, str | None, str | None, str | None, str | None]
# Entries that describe an extension or fill its tables, and that need no extension by themselves.
_DESCRIBING_KINDS = frozenset({"ACL", "COMMENT", "EXTENSION", "SECURITY LABEL", "SEQUENCE SET", "TABLE DATA"})


@dataclass(slots=True)
class ExtensionNeeds:
    """Which objects outside of an extension need it, and which extensions need others."""

    objects: dict[str, list[str]] = field(default_factory=dict)  # extension → titles of objects that need it
    requiring: dict[str, set[str]] = field(default_factory=dict)  # extension → extensions that need it
    is_partial: bool = False  # whether later parts of a file may need more

    def add(self, extension: str, title: str) -> None:
        self.objects.setdefault(extension, []).append(title)

    def find_dependents(self, extension: str, seen: Collection[str] = ()) -> list[str]:
        """Returns titles of the objects that need an extension directly or through another extension."""
        titles = list(self.objects.get(extension, ()))
        for other in sorted(self.requiring.get(extension, set()).difference(seen, (extension,))):
            titles += self.find_dependents(other, (*seen, extension))
        return list(dict.fromkeys(titles))


def collect_needs(
    rows: Iterable[NeedRow], includes: NameFilter, skipped_schemas: Collection[str] = ()
) -> ExtensionNeeds:
    """Builds the needs from the rows of `extension_needs.sql`. Objects that the import skips need nothing."""
    needs = ExtensionNeeds()
    for extension, needed_by, schema, relation, title in rows:
        if needed_by is not None:
            needs.requiring.setdefault(extension, set()).add(needed_by)
        elif schema is None or (schema not in skipped_schemas and includes(schema, relation or ANY_RELATION)):
            needs.add(extension, title or "")
    return needs


def collect_archive_needs(entries: Sequence[TocEntry]) -> ExtensionNeeds:
    """Builds the needs from the dependencies of an archive's entries."""
    needs = ExtensionNeeds()
    extensions = {entry.dump_id: entry.tag for entry in entries if entry.kind == "EXTENSION"}
    for entry in entries:
        for name in {extensions[dump_id] for dump_id in entry.dependencies if dump_id in extensions}:
            if entry.kind == "EXTENSION":
                needs.requiring.setdefault(name, set()).add(entry.tag)
            elif entry.kind not in _DESCRIBING_KINDS:
                needs.add(name, entry.title)
    return needs
