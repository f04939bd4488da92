"""Response bodies of the route that shows a job's whole report."""

from pydantic import Field

from pgimport.api.preflight_models import RestCheck
from pgimport.model.import_choices import SkipGroup
from pgimport.model.import_report import ImportReport, hide_row_values, hide_values_in_text
from pgimport.model.rest_views import ResponseModel
from pgimport.model.result import SkippedObject
from pgimport.model.status import ImportStatus


class ReportedObject(ResponseModel):
    """An object that the import skipped."""

    object: str = Field(description="The kind and name of the object.")
    reason: str = Field(description="The reason why the import skipped the object, without values of rows.")
    group: SkipGroup = Field(
        description="The value is refused if the target refused the object or an object that it needs, else byDesign."
    )
    rows: int | None = Field(default=None, description="The number of rows that are not in the copy, if it is known.")
    sqlstate: str | None = Field(default=None, description="The SQLSTATE of the target's error.")


class ReportedDifference(ResponseModel):
    """A table whose content differs from the source."""

    table: str = Field(description="The schema and name of the table.")
    source_rows: int | None = Field(default=None, description="The number of rows in the source.")
    target_rows: int | None = Field(default=None, description="The number of rows in the copy.")


class ReportedCount(ResponseModel):
    """A number of objects of one kind that were compared."""

    kind: str = Field(description="The kind of the objects, for example index or view.")
    count: int = Field(description="The number of objects that were compared.")


class Report(ResponseModel):
    """Everything that an import skipped, compared and could not compare."""

    complete: bool = Field(description="The value is true if the report has all entries.")
    message: str | None = Field(default=None, description="The reason why entries are missing.")
    skipped_count: int | None = Field(default=None, description="The number of objects that the import skipped.")
    refused_count: int | None = Field(default=None, description="The number of these that the target refused.")
    skipped: list[ReportedObject] = Field(
        description="The skipped objects: tables with rows, then what the target refused, then the others."
    )
    forecast: list[ReportedObject] = Field(description="The objects that the preflight expected to be skipped.")
    differences: list[ReportedDifference] = Field(description="The tables whose content differs.")
    not_compared: list[str] = Field(description="The objects that could not be compared, with the reasons.")
    compared: list[ReportedCount] = Field(description="The numbers of compared objects, by kind.")
    notes: list[str] = Field(description="Notes about the copy.")
    checks: list[RestCheck] = Field(description="The results of the preflight checks.")
    failures: list[str] = Field(description="The failures of the attempt's containers.")


class ReportAnswer(ResponseModel):
    """A response with one report."""

    report: Report


def build_report(status: ImportStatus, report: ImportReport, *, all_parts: bool) -> Report:
    """Builds the response. Keys and values of rows stay in the cluster: only the ConfigMap has them."""
    message = status.report_ref.message if status.report_ref is not None else None
    if not all_parts:
        message = "A ConfigMap of the report was deleted."
    return Report(
        complete=message is None,
        message=message,
        skipped_count=status.skipped,
        refused_count=status.refused,
        skipped=[_show(item) for item in report.skipped],
        forecast=[_show(item) for item in report.forecast],
        differences=[
            ReportedDifference(table=item.table, source_rows=item.source_rows, target_rows=item.target_rows)
            for item in report.difference
        ],
        not_compared=[hide_values_in_text(text) for text in report.not_compared],
        compared=[ReportedCount(kind=item.kind, count=item.count) for item in report.compared],
        notes=[hide_values_in_text(text) for text in report.note],
        checks=[
            RestCheck(name=item.name, status=item.status.value, detail=hide_values_in_text(item.detail))
            for item in report.check
        ],
        failures=[hide_values_in_text(item.message) for item in report.failure],
    )


def _show(item: SkippedObject) -> ReportedObject:
    public = hide_row_values(item)
    return ReportedObject(
        object=public.object, reason=public.reason, group=public.group, rows=public.rows, sqlstate=public.sqlstate
    )
