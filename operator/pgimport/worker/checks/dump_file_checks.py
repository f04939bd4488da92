"""A dump file: what its header and contents tell comes in, the same report as of a live source goes out. Pure."""

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
    """What was read of a dump file without restoring it."""

    address: str  # for a person: host and file name, nothing secret
    file: DumpFileInfo
    server_version: str  # of the server that was dumped: `16.4`
    server_version_num: int
    archive_version: str | None = None  # `1.16`; plain SQL has none
    extensions: Sequence[SourceExtension] = ()  # the version, which a dump does not tell, may be empty
    encoding: str = "UTF8"
    collate: str = "C"
    ctype: str = "C"
    locale_provider: str = "c"
    locale: str | None = None
    large_objects: int | None = None  # None: not told
    left: Sequence[SkippedObject] = ()  # entries of kinds that stay behind
    effects: Sequence[str] = ()  # what comes along and may act on the outside world


def judge_file(order: Order, contents: FileContents) -> list[CheckResult]:
    """Checks of a live source that have no meaning for a file are left out."""
    wanted, left = split_extensions(order, find_provider(None, None, order.provider), contents.extensions)
    return [
        passed_check(CheckName.SOURCE_REACHABLE, _describe(contents)),
        judge_version(order, contents.server_version, contents.server_version_num),
        judge_file_size(order, contents.file.size_bytes),
        judge_encoding(build_facts(order, contents)),
        passed_check(CheckName.LARGE_OBJECTS, _describe_large_objects(contents.large_objects)),
        judge_unsupported(_count(contents.left), list(contents.effects), "the file"),
        judge_extensions(order, wanted, left),
    ]


def build_facts(order: Order, contents: FileContents) -> SourceInfo:
    """What the shadow must be like; extensions that stay behind are not among them."""
    provider = find_provider(None, None, order.provider)
    wanted, _ = split_extensions(order, provider, contents.extensions)
    return SourceInfo(
        server_version=contents.server_version,
        server_version_num=contents.server_version_num,
        file=contents.file,
        provider=provider.provider.value if provider.hosts else None,
        extensions=wanted,
        encoding=contents.encoding,
        collate=contents.collate,
        ctype=contents.ctype,
        locale_provider=contents.locale_provider,
        locale=contents.locale,
    )


def _describe(contents: FileContents) -> str:
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
        return "how many is known when the file is read"
    return count_of(count, "large object") if count else "none"


def _count(left: Sequence[SkippedObject]) -> list[tuple[str, int, list[str]]]:
    """`EVENT TRIGGER watch` → kind and name: the kind is what is written in capitals."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for one in left:
        words = one.object.split(" ")
        at = next((at for at, word in enumerate(words) if not word.isupper()), len(words))
        kinds[" ".join(words[: max(at, 1)])].append(" ".join(words[max(at, 1) :]))
    return [(kind, len(names), names) for kind, names in sorted(kinds.items())]
