"""Jobs, as the HTTP API shows imports."""

from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

from tests.support.samples import a_project, an_import, an_import_spec

from pgimport.api.import_models import ImportRequest
from pgimport.model.rest_views import Job, build_job
from pgimport.model.status import ImportState, ImportStatus, JobFields

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# Fields of the original API. New fields may be added; these stay.
ORIGINAL_FIELDS = {
    "attempts", "claimed_at", "claimed_by", "cluster_id", "completed_at", "created_at", "error", "id",
    "last_exit_code", "last_stderr", "last_stdout", "locked_resource", "max_attempts", "organization_id",
    "preview_database_id", "project_id", "retry_classification", "started_at", "state", "type", "updated_at"
}  # fmt: skip  # one field a line would take a screen
# Fields that a job takes from metadata and spec, whatever the status says.
DERIVED_FIELDS = {"id", "type", "project_id", "preview_database_id", "created_at"}


def build_value(annotation: Any) -> Any:
    """Returns a value of an optional field's type."""
    type_ = next(argument for argument in get_args(annotation) if argument is not type(None))
    if get_origin(type_) is Annotated:
        type_ = get_args(type_)[0]
    if issubclass(type_, Enum):
        return list(type_)[-1]
    return {int: 7, str: "text", datetime: TIME}[type_]


def test_a_job_has_the_fields_of_the_original_api() -> None:
    assert set(Job.model_fields) >= ORIGINAL_FIELDS


def test_a_job_shows_each_shared_field_of_the_status() -> None:
    values = {name: build_value(field.annotation) for name, field in JobFields.model_fields.items()}
    job = build_job(a_project(), an_import(status=ImportStatus(**values)))
    expected = {name: value for name, value in values.items() if name not in DERIVED_FIELDS}
    assert job.model_dump(include=set(expected)) == expected


def test_an_import_that_was_never_reconciled_is_pending() -> None:
    import_object = an_import(an_import_spec(maxAttempts=5), ImportStatus())
    job = build_job(a_project(), import_object)
    assert (job.state, job.attempts, job.max_attempts) == (ImportState.PENDING, 0, 5)
    assert job.updated_at == import_object.meta.created_at


def test_an_import_that_is_cancelled_before_its_first_reconcile_is_cancelled() -> None:
    job = build_job(a_project(), an_import(an_import_spec(cancel=True), ImportStatus()))
    assert job.state is ImportState.CANCELLED


def test_the_same_request_has_the_same_text_in_a_later_version() -> None:
    """With the same Idempotency-Key, a client repeats a request during an upgrade."""
    request = ImportRequest(source_url="https://a.example.com/d", recreate=False, confirm=True)
    assert request.to_canonical_json() == '{"confirm": true, "source_url": "https://a.example.com/d"}'
