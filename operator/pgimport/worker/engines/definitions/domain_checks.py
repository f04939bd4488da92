"""Drops a CHECK of a domain that the source's own rows violate, while rows are copied.

If a domain is used inside another type, PostgreSQL cannot validate its CHECKs after the rows. So they stay in CREATE
DOMAIN until a row violates one. That one is added after the rows as NOT VALID.
"""

import psycopg

from pgimport.model.import_choices import OnObjectError
from pgimport.worker.archive.restore_plan import ConstraintName
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import CHECK, DOMAIN, TablePart, trim_domain
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.postgres.domain_violations import DomainViolation
from pgimport.worker.postgres.errors import ImportStopped, translate_target_error
from pgimport.worker.postgres.queries import read_query
from pgimport.worker.text import quote_name


def drop_violated_check(session: DefinitionSession, context: DefinitionContext, violation: DomainViolation) -> bool:
    """Drops the CHECK, and plans its addition. Returns False if a row still cannot come. Raises ImportStopped.

    There is nothing to drop if another stream has done it.
    """
    if context.on_object_error is OnObjectError.FAIL:
        return False
    for constraint in _read_constraints(session, violation):
        check_of_domain = _find_check(context, constraint)
        if check_of_domain is None:
            return False
        entry, check = check_of_domain
        statement = f"ALTER DOMAIN {quote_name(entry.schema, entry.tag)} DROP CONSTRAINT {quote_name(check.name)};"
        if session.execute(statement, entry.title) is not None:
            return False
        context.violations[constraint] = violation.refusal
        context.plan.later_checks.setdefault(entry.dump_id, []).append(check)
    return True


def _read_constraints(session: DefinitionSession, violation: DomainViolation) -> list[ConstraintName]:
    """Returns the CHECKs that the server's error may mean.

    It names the domain of the value, also if the CHECK belongs to a domain that this one is based on.
    """
    parameters = {"schema": violation.schema, "domain": violation.domain, "name": violation.name}
    try:
        domains = session.connection.execute(read_query("definitions/domains_of_check"), parameters).fetchall()
    except psycopg.Error as error:
        action = f"the CHECK {violation.name} of {violation.domain} was searched"
        raise ImportStopped(translate_target_error(error, action)) from error
    return [(str(schema), str(domain), violation.name) for schema, domain in domains]


def _find_check(context: DefinitionContext, constraint: ConstraintName) -> tuple[TocEntry, TablePart] | None:
    """Returns the domain and its CHECK, or None for a domain that the archive does not create with this CHECK."""
    schema, domain, name = constraint
    for entry in context.plan.restored_entries:
        if (entry.kind, entry.schema, entry.tag) == (DOMAIN, schema, domain):
            definition = context.plan.definition_of(entry)
            _, checks = trim_domain(definition, lambda part: (part.kind, part.name) == (CHECK, name))
            return (entry, checks[0]) if checks else None
    return None
