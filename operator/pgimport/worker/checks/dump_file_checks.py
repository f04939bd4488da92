"""Runs the checks of a dump file on what its header and table of contents contain. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.providers import find_provider
from pgimport.model.result import DumpFileInfo, SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.checks.check_results import CheckResult, passed_check
from pgimport.worker.checks.content_checks import judge_encoding, judge_unsupported
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_file_size, judge_version
from pgimport.worker.scope.extensions import split_extensions
from pgimport.worker.text import count_of, format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContents:
    """Describes a dump file, as far as it can be read without restoring it."""

    address: str  # host and file name, for messages; contains no secret
    file: DumpFileInfo
    server_version: str  # of the server that was dumped: `16.4`
    server_version_num: int
    archive_version: str | None = None  # `1.16`; plain SQL has none
    extensions: Sequence[SourceExtension] = ()  # the version is empty: a dump does not contain it
    encoding: str = "UTF8"
    collate: str = "C"
    ctype: str = "C"
    locale_provider: str = "c"
    locale: str | None = None
    large_objects: int | None = None  # None: not known before the file is read
    skipped: Sequence[SkippedObject] = ()  # entries that the import skips
    side_effects: Sequence[str] = ()  # notes about imported objects that act on other systems


def judge_file(order: Order, contents: FileContents) -> list[CheckResult]:
    """Runs the checks that make sense for a file: nothing about poolers or privileges."""
    imported, skipped = split_extensions(order, find_provider(None, None, order.provider), contents.extensions)
    return [
        passed_check(CheckName.SOURCE_REACHABLE, _describe_file(contents)),
        judge_version(order, contents.server_version, contents.server_version_num),
        judge_file_size(order, contents.file.size_bytes),
        judge_encoding(build_facts(order, contents)),
        passed_check(CheckName.LARGE_OBJECTS, _describe_large_objects(contents.large_objects)),
        judge_unsupported(_group_by_kind(contents.skipped), list(contents.side_effects), "the file"),
        judge_extensions(order, imported, skipped),
    ]


def build_facts(order: Order, contents: FileContents) -> SourceInfo:
    """Returns the facts from which the shadow is created. Leaves out skipped extensions."""
    provider = find_provider(None, None, order.provider)
    imported, _ = split_extensions(order, provider, contents.extensions)
    return SourceInfo(
        server_version=contents.server_version,
        server_version_num=contents.server_version_num,
        file=contents.file,
        provider=provider.provider.value if provider.hosts else None,
        extensions=imported,
        encoding=contents.encoding,
        collate=contents.collate,
        ctype=contents.ctype,
        locale_provider=contents.locale_provider,
        locale=contents.locale,
    )


def _describe_file(contents: FileContents) -> str:
    file = contents.file
    parts = [f"{contents.address}: {file.format} dump of PostgreSQL {contents.server_version}"]
    if file.client_version:
        parts.append(f"by pg_dump {file.client_version}")
    if contents.archive_version:
        parts.append(f"archive version {contents.archive_version}")
    if file.compression != "none":
        parts.append(f"in {file.compression}")
    if file.size_bytes is not None:
        parts.append(format_bytes(file.size_bytes))
    return ", ".join(parts)


def _describe_large_objects(count: int | None) -> str:
    if count is None:
        return "their number is known when the import has read the file"
    return count_of(count, "large object") if count else "none"


def _group_by_kind(skipped: Sequence[SkippedObject]) -> list[tuple[str, int, list[str]]]:
    """Returns kind, count and names. The kind is the part in capitals: `EVENT TRIGGER` of `EVENT TRIGGER watch`."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for item in skipped:
        tokens = item.object.split(" ")
        name_index = next((index for index, token in enumerate(tokens) if not token.isupper()), len(tokens))
        name_index = max(name_index, 1)
        kinds[" ".join(tokens[:name_index])].append(" ".join(tokens[name_index:]))
    return [(kind, len(names), names) for kind, names in sorted(kinds.items())]
