"""Drops a CHECK of a domain that the source's own rows violate, while rows are copied.

If a domain is used inside another type, PostgreSQL cannot validate its CHECKs after the rows. So they stay in CREATE
DOMAIN until a row violates one. That one is added after the rows as NOT VALID.
"""

from pgimport.model.import_choices import OnObjectError
from pgimport.worker.archive.toc import TocEntry
from pgimport.worker.archive.trim import CHECK, DOMAIN, TablePart, trim_domain
from pgimport.worker.engines.definitions.context import DefinitionContext
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.postgres.domain_violations import DomainViolation
from pgimport.worker.text import quote_name


def drop_violated_check(session: DefinitionSession, context: DefinitionContext, violation: DomainViolation) -> bool:
    """Drops the CHECK, and plans its addition. Returns False if a row still cannot come. Raises ImportStopped."""
    if violation.constraint in context.violations:  # another stream has dropped it
        return True
    check_of_domain = _find_check(context, violation.constraint)
    if check_of_domain is None or context.on_object_error is OnObjectError.FAIL:
        return False
    entry, check = check_of_domain
    statement = f"ALTER DOMAIN {quote_name(entry.schema, entry.tag)} DROP CONSTRAINT {quote_name(check.name)};"
    if session.execute(statement, entry.title) is not None:
        return False
    context.violations[violation.constraint] = violation.refusal
    context.plan.later_checks.setdefault(entry.dump_id, []).append(check)
    return True


def _find_check(context: DefinitionContext, constraint: tuple[str, str, str]) -> tuple[TocEntry, TablePart] | None:
    """Returns the domain and its CHECK, or None if the domain was created without it."""
    schema, domain, name = constraint
    for entry in context.plan.restored_entries:
        if (entry.kind, entry.schema, entry.tag) == (DOMAIN, schema, domain):
            definition = context.plan.definition_of(entry)
            _, checks = trim_domain(definition, lambda part: (part.kind, part.name) == (CHECK, name))
            return (entry, checks[0]) if checks else None
    return None
