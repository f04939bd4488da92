"""Copies a golden database without a cluster: `pgimport run --from-golden`.

The copy is made as the operator makes one: by CREATE DATABASE … TEMPLATE, with an owner role of its own. The comment on
this role says that the command line has created the copy, and counts the copies.
"""

from typing import TYPE_CHECKING

from pgimport.cli.console import Console
from pgimport.cli.local_import import IMPORT_NAME, ImportFailed, ignore_signals
from pgimport.cli.run_options import CopyOptions
from pgimport.model.errors import Refused
from pgimport.model.observations import MeasuredCopy
from pgimport.model.owner_comment import OwnerComment, parse_shadow_record
from pgimport.model.reasons import Failure, Reason
from pgimport.model.scalar_types import format_time
from pgimport.model.status import ImportState

if TYPE_CHECKING:
    from pgimport.server.preview_copy import CopyPlan


def copy_locally(options: CopyOptions, console: Console) -> None:
    """Copies the golden database and prints the result. Raises ImportFailed, PgimportError, and what a signal raises.

    The next call completes a copy that was interrupted.
    """
    from pgimport.server.preview_copy import end_copy, ensure_copy  # this loads psycopg

    plan = _build_plan(options)
    console.print_step(f"copying {options.golden} into {options.database}")
    try:
        copy = ensure_copy(options.access, plan)
    except BaseException as error:
        ignore_signals()
        end_copy(options.access, options.database)  # otherwise the server continues its CREATE DATABASE
        if isinstance(error, Refused) and error.failure.reason is Reason.NAME_TAKEN:
            raise ImportFailed(_describe_foreign(error.failure)) from error
        raise
    _print_result(options, console, copy)


def _build_plan(options: CopyOptions) -> "CopyPlan":
    """Reads both databases. Raises ImportFailed if the source is not golden, or the target may not be replaced."""
    from pgimport.server.connection import session
    from pgimport.server.preview import PreviewPlan
    from pgimport.server.preview_copy import CopyPlan
    from pgimport.server.server_state import read_content
    from pgimport.server.shared_objects import read_shared_objects

    with session(options.access) as connection:
        golden = read_shared_objects(connection, databases=[options.golden]).databases.get(options.golden)
        owner = golden.owner if golden is not None else None
        role = read_shared_objects(connection, roles=[owner]).roles[owner] if owner is not None else None
    if owner is None or role is None or role.accepts_sessions or parse_shadow_record(role.comment).imported is None:
        message = f"{options.access.address} has no golden database {options.golden}"
        raise ImportFailed(
            Failure(Reason.SOURCE_DATABASE_NOT_FOUND, message, "Create it with `pgimport run --golden`.")
        )
    target = read_content(options.access, options.database, options.owner)
    if target.exists and not options.recreate:
        raise ImportFailed(Failure(Reason.TARGET_NOT_EMPTY, f"database {options.database} exists"))
    mark = OwnerComment(project_uid=IMPORT_NAME, preview_uid=f"{IMPORT_NAME} {options.database}")
    return CopyPlan(
        source=options.golden,
        source_role=owner,
        preview=PreviewPlan(options.database, options.owner, options.owner_password, mark),
        number=(target.copy_number or 0) + 1 if target.exists else target.copy_number or 1,
        needs_data=True,
    )


def _describe_foreign(failure: Failure) -> Failure:
    """Replaces the advice for a preview, to rename what exists: here, the user can have named a wrong target."""
    message = failure.message.replace("was not created for this preview", "is not of a copy that --from-golden made")
    return Failure(failure.reason, message, "Choose another --target or --owner.")


def _print_result(options: CopyOptions, console: Console, copy: MeasuredCopy | None) -> None:
    """Prints what was copied. This is the only place that prints a new password."""
    from pgimport.server.server_state import read_content

    data_as_of = read_content(options.access, options.database, options.owner).data_as_of
    lines = [
        f"copied {options.golden} into {options.database} on {options.access.address}, owned by {options.owner}",
        *([f"{copy.bytes} bytes by {copy.method.value} in {copy.seconds:.1f} s"] if copy else []),
        *([f"data as of {format_time(data_as_of)}"] if data_as_of else []),
    ]
    if options.password_is_new:
        lines.append(f"password of {options.owner} (not shown again): {options.owner_password}")
    console.print_result(
        lines,
        state=ImportState.COMPLETED.value,
        database=options.database,
        owner=options.owner,
        **({"ownerPassword": options.owner_password} if options.password_is_new else {}),
        **({"dataAsOf": format_time(data_as_of)} if data_as_of else {}),
    )
