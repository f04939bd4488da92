"""Describes rows that the copy may refuse: names of roles and objects that it lacks, and references to skipped rows.

Pure.
"""

from pgimport.worker.checks.catalog_reader import ResultRows
from pgimport.worker.checks.check_results import NotChecked
from pgimport.worker.scope.patterns import NameFilter
from pgimport.worker.text import some_of


def describe_reg_columns(rows: ResultRows | NotChecked, includes_rows: NameFilter, *, skips_objects: bool) -> list[str]:
    """Returns notes about columns whose values name roles or objects that the copy may lack.

    `rows`: those of `reg_columns.sql`. `skips_objects`: whether the import skips objects that such values can name.
    """
    if isinstance(rows, NotChecked):
        return [f"Columns of reg* types could not be checked: {rows.reason}"]
    imported = [row for row in rows if includes_rows(row[0], row[1])]
    notes = []
    if roles := [_format_column(row) for row in imported if row[4]]:
        notes.append(
            f"The values of these columns name roles, and an import copies no roles: {some_of(roles)}. The import fails"
            " at the first role that the target server lacks. Create the roles there, or leave the rows out with"
            " filter.excludeTableData"
        )
    objects = [_format_column(row) for row in imported if not row[4]]
    if objects and skips_objects:
        notes.append(
            f"The values of these columns name objects, and this import skips some objects: {some_of(objects)}. The"
            " import fails at the first name of a skipped object. Import the object too, or leave the rows out with"
            " filter.excludeTableData"
        )
    return notes


def _format_column(row: tuple[str, ...]) -> str:
    return f"{row[0]}.{row[1]}.{row[2]} ({row[3]})"


def describe_rowless_references(
    rows: ResultRows | NotChecked, includes: NameFilter, includes_rows: NameFilter
) -> list[str]:
    """Returns a note about foreign keys that reference a table whose rows filter.excludeTableData leaves out.

    `rows`: those of `referenced_tables.sql`.
    """
    if isinstance(rows, NotChecked):
        return [f"Foreign keys could not be checked for references to excluded rows: {rows.reason}"]
    broken = [
        f"{key} of {schema}.{table} references {other_schema}.{other}"
        for schema, table, key, other_schema, other in rows
        if includes(other_schema, other) and not includes_rows(other_schema, other) and includes_rows(schema, table)
    ]
    if not broken:
        return []
    return [
        f"filter.excludeTableData leaves out rows that foreign keys reference: {some_of(broken)}. These keys are"
        " created NOT VALID. To keep them valid, exclude the rows of the referencing tables too"
    ]
