"""The database of a preview and the role that owns it: created, emptied and dropped."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg import sql

from pgimport.model.errors import Conflict, Refused
from pgimport.model.owner_comment import (
    DatabasePhase,
    OwnerComment,
    ShadowRecord,
    format_owner_comment,
    parse_shadow_record,
)
from pgimport.model.reasons import Failure, Reason
from pgimport.server.connection import (
    Connect,
    Connection,
    connect,
    ensure_synchronous_commit,
    execute_together,
    scram_verifier,
    session,
)
from pgimport.server.database_locale import WantedDatabase, create_database
from pgimport.server.database_locks import lock_database_name
from pgimport.server.drop import close_access, drop_database
from pgimport.server.extension_rights import grant_extension_rights
from pgimport.server.roles import create_role, drop_role
from pgimport.server.server_access import Access
from pgimport.server.sessions import allow_connections, disallow_connections
from pgimport.server.shared_objects import SharedObject, read_shared_objects

UNLIMITED = -1  # CONNECTION LIMIT


def ensure_preview(
    access: Access,
    database: str,
    role: str,
    password: str | None,
    mark: OwnerComment,
    *,
    templates: Sequence[str] = (),
    connection_limit: int = UNLIMITED,
    connect: Connect = connect,
) -> None:
    """Creates the database and its owner, or completes what an earlier call did not finish; keeps existing content.

    `password`: of the owner role. None: the database is golden, so nobody may log in.
    `templates`: databases from which the database may be created, see `create_database`. `connection_limit`: of the
    owner role. The database itself gets no limit, because its owner could change it.

    Drops a copy of another preview that is not complete, and creates an empty database instead.

    The last step notes in the role's comment that the database is ready, and allows the owner to log in. Until then,
    the database contains nothing of a user.

    Raises Refused (NameTaken) if a database or role of this name was not created for this preview.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _ensure(
            connection,
            access,
            PreviewPlan(database, role, password, mark, tuple(templates), connection_limit),
            connect,
        )


@dataclass(frozen=True, slots=True)
class PreviewPlan:
    """The names of a preview's database and owner role, and what they are created with."""

    database: str
    role: str
    password: str | None = field(repr=False)
    mark: OwnerComment
    templates: tuple[str, ...] = ()
    connection_limit: int = UNLIMITED


def _ensure(connection: Connection, access: Access, plan: PreviewPlan, connect: Connect) -> None:
    ensure_synchronous_commit(connection)
    existing = read_shared_objects(connection, databases=[plan.database], roles=[plan.role])
    owner, database = existing.roles.get(plan.role), existing.databases.get(plan.database)
    refuse_foreign_objects(owner, database, plan)
    phase = _find_phase(owner, database)
    incomplete_copy = phase is DatabasePhase.CREATING and _is_copy(owner)  # the admin never connects to its content
    if database is not None and (database.invalid or phase is DatabasePhase.DROPPING or incomplete_copy):
        drop_database(connection, access, plan.database, connect)
        database = None
    if owner is None:
        creating = plan.mark.model_copy(update={"phase": DatabasePhase.CREATING})
        create_role(connection, plan.role, plan.password, creating)
    elif database is None:
        disallow_connections(connection, databases=(), roles=[plan.role])
        _write_mark(connection, plan.role, plan.mark, DatabasePhase.CREATING)
    if database is None:
        properties = WantedDatabase(templates=plan.templates)
        create_database(connection, access, plan.database, properties, plan.role, connect=connect)
    if database is None or phase is not DatabasePhase.READY:
        _prepare_database(connection, access, plan, connect)
    if database is not None and database.mark is not None:  # an older release marked the database too
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS NULL").format(sql.Identifier(plan.database)))
    if database is not None and not database.accepts_sessions:  # the import of an interrupted swap no longer exists
        allow_connections(connection, plan.database)
    record = parse_shadow_record(owner.comment) if owner is not None and database is not None else None
    finish_preview(connection, plan, record)


def _find_phase(owner: SharedObject | None, database: SharedObject | None) -> DatabasePhase:
    """Returns the phase in the comment of the owner role.

    Older releases wrote none. They allowed the owner to log in as the last step of the creation. Before a drop, they
    disabled this login and disallowed connections to the database.
    """
    if owner is None:
        return DatabasePhase.CREATING
    if owner.mark is not None and owner.mark.phase is not None:
        return owner.mark.phase
    if owner.accepts_sessions:
        return DatabasePhase.READY
    closed = database is not None and not database.accepts_sessions
    return DatabasePhase.DROPPING if closed else DatabasePhase.CREATING


def _is_copy(owner: SharedObject | None) -> bool:
    imported = parse_shadow_record(owner.comment).imported if owner is not None else None
    return imported is not None and imported.copy_number is not None


def _write_mark(connection: Connection, role: str, mark: OwnerComment, phase: DatabasePhase) -> None:
    connection.execute(_build_mark_statement(role, mark, phase))


def _build_mark_statement(
    role: str, mark: OwnerComment, phase: DatabasePhase, record: ShadowRecord | None = None
) -> sql.Composed:
    comment = format_owner_comment(mark.model_copy(update={"phase": phase}), record)
    return sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(role), sql.Literal(comment))


def finish_preview(connection: Connection, plan: PreviewPlan, record: ShadowRecord | None) -> None:
    """Allows the owner to log in, if it has a password, and notes that the database is ready, in one transaction."""
    verifier = scram_verifier(connection, plan.role, plan.password) if plan.password is not None else None
    login = sql.SQL("ALTER ROLE {} {} CONNECTION LIMIT {} PASSWORD {}").format(
        sql.Identifier(plan.role),
        sql.SQL("LOGIN" if verifier is not None else "NOLOGIN"),
        sql.Literal(plan.connection_limit),
        sql.Literal(verifier),
    )
    mark = _build_mark_statement(plan.role, plan.mark, DatabasePhase.READY, record)
    execute_together(connection, [login, mark])


def refuse_foreign_objects(owner: SharedObject | None, database: SharedObject | None, plan: PreviewPlan) -> None:
    """Raises Refused (NameTaken) unless the role has the preview's mark and owns the database."""
    foreign = None
    if owner is not None and (
        owner.mark is None
        or (owner.mark.project_uid, owner.mark.preview_uid) != (plan.mark.project_uid, plan.mark.preview_uid)
    ):
        foreign = owner
    elif database is not None and (owner is None or database.owner != plan.role):
        foreign = database
    if foreign is not None:
        message = f"{foreign.kind} {foreign.name} exists and was not created for this preview"
        raise Refused(Failure(Reason.NAME_TAKEN, message, f"Rename the {foreign.kind} on the target server."))


def _prepare_database(connection: Connection, access: Access, plan: PreviewPlan, connect: Connect) -> None:
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(plan.database)))
    with session(access, plan.database, connect) as database_connection:
        database_connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(plan.role)))
        if plan.templates:
            grant_extension_rights(database_connection, plan.role)


def drop_preview(
    access: Access, database: str, role: str, *, expected_oid: int | None = None, connect: Connect = connect
) -> None:
    """Drops the database, then the role; does nothing if they do not exist.

    `expected_oid`: drop only the database with this OID. Raises Conflict if another database has its name now.
    """
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _require_oid(connection, database, expected_oid)
        drop_with_role(connection, access, database, role, connect)


def reset_preview(
    access: Access,
    database: str,
    role: str,
    password: str | None,
    mark: OwnerComment,
    *,
    templates: Sequence[str] = (),
    connection_limit: int = UNLIMITED,
    expected_oid: int | None = None,
    connect: Connect = connect,
) -> None:
    """Drops the database and creates an empty one for the same owner; `expected_oid` as in `drop_preview`."""
    with session(access, connect=connect) as connection:
        lock_database_name(connection, database)
        _require_oid(connection, database, expected_oid)
        drop_with_role(connection, access, database, role, connect)
        _ensure(
            connection,
            access,
            PreviewPlan(database, role, password, mark, tuple(templates), connection_limit),
            connect,
        )


def _require_oid(connection: Connection, database: str, expected_oid: int | None) -> None:
    """Raises Conflict if the database exists and has another OID than the expected one."""
    existing = read_shared_objects(connection, databases=[database]).databases.get(database)
    if expected_oid is not None and existing is not None and existing.oid != expected_oid:
        raise Conflict(f"database {database} was replaced since it was last observed: the new one stays")


def drop_with_role(connection: Connection, access: Access, database: str, role: str, connect: Connect) -> None:
    """Drops the database and then its owner role. Notes first that they are being dropped, so this can be repeated."""
    owner = read_shared_objects(connection, roles=[role]).roles.get(role)
    if owner is not None and owner.mark is not None:
        _write_mark(connection, role, owner.mark, DatabasePhase.DROPPING)
    close_access(connection, access, [database], [role], connect)
    drop_database(connection, access, database, connect)
    drop_role(connection, access, role, connect)
