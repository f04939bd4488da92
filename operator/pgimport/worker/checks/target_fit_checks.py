"""Does a source fit the target: version, size, extensions. Facts and the order come in, verdicts go out. Pure."""

from collections.abc import Sequence

from pgimport.model.import_choices import Engine
from pgimport.model.order import Order
from pgimport.model.preflight_checks import CheckName
from pgimport.model.reasons import Reason
from pgimport.model.result import SkippedObject, SourceExtension
from pgimport.worker.checks.check_results import CheckResult, failed_check, passed_check, warned_check
from pgimport.worker.memory import COPIES_OF_A_ROW, OWN_MEMORY, STREAM_MEMORY
from pgimport.worker.text import format_bytes

OLDEST_SOURCE = 14  # the oldest major that the clients still get fixes for
WARN_SHARE = 0.8  # of the plan's limit
# Of pg_database_size: a quarter was seen at most without indexes; what compresses badly (images) needs more.
SCRATCH_SHARE = 0.3
# They want a place in shared_preload_libraries of the target; creating them alone is not enough.
PRELOADED = frozenset({"citus", "pg_cron", "pg_partman_bgw", "pgaudit", "pglogical", "timescaledb"})


def judge_version(order: Order, version: str, version_num: int) -> CheckResult:
    source, target = version_num // 10000, order.target.server_version_num // 10000
    if source > target:
        return failed_check(
            CheckName.SOURCE_VERSION_COMPATIBLE,
            Reason.SOURCE_NEWER_THAN_TARGET,
            f"the source is PostgreSQL {source}, the target only {target}",
        )
    if source < OLDEST_SOURCE:
        return failed_check(
            CheckName.SOURCE_VERSION_COMPATIBLE,
            Reason.SOURCE_VERSION_UNSUPPORTED,
            f"the source is PostgreSQL {version}; {OLDEST_SOURCE} and newer can be imported",
        )
    return passed_check(CheckName.SOURCE_VERSION_COMPATIBLE, f"source {version}, target {order.target.server_version}")


def judge_size(order: Order, size: int, with_rows: Sequence[str] = (), memory: int | None = None) -> CheckResult:
    """Of a live database: what it takes there, indexes and all.

    `with_rows`: extensions in whose own tables users keep rows; `memory`: bytes this pod may use, None without limit.
    """
    limit, text = order.storage_limit_bytes, f"the source holds {format_bytes(size)} ({size} bytes)"
    allowed = "the plan has no limit" if limit is None else f"the plan allows {format_bytes(limit)}"
    if limit is not None and size > limit:
        return failed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, Reason.SOURCE_TOO_LARGE, f"{text}, {allowed}")
    notes = ["more than 80 % of it"] if limit is not None and size > limit * WARN_SHARE else []
    if order.engine is Engine.DUMP or with_rows:
        enough, needs = _judge_scratch(order, size)
    else:
        enough, needs = _judge_memory(memory)
    if not enough:
        notes.append(needs)
    if notes:
        return warned_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, f"{text}, {allowed}: {'; '.join(notes)}")
    return passed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, f"{text}, {allowed}; {needs}")


def _judge_scratch(order: Order, size: int) -> tuple[bool, str]:
    """Is there enough for a dump, and what it needs."""
    scratch = round(size * SCRATCH_SHARE)
    if order.scratch_bytes is None or scratch <= order.scratch_bytes:
        return True, f"a dump needs about {format_bytes(scratch)} of scratch"
    return False, (
        f"a dump may need {format_bytes(scratch)} of scratch and has {format_bytes(order.scratch_bytes)}:"
        " raise spec.scratch.size"
    )


def _judge_memory(memory: int | None) -> tuple[bool, str]:
    """Is there enough for the relay, and what it needs: a row is in memory whole, a few times."""
    if memory is None:
        return True, "its rows need no scratch"
    for_rows = memory - OWN_MEMORY - STREAM_MEMORY
    if for_rows <= 0:
        least = format_bytes(OWN_MEMORY + STREAM_MEMORY)
        return False, (
            f"the worker may use {format_bytes(memory)} of memory, and one stream needs {least} and four times the"
            " largest row: raise spec.resources.limits.memory"
        )
    return True, (
        f"its rows need no scratch; one may have {format_bytes(for_rows // COPIES_OF_A_ROW)} in the worker's"
        f" {format_bytes(memory)} of memory"
    )


def judge_file_size(order: Order, size: int | None) -> CheckResult:
    """Of a dump file, which is smaller than what it becomes: indexes are made anew, compression is undone."""
    limit = order.storage_limit_bytes
    allowed = "the plan has no limit" if limit is None else f"the plan allows {format_bytes(limit)}"
    if size is None:
        told = f"the file's size is not told by its server; {allowed}"
        return (
            passed_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, told)
            if limit is None
            else warned_check(CheckName.SOURCE_SIZE_WITHIN_PLAN, f"{told}: it is watched during the import")
        )
    text = f"the file has {format_bytes(size)} ({size} bytes), {allowed}"
    if limit is not None and size > limit:
        return failed_check(
            CheckName.SOURCE_SIZE_WITHIN_PLAN, Reason.SOURCE_TOO_LARGE, f"{text}; the database is larger still"
        )
    if limit is not None and size > limit * WARN_SHARE:
        return warned_check(
            CheckName.SOURCE_SIZE_WITHIN_PLAN,
            f"{text}: more than 80 % of it, and the database will be larger than its dump",
        )
    return passed_check(
        CheckName.SOURCE_SIZE_WITHIN_PLAN,
        f"{text}; the database will be larger than its dump" if limit is not None else text,
    )


def judge_extensions(
    order: Order, wanted: Sequence[SourceExtension], left: Sequence[SkippedObject] = (), with_rows: Sequence[str] = ()
) -> CheckResult:
    """`with_rows`: extensions in whose own tables users keep rows."""
    allowed, creatable = set(order.allowed_extensions), set(order.target.creatable_extensions)
    forbidden = [one.name for one in wanted if one.name not in allowed]
    missing = [one.name for one in wanted if one.name in allowed and one.name not in creatable]
    if forbidden or missing:
        return _refuse(forbidden, missing)
    parts = [", ".join(_describe(one) for one in wanted) or "the source uses none that comes along"]
    if not wanted and not left:
        parts = ["the source uses none"]
    if wanted:
        parts.append("each is made at the target's own version")
    if left:
        parts.append(f"left behind: {', '.join(one.object.removeprefix('EXTENSION ') for one in left)}")
    if with_rows:
        parts.append(f"rows in their own tables come where the target's admin may grant it: {', '.join(with_rows)}")
    return passed_check(CheckName.EXTENSIONS_AVAILABLE_ON_TARGET, "; ".join(parts))


def _refuse(forbidden: Sequence[str], missing: Sequence[str]) -> CheckResult:
    parts = []
    if forbidden:
        parts.append(f"not allowed by the project: {', '.join(forbidden)}")
    if missing:
        parts.append(
            f"cannot be created on the target server: {', '.join(missing)}"
            " (not installed there, or only a superuser may)"
        )
    if preloaded := [name for name in [*forbidden, *missing] if name in PRELOADED]:
        parts.append(f"{', '.join(preloaded)} must also be in the target's shared_preload_libraries")
    return failed_check(
        CheckName.EXTENSIONS_AVAILABLE_ON_TARGET, Reason.EXTENSION_NOT_ALLOWED, f"extensions {'; '.join(parts)}"
    )


def _describe(extension: SourceExtension) -> str:
    odd = extension.schema_name not in (None, "public", "pg_catalog")
    return f"{extension.name} {extension.version}".strip() + (f" in schema {extension.schema_name}" if odd else "")
