"""Copies the database of another preview by CREATE DATABASE … TEMPLATE.

1. Lock the source's name, so that no import replaces the source meanwhile. Copies share this lock.
2. Create the owner role. Its comment says which copy this is and how old its data is.
3. CREATE DATABASE. PostgreSQL keeps all of it or nothing.
4. Make the role the owner of the content, write the properties that CREATE DATABASE does not copy, and allow the login.
"""

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field

from psycopg import errors as postgres
from psycopg import sql

from pgimport.model.errors import Conflict, Refused, ServerUnavailable
from pgimport.model.names import short_hash
from pgimport.model.observations import MeasuredCopy
from pgimport.model.owner_comment import (
    DatabasePhase,
    ImportedContent,
    ShadowRecord,
    parse_owner_comment,
    parse_shadow_record,
)
from pgimport.model.project_status import CloneMethod
from pgimport.model.reasons import Failure, Reason
from pgimport.server.carry_over import read_stored_settings, write_properties
from pgimport.server.connection import (
    UNREADABLE,
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    read_query,
    session,
)
from pgimport.server.copied_content import take_content
from pgimport.server.database_locks import lock_database_name, share_database_name
from pgimport.server.database_settings import build_set_statement
from pgimport.server.disconnection import disconnecting
from pgimport.server.prepared_transactions import read_prepared_transactions
from pgimport.server.preview import PreviewPlan, drop_with_role, finish_preview, refuse_foreign_objects
from pgimport.server.roles import create_role
from pgimport.server.server_access import Access
from pgimport.server.sessions import (
    ClientSession,
    allow_connections,
    end_client_sessions,
    read_sessions,
)
from pgimport.server.shared_objects import SharedObject, read_shared_objects

_log = logging.getLogger(__name__)

# Below this size, WAL_LOG is used: the two checkpoints that FILE_COPY forces cost the whole server more than the copy.
FILE_COPY_FROM_BYTES = 64 * 1024 * 1024
FIRST_WITH_CLONE = 180000  # file_copy_method
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """The source of a copy, and the database to create."""

    source: str
    source_role: str  # owner of the source database
    preview: PreviewPlan
    number: int  # counts the copies of this preview; an older one never replaces a newer one
    disconnect: bool = False  # end the sessions in the source
    needs_data: bool = False  # the source is golden: without imported content, it is not to be copied
    size_limit: int | None = None  # bytes
    timeout_seconds: float = field(default=6 * 3600.0)  # of CREATE DATABASE


def ensure_copy(access: Access, plan: CopyPlan, *, connect: Connect = connect) -> MeasuredCopy | None:
    """Copies the source, or completes this copy if an earlier call did not; does nothing if it is complete.

    Drops an older copy as soon as the source is known to be usable. May take hours. Raises Refused if the server or a
    limit does not allow the copy, Conflict if a newer copy exists, and ServerUnavailable if the source is in use, not
    complete, or without data. Returns None if an earlier call ran CREATE DATABASE.
    """
    preview, measured = plan.preview, None
    with session(access, connect=connect) as connection:
        _wait_for_earlier_session(connection, plan)
        connection.execute(
            sql.SQL("SET application_name TO {}").format(sql.Literal(_build_session_name(preview.database)))
        )
        lock_database_name(connection, preview.database)
        ensure_synchronous_commit(connection)
        existing = read_shared_objects(connection, databases=[preview.database], roles=[preview.role])
        owner, database = existing.roles.get(preview.role), existing.databases.get(preview.database)
        refuse_foreign_objects(owner, database, preview)
        phase, number = _read_progress(owner)
        if number is not None and number > plan.number:
            raise Conflict(f"database {preview.database} was copied again since: the newer copy stays")
        copied = number == plan.number and database is not None and not database.invalid
        if owner is not None and copied and phase is DatabasePhase.READY:
            finish_preview(connection, preview, parse_shadow_record(owner.comment))  # the password may be a new one
            return None
        if not copied or phase is not DatabasePhase.CREATING:
            # Until CREATE DATABASE has ended, nobody may drop, empty or replace the source.
            with share_database_name(connection, plan.source):
                record = _read_source(connection, plan)
                _require_copyable(connection, plan)
                drop_with_role(connection, access, preview.database, preview.role, connect)
                measured = _copy_database(connection, access, plan, record, connect)
        _complete(connection, access, plan, connect)
    return measured


def end_copy(access: Access, database: str, *, connect: Connect = connect) -> None:
    """Ends the sessions that copy into a database, also those of an operator that was killed."""
    with session(access, connect=connect) as connection:
        end_client_sessions(connection, _read_copy_sessions(connection, database))


def _build_session_name(database: str) -> str:
    """Builds the application_name by which the session is recognised. It has at most 63 bytes."""
    return f"pgimport copy {short_hash(database, 20)}"


def _read_copy_sessions(connection: Connection, database: str) -> list[ClientSession]:
    name = {"application_name": _build_session_name(database)}
    return [ClientSession(*row) for row in connection.execute(read_query("copy_sessions"), name).fetchall()]


def _wait_for_earlier_session(connection: Connection, plan: CopyPlan) -> None:
    """Waits for the session of an operator that was killed: the server continues its CREATE DATABASE.

    Ends it if it works on an older copy. Raises ServerUnavailable after the plan's timeout.
    """
    preview, deadline = plan.preview, time.monotonic() + plan.timeout_seconds
    while sessions := _read_copy_sessions(connection, preview.database):
        _, number = _read_progress(read_shared_objects(connection, roles=[preview.role]).roles.get(preview.role))
        if number is not None and number < plan.number:
            end_client_sessions(connection, sessions)
        if time.monotonic() > deadline:
            message = f"an earlier copy into database {preview.database} does not end"
            raise ServerUnavailable(Failure(Reason.TARGET_BUSY, message))
        time.sleep(POLL_SECONDS)


def _read_progress(owner: SharedObject | None) -> tuple[DatabasePhase | None, int | None]:
    """Returns the phase and the number of the copy from the comment of the owner role."""
    if owner is None or owner.mark is None:
        return None, None
    imported = parse_shadow_record(owner.comment).imported
    return owner.mark.phase, imported.copy_number if imported is not None else None


def _read_source(connection: Connection, plan: CopyPlan) -> ShadowRecord:
    """Returns what the source's owner role notes about its content. The source's name must be locked.

    Raises ServerUnavailable if the source does not exist, is not complete, or has no data although the plan needs it.
    """
    source = read_shared_objects(connection, databases=[plan.source], roles=[plan.source_role])
    owner = source.roles.get(plan.source_role)
    phase = owner.mark.phase if owner is not None and owner.mark is not None else None
    database = source.databases.get(plan.source)
    complete = phase in (None, DatabasePhase.READY)  # None: an older release created it
    if database is None or database.invalid or owner is None or not complete:
        message = f"database {plan.source}, which is to be copied, does not exist or is not complete"
        raise ServerUnavailable(Failure(Reason.SOURCE_PREVIEW_NOT_READY, message))
    record = parse_shadow_record(owner.comment)
    if plan.needs_data and record.imported is None:
        message = f"database {plan.source}, which is to be copied, has no data yet"
        raise ServerUnavailable(Failure(Reason.NO_DATA, message, "Import into the golden preview."))
    return record


def _copy_database(
    connection: Connection, access: Access, plan: CopyPlan, source: ShadowRecord, connect: Connect
) -> MeasuredCopy:
    """Creates the owner role and the database, which accepts no connections yet."""
    preview = plan.preview
    imported = (source.imported or ImportedContent()).model_copy(update={"copy_number": plan.number})
    record = ShadowRecord(settings=source.settings, imported=imported)
    mark = preview.mark.model_copy(update={"phase": DatabasePhase.CREATING})
    create_role(connection, preview.role, preview.password, mark, record)
    size = _read_size(connection, plan.source)
    method, started = _choose_method(connection, size), time.monotonic()
    connection.execute(f"SET statement_timeout = '{int(plan.timeout_seconds)}s'".encode())
    try:
        with disconnecting(access, plan.source, connect) if plan.disconnect else nullcontext():
            method = _create_database(connection, plan, method)
    except postgres.ObjectInUse as error:
        raise ServerUnavailable(_describe_use(connection, plan, error)) from error
    except postgres.DiskFull as error:  # PostgreSQL has removed the files
        line = str(error).partition("\n")[0]
        message = f"no room for a copy of database {plan.source}, which has {size} bytes: {line} (53100)"
        advice = "Delete previews that nobody needs, or enlarge the disk of the target server."
        raise ServerUnavailable(Failure(Reason.TARGET_FULL, message, advice)) from error
    connection.execute("RESET statement_timeout")
    seconds = time.monotonic() - started
    _log.info("copied %d bytes to database %s by %s in %.1f s", size, preview.database, method.value, seconds)
    return MeasuredCopy(method=method, bytes=size, seconds=seconds)


def _require_copyable(connection: Connection, plan: CopyPlan) -> None:
    """Raises Refused if the source is larger than a preview may be, or the server's collations have changed.

    CREATE DATABASE refuses a template with another collation version, with an internal error in the server's language.
    """
    size = _read_size(connection, plan.source)
    if plan.size_limit is not None and size > plan.size_limit:
        message = f"database {plan.source} has {size} bytes; the Project's storageLimitBytes is {plan.size_limit}"
        raise Refused(Failure(Reason.SOURCE_TOO_LARGE, message))
    row = connection.execute(read_query("collation_version"), {"database": plan.source}).fetchone()
    if row is None or row[0] is None or row[0] == row[1]:
        return
    message = f"database {plan.source} has collation version {row[0]}, and the server has version {row[1]} now"
    advice = (
        "Import into the preview that is to be copied again. Or reindex its database, and run ALTER DATABASE"
        f" {plan.source} REFRESH COLLATION VERSION."
    )
    raise Refused(Failure(Reason.SERVER_REFUSED, message, advice))


def _read_size(connection: Connection, database: str) -> int:
    """Returns the size in bytes, or 0 if the database does not exist."""
    row = connection.execute(read_query("database_size"), {"database": database}).fetchone()
    return int(row[0]) if row is not None and row[0] is not None else 0


def _choose_method(connection: Connection, size: int) -> CloneMethod:
    if size < FILE_COPY_FROM_BYTES:
        return CloneMethod.WAL_LOG
    if connection.info.server_version < FIRST_WITH_CLONE:
        return CloneMethod.FILE_COPY
    try:
        connection.execute("SET file_copy_method = clone")
    except postgres.InvalidParameterValue:  # the server was built for a system that cannot clone files
        return CloneMethod.FILE_COPY
    return CloneMethod.CLONE


def _create_database(connection: Connection, plan: CopyPlan, method: CloneMethod) -> CloneMethod:
    """Runs CREATE DATABASE. If the file system refuses to clone files, copies them. Returns the method that worked."""
    preview = plan.preview
    statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY {} ALLOW_CONNECTIONS false").format(
        sql.Identifier(preview.database),
        sql.Identifier(preview.role),
        sql.Identifier(plan.source),
        sql.SQL("WAL_LOG" if method is CloneMethod.WAL_LOG else "FILE_COPY"),
    )
    try:
        connection.execute(statement)
    except postgres.InternalError_:  # "could not clone file": PostgreSQL has no SQLSTATE for the file system's error
        if method is not CloneMethod.CLONE:
            raise
        _log.warning("the server cannot clone the files of database %s, so it copies them", plan.source)
        connection.execute("SET file_copy_method = copy")
        connection.execute(statement)
        return CloneMethod.FILE_COPY
    return method


def _describe_use(connection: Connection, plan: CopyPlan, error: postgres.ObjectInUse) -> Failure:
    """Names the sessions and prepared transactions in the source. PostgreSQL's message only counts them."""
    users = sorted({str(client) for client in read_sessions(connection, databases=[plan.source])})
    owners = sorted({item.owner for item in read_prepared_transactions(connection, [plan.source])})
    causes, advice = [], []
    if users:
        causes.append(f"sessions of {', '.join(users)}")
        advice.append("End these sessions. If a monitoring tool opens them, exclude this database there.")
    if owners:
        causes.append(f"prepared transactions of {', '.join(owners)}")
        advice.append("Commit or roll back the prepared transactions.")
    cause = " and ".join(causes) or error.diag.message_detail or error.diag.message_primary
    message = f"database {plan.source}, which is to be copied, is in use: {cause}"
    return Failure(Reason.TARGET_BUSY, message, " ".join(advice))


def _complete(connection: Connection, access: Access, plan: CopyPlan, connect: Connect) -> None:
    """Gives the content to the owner role, writes the database's properties, and allows the login as the last step."""
    preview, database = plan.preview, sql.Identifier(plan.preview.database)
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    allow_connections(connection, preview.database)
    take_content(connection, access, preview, (plan.source, plan.source_role), connect)
    role = read_shared_objects(connection, roles=[preview.role]).roles[preview.role]
    record = parse_shadow_record(role.comment)
    _write_source_properties(connection, plan, record)
    finish_preview(connection, preview, record)
    _log.info("database %s is a copy of database %s", preview.database, plan.source)


def _write_source_properties(connection: Connection, plan: CopyPlan, record: ShadowRecord) -> None:
    """Writes comment and settings of the source, as far as it still exists: CREATE DATABASE copies neither.

    Leaves out settings of the source's owner in other databases.
    """
    preview = plan.preview
    source = read_shared_objects(connection, databases=[plan.source]).databases.get(plan.source)
    comment = source.comment if source is not None and parse_owner_comment(source.comment) is None else None
    if UNREADABLE in (comment or ""):
        comment = None
    settings = [
        build_set_statement(preview.database, preview.role if item.for_owner else None, item.name, item.value)
        for item in record.settings
    ]
    for stored in read_stored_settings(connection, plan.source, plan.source_role):
        if stored.role in (None, plan.source_role) and stored.database in (None, plan.source):
            database = preview.database if stored.database is not None else None
            role = preview.role if stored.role is not None else None
            pairs = (text.partition("=") for text in stored.values)
            settings += [build_set_statement(database, role, name, value) for name, _, value in pairs]
    write_properties(
        connection,
        preview.database,
        [
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(preview.database), sql.Literal(comment)),
            *settings,
        ],
    )
