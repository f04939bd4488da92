"""Prints the plan and the result of `pgimport run`."""

from collections.abc import Sequence

from pgimport.cli.console import Console
from pgimport.cli.hints import name_options
from pgimport.cli.run_options import Options
from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import count_refused, sort_skipped
from pgimport.model.observations import ObservedServer
from pgimport.model.result import PreflightReport, SkippedObject, WorkerResult
from pgimport.model.scalar_types import format_time
from pgimport.model.status import ImportState


def print_plan(
    console: Console,
    options: Options,
    server: ObservedServer,
    preflight: PreflightReport | None,
    steps: Sequence[str],
) -> None:
    """Prints what an import would do. `steps` says for each table how its rows would be copied."""
    address = options.access.address
    action = "replace" if options.recreate else "fill"
    password = " with a new password" if options.password_is_new else ""
    console.print_result(
        [
            f"would copy {options.source_title}",
            f"  into a new database on {address} (PostgreSQL {server.version})",
            f"  with {options.jobs} streams, engine {options.engine.value}, verify {options.verify.value}",
            *(f"    {step}" for step in steps),
            f"  then {action} {options.database}, owned by {options.owner}{password}",
            *_describe_forecast(preflight),
            "nothing was changed",
        ],
        plan=True,
        database=options.database,
        owner=options.owner,
        preflight=preflight.to_json() if preflight else None,
        **({"steps": list(steps)} if steps else {}),
    )


def print_result(console: Console, options: Options, result: WorkerResult) -> None:
    """Prints what was imported, skipped and verified. This is the only place that prints a new password."""
    verification = result.verification
    lines = [f"imported into {options.database} on {options.access.address}, owned by {options.owner}"]
    if verification is not None and verification.verified:
        lines.append(
            f"verified ({verification.mode}): {verification.tables} tables, {verification.rows} rows,"
            f" {verification.sequences} sequences"
        )
    if result.data_as_of is not None:
        lines.append(f"data as of {format_time(result.data_as_of)}")
    lines += describe_skipped(result.skipped)
    if verification is not None:
        lines += [f"  note: {name_options(note)}" for note in verification.notes]
    if options.password_is_new:
        lines.append(f"password of {options.owner} (not shown again): {options.owner_password}")
    console.print_result(
        lines,
        state=ImportState.COMPLETED.value,
        database=options.database,
        owner=options.owner,
        **({"ownerPassword": options.owner_password} if options.password_is_new else {}),
        verification=verification.to_json() if verification else None,
        **({"dataAsOf": format_time(result.data_as_of)} if result.data_as_of else {}),
        skipped=[item.to_json() for item in result.skipped],
        refused=count_refused(result.skipped),
    )


def _describe_forecast(preflight: PreflightReport | None) -> list[str]:
    """Returns lines with what an import would skip, the most important first.

    This is a forecast: during the import, the target decides which objects it refuses.
    """
    skipped = sort_skipped(preflight.skipped) if preflight is not None else []
    lines = describe_skipped(skipped, forecast=True)
    more = preflight.more if preflight is not None else None
    return [*lines, f"  and {more} more, which are not named"] if more else lines


def describe_skipped(skipped: Sequence[SkippedObject], *, forecast: bool = False) -> list[str]:
    """Returns a line with the numbers of skipped objects, and a line for each of them.

    `forecast`: whether the preflight only expects this.
    """
    if not skipped:
        return []
    refused = count_refused(skipped)
    noun = "object" if len(skipped) == 1 else "objects"
    by_design = len(skipped) - refused
    if forecast:
        lines = [f"would skip {len(skipped)} {noun}: the target can refuse {refused}, {by_design} by design"]
    else:
        lines = [f"skipped {len(skipped)} {noun}: the target refused {refused}, {by_design} by design"]
    return lines + [_describe_object(item, forecast=forecast) for item in skipped]


def _describe_object(item: SkippedObject, *, forecast: bool) -> str:
    rows = f" ({item.rows} row{'' if item.rows == 1 else 's'})" if item.rows is not None else ""
    code = f" (SQLSTATE {item.sqlstate})" if item.sqlstate and item.sqlstate not in item.reason else ""
    key = item.offending_key
    shown_key = f"; offending key: {key}" if key and key not in item.reason else ""
    refused = "likely refused" if forecast else "refused"
    kind = refused if item.group is SkipGroup.REFUSED else "by design"
    return f"  {kind}: {item.object}{rows}: {name_options(item.reason)}{code}{shown_key}"
