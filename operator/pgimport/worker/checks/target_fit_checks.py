"""Checks that a source fits the target: version, size and extensions. Pure."""

from collections.abc import Sequence

from pgimport.model.import_choices import Engine
from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.model.result import SourceExtension
from pgimport.worker.checks.check_results import (
    CheckResult,
    failed_check,
    join_sentences,
    passed_check,
    warned_check,
)
from pgimport.worker.engines.file.dump_stream import SMALLER_DUMP
from pgimport.worker.memory import COPIES_OF_A_ROW, OWN_MEMORY, STREAM_MEMORY
from pgimport.worker.scope.extensions import ExtensionSplit, is_available
from pgimport.worker.text import format_bytes, some_of

OLDEST_SOURCE = 14  # oldest major version whose client programs still get fixes
MAX_LOSSES = 10  # objects that a message names
WARN_SHARE = 0.8  # of the order's storage limit; the check warns above it
# Share of pg_database_size that a dump needs. The highest measured is 25 %, for a database without indexes;
# content that compresses badly, such as images, needs more.
SCRATCH_SHARE = 0.3
# Extensions that also need an entry in the target's shared_preload_libraries.
PRELOADED = frozenset({"citus", "pg_cron", "pg_partman_bgw", "pgaudit", "pglogical", "timescaledb"})

_WHOLE_DATABASE = "This is the size of the whole database, whatever a filter leaves out"
_SMALLER_SOURCE = (
    "Ask the platform's admin to raise the Project's storageLimitBytes, or import a dump file with fewer rows"
    " (pg_dump --exclude-table-data)."
)


def judge_version(order: Order, version: str, version_num: int, *, oldest: int = OLDEST_SOURCE) -> CheckResult:
    """Judges the version of the source's server. `oldest`: the oldest major version that can be imported."""
    source_major, target_major = version_num // 10000, order.target.server_version_num // 10000
    if source_major > target_major:
        return failed_check(
            CheckName.SOURCE_VERSION_COMPATIBLE,
            Reason.SOURCE_NEWER_THAN_TARGET,
            f"the source is PostgreSQL {source_major}, but the target is only PostgreSQL {target_major}",
        )
    if source_major < oldest:
        return failed_check(
            CheckName.SOURCE_VERSION_COMPATIBLE,
            Reason.SOURCE_VERSION_UNSUPPORTED,
            f"the source is PostgreSQL {version}, but the oldest supported version is {oldest}",
        )
    source = f"source {version}" if source_major else "source of unknown version"
    return passed_check(CheckName.SOURCE_VERSION_COMPATIBLE, f"{source}, target {order.target.server_version}")


def judge_size(order: Order, size: int, with_rows: Sequence[str] = (), memory: int | None = None) -> CheckResult:
    """Judges the size of a live database, indexes included.

    `with_rows`: extensions whose own tables contain rows of users; they require the dump engine.
    `memory`: bytes that this pod may use, None without a limit.
    """
    limit = order.storage_limit_bytes
    text = f"the source has {format_bytes(size)} ({size} bytes), {_describe_limit(limit, size)}"
    if limit is not None and size > limit:
        return failed_check(
            CheckName.SOURCE_SIZE_WITHIN_PLAN, Reason.SOURCE_TOO_LARGE, text, _WHOLE_DATABASE, hint=_SMALLER_SOURCE
        )
    notes = ["This is more than 80 % of the limit"] if _is_nearly_full(limit, size) else []
    if order.engine is Engine.DUMP or with_rows:
        is_enough, needs = _judge_scratch(order, size)
    else:
        is_enough, needs = _judge_memory(memory)
    if notes or not is_enough:
        return warned_check(
            CheckName.SOURCE_SIZE_WITHIN_PLAN, join_sentences([text, *notes, *([] if is_enough else [needs])])
        )
    return passed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, join_sentences([text, needs]))


def _describe_limit(limit: int | None, size: int | None) -> str:
    if limit is None:
        return "and the plan has no limit"
    if size is not None and size > limit:
        return f"but the Project allows only {format_bytes(limit)}"
    return f"and the Project allows {format_bytes(limit)}"


def _is_nearly_full(limit: int | None, size: int) -> bool:
    return limit is not None and size > limit * WARN_SHARE


def _judge_scratch(order: Order, size: int) -> tuple[bool, str]:
    """Returns whether scratch is large enough for a dump, and a sentence that says how much it needs."""
    needed = round(size * SCRATCH_SHARE)
    if order.scratch_bytes is None or needed <= order.scratch_bytes:
        return True, f"A dump needs about {format_bytes(needed)} of scratch"
    return False, (
        f"A dump may need {format_bytes(needed)} of scratch, but only has {format_bytes(order.scratch_bytes)}. Raise"
        " spec.scratch.size"
    )


def _judge_memory(memory: int | None) -> tuple[bool, str]:
    """Returns whether memory is large enough for the relay, which buffers whole rows, and a sentence about it."""
    if memory is None:
        return True, "The relay needs no scratch"
    for_rows = memory - OWN_MEMORY - STREAM_MEMORY
    if for_rows <= 0:
        stream = format_bytes(OWN_MEMORY + STREAM_MEMORY)
        return False, (
            f"The worker may use {format_bytes(memory)} of memory, but one stream needs {stream} and four times the"
            " largest row. Raise spec.resources.limits.memory"
        )
    return True, (
        f"The relay needs no scratch. With {format_bytes(memory)} of memory, a row may have up to"
        f" {format_bytes(for_rows // COPIES_OF_A_ROW)}"
    )


def judge_file_size(order: Order, size: int | None) -> CheckResult:
    """Judges the size of a dump file. The database becomes larger, because a dump is compressed and has no indexes."""
    limit = order.storage_limit_bytes
    if size is None:
        text = f"the size of the file is not known, {_describe_limit(limit, size)}"
        if limit is None:
            return passed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, text)
        note = "The worker watches the size during the import"
        return warned_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, join_sentences([text, note]))
    text = f"the file has {format_bytes(size)} ({size} bytes), {_describe_limit(limit, size)}"
    larger = "The database will be larger than its dump"
    if limit is not None and size > limit:
        return failed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, Reason.SOURCE_TOO_LARGE, text, larger, hint=SMALLER_DUMP)
    if _is_nearly_full(limit, size):
        notes = ["This is more than 80 % of the limit", larger]
        return warned_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, join_sentences([text, *notes]))
    return passed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, text if limit is None else join_sentences([text, larger]))


def judge_extensions(order: Order, split: ExtensionSplit, with_rows: Sequence[str] = ()) -> CheckResult:
    """Judges the source's extensions. `with_rows`: extensions whose own tables contain rows of users.

    This is only a forecast. Before any row is copied, the operator tries to create each extension: hooks of a server
    may allow or deny one, which its catalogs do not show.
    """
    required = [extension.name for extension in split.imported if extension.required]
    forbidden = [name for name in required if name not in order.allowed_extensions]
    missing = [name for name in required if name not in forbidden and not is_available(order, name)]
    if forbidden or missing:
        return _refuse_extensions(split, forbidden, missing)
    if split.imported:
        sentences = [
            ", ".join(_describe_extension(extension) for extension in split.imported),
            "The target gets its own version of each",
        ]
    else:
        sentences = ["the import needs none" if split.skipped else "the source uses none"]
    if split.skipped:
        names = ", ".join(f"{name} ({reason})" for name, reason in split.skipped.items())
        sentences.append(f"The import skips {names}")
    if with_rows:
        sentences.append(
            f"The import copies users' rows in tables of {', '.join(with_rows)} if the target's admin can grant access"
        )
    creatable = order.target.creatable_extensions
    if doubtful := [extension for extension in split.imported if extension.name not in creatable]:
        sentences += _describe_doubts(split, doubtful)
        return warned_check(CheckName.EXTENSIONS_AVAILABLE_ON_TARGET, join_sentences(sentences))
    return passed_check(CheckName.EXTENSIONS_AVAILABLE_ON_TARGET, join_sentences(sentences))


def _describe_doubts(split: ExtensionSplit, doubtful: Sequence[SourceExtension]) -> list[str]:
    """Returns sentences about extensions that only a superuser may create, as the target's catalogs say."""
    names = ", ".join(extension.name for extension in doubtful)
    sentences = [
        f"By its catalogs, the target server lets only a superuser create {names}. The import tries it before it copies"
        " any row"
    ]
    if required := [extension.name for extension in doubtful if extension.required]:
        sentences.append(
            f"If the server refuses {', '.join(required)} and no database of the Project's spec.server.templates"
            " contains it, the import ends. To import without it, name it in spec.filter.excludeExtensions."
            f" {_describe_losses(split, required)}"
        )
    return sentences


def _describe_losses(split: ExtensionSplit, names: Sequence[str], before: str = "The copy would then lack") -> str:
    losses = list(dict.fromkeys(title for name in names for title in split.dependents.get(name, ())))
    if not losses:
        return "A plain dump does not tell which objects the copy would then lack"
    return f"{before} {some_of(losses, MAX_LOSSES)}"


_INSTALL = (
    "Install the packages on the target server, or skip the extensions and what needs them with"
    " filter.excludeExtensions."
)


def _refuse_extensions(split: ExtensionSplit, forbidden: Sequence[str], missing: Sequence[str]) -> CheckResult:
    sentences = []
    if forbidden:
        sentences.append(f"the Project does not allow extensions: {', '.join(forbidden)}")
    if missing:
        sentences.append(
            f"{'The' if forbidden else 'the'} target server does not have extensions: {', '.join(missing)}. Ask its"
            " admin to install their packages; a superuser must create those that are not trusted"
        )
    names = [*forbidden, *missing]
    if preloaded := [name for name in names if name in PRELOADED]:
        sentences.append(f"The target's shared_preload_libraries must also contain {', '.join(preloaded)}")
    sentences.append(_describe_losses(split, names, "Without them, the copy would lack"))
    return failed_check(
        CheckName.EXTENSIONS_AVAILABLE_ON_TARGET,
        Reason.EXTENSION_NOT_ALLOWED,
        join_sentences(sentences),
        hint="" if forbidden else _INSTALL,
    )


def _describe_extension(extension: SourceExtension) -> str:
    name = f"{extension.name} {extension.version}".strip()
    is_unusual = extension.schema_name not in (None, "public", "pg_catalog")
    return f"{name} in schema {extension.schema_name}" if is_unusual else name
