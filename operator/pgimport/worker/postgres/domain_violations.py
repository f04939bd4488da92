"""Finds the CHECK of a domain that a row violates, from the fields of the server's error. Pure."""

from dataclasses import dataclass

import asyncpg
import psycopg

from pgimport.worker.postgres.refusals import CHECK_VIOLATION, Refusal
from pgimport.worker.text import shorten_line

_MAX_KEY = 300  # characters


@dataclass(frozen=True, slots=True)
class DomainViolation:
    """The error of a row whose value violates a CHECK of its domain, or of a domain that this one is based on."""

    schema: str
    domain: str  # of the value
    name: str  # of the CHECK
    refusal: Refusal


def find_domain_violation(error: BaseException) -> DomainViolation | None:
    """Returns the violated CHECK, or None for another error. The key is the line of the COPY, which has the value."""
    if isinstance(error, psycopg.Error):
        fields = error.diag
        names, message = (fields.schema_name, fields.datatype_name, fields.constraint_name), fields.message_primary
        context = fields.context
    elif isinstance(error, asyncpg.PostgresError):
        names = (error.schema_name, error.data_type_name, error.constraint_name)
        message, context = error.message, error.context
    else:
        return None
    schema, domain, name = names
    if error.sqlstate != CHECK_VIOLATION or not (schema and domain and name):
        return None
    key = shorten_line(context or "", _MAX_KEY) or None
    refusal = Refusal(sqlstate=CHECK_VIOLATION, message=message or "", found_key=key)
    return DomainViolation(schema, domain, name, refusal)
