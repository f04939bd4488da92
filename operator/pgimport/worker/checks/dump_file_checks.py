"""Runs the checks of a dump file on what its header and table of contents contain. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.result import DumpFileInfo, SkippedObject, SourceExtension, SourceInfo
from pgimport.worker.archive.database_properties import DatabaseProperties
from pgimport.worker.checks.check_results import CheckResult, passed_check
from pgimport.worker.checks.content_checks import judge_encoding, judge_unsupported
from pgimport.worker.checks.target_fit_checks import judge_extensions, judge_file_size, judge_version
from pgimport.worker.scope.database_settings import StoredProperties
from pgimport.worker.scope.extension_needs import ExtensionNeeds
from pgimport.worker.scope.extensions import ExtensionContext, ExtensionSplit, split_extensions
from pgimport.worker.scope.provider import detect_file_provider
from pgimport.worker.text import count_of, format_bytes, some_of

MAX_COLUMNS = 20  # columns that a note names


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContents:
    """Describes a dump file, as far as it can be read without restoring it."""

    address: str  # host and file name, for messages; contains no secret
    file: DumpFileInfo
    server_version: str  # of the server that was dumped: `16.4`
    server_version_num: int
    archive_version: str | None = None  # `1.16`; plain SQL has none
    extensions: Sequence[SourceExtension] = ()  # the version is empty: a dump does not contain it
    properties: DatabaseProperties = field(default_factory=DatabaseProperties)
    schemas: Sequence[str] = ()
    extension_needs: ExtensionNeeds | None = None  # None: not known
    stored: StoredProperties = field(default_factory=StoredProperties)
    money_columns: Sequence[str] = ()  # `public.orders.total`
    large_objects: int | None = None  # None: not known before the file is read
    skipped: Sequence[SkippedObject] = ()  # entries that the import skips
    side_effects: Sequence[str] = ()  # notes about imported objects that act on other systems


def judge_file(order: Order, contents: FileContents) -> list[CheckResult]:
    """Runs the checks that make sense for a file: nothing about poolers or privileges."""
    return [
        passed_check(CheckName.SOURCE_REACHABLE, _describe_file(contents)),
        # Only the archive's version matters: pg_restore and psql read dumps of all older servers.
        judge_version(order, contents.server_version, contents.server_version_num, oldest=0),
        judge_file_size(order, contents.file.size_bytes),
        judge_encoding(build_facts(order, contents), file_notes=_describe_unknown_settings(order, contents)),
        passed_check(CheckName.LARGE_OBJECTS, _describe_large_objects(contents.large_objects)),
        judge_unsupported(_group_by_kind(contents.skipped), list(contents.side_effects), "the file"),
        judge_extensions(order, split_file_extensions(order, contents)),
    ]


def split_file_extensions(order: Order, contents: FileContents) -> ExtensionSplit:
    """Splits the extensions of a file into imported and skipped ones."""
    provider = detect_file_provider(order, contents.schemas, [item.name for item in contents.extensions])
    return split_extensions(ExtensionContext(order, provider, contents.extension_needs), contents.extensions)


def build_facts(order: Order, contents: FileContents) -> SourceInfo:
    """Returns the facts from which the shadow is created. Leaves out skipped extensions."""
    provider = detect_file_provider(order, contents.schemas, [item.name for item in contents.extensions])
    return SourceInfo(
        server_version=contents.server_version,
        server_version_num=contents.server_version_num,
        file=contents.file,
        provider=provider.provider.value if provider.hosts else None,
        extensions=split_file_extensions(order, contents).imported,
        encoding=contents.properties.encoding,
        collate=contents.properties.collate,
        ctype=contents.properties.ctype,
        locale_provider=contents.properties.locale_provider,
        locale=contents.properties.locale,
        locale_known=contents.properties.locale_known,
        comment=contents.stored.comment,
        settings=contents.stored.settings,
    )


def _describe_unknown_settings(order: Order, contents: FileContents) -> list[str]:
    """Returns notes about settings of the source that change values or sorting, and that the file does not contain."""
    return [
        *_describe_locale(order, contents.properties),
        *_describe_money(contents.money_columns, contents.properties.ctype),
    ]


def _describe_locale(order: Order, properties: DatabaseProperties) -> list[str]:
    if order.target_locale is not None:
        return []
    default = order.target.default_locale
    unknown_default = "the default locale of the target server"
    copy_locale = f"{default}, {unknown_default}" if default else unknown_default
    if properties.windows_locales:
        names = ", ".join(f"'{name}'" for name in properties.windows_locales)
        copy_locale = properties.collate if properties.locale_known else copy_locale
        return [
            f"The database has the locale {names}, which only Windows has. The copy gets {copy_locale}, and text may be"
            " sorted differently. To choose another one, set spec.target.locale"
        ]
    if not properties.locale_known:
        return [
            f"The file does not contain the locale of its database. The copy gets {copy_locale}. If the source has"
            " another one, text is sorted differently, and lower() and upper() may return other values: set"
            " spec.target.locale"
        ]
    return []


def _describe_money(columns: Sequence[str], ctype: str) -> list[str]:
    if not columns:
        return []
    return [
        f"These columns have the type money: {some_of(list(columns), MAX_COLUMNS)}. Their text depends on lc_monetary,"
        f" which the file does not contain. They are read in the locale {ctype}: with another lc_monetary, 12.34 may"
        f" become 1234.00. Compare them with the source, or dump with PGOPTIONS='-c lc_monetary={ctype}' in the"
        " environment of pg_dump"
    ]


def _describe_file(contents: FileContents) -> str:
    file = contents.file
    version = contents.server_version if contents.server_version_num else "of unknown version"
    parts = [f"{contents.address}: {file.format} dump of PostgreSQL {version}"]
    if file.client_version:
        parts.append(f"by pg_dump {file.client_version}")
    if contents.archive_version:
        parts.append(f"archive version {contents.archive_version}")
    if file.compression != "none":
        parts.append(f"in {file.compression}")
    if file.path is not None:
        parts.append(f"as {file.path} in the file")
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
