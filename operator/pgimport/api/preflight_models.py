"""Request and response bodies of the preflight route."""

from typing import Literal

from pydantic import ConfigDict, Field

from pgimport.api.import_models import SOURCE_DESCRIPTION, SourceText
from pgimport.api.rest_models import RequestModel
from pgimport.model.resources import ProjectObject
from pgimport.model.rest_views import ResponseModel
from pgimport.model.result import PreflightReport


class PreflightRequest(RequestModel):
    """Asks for the preflight of one source."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"source_url": "postgresql://reader:secret@db.example.com:5432/shop"}}
    )

    source_url: SourceText = Field(description=SOURCE_DESCRIPTION)


class RestCheck(ResponseModel):
    """The result of one preflight check."""

    model_config = ConfigDict(title="CheckTold")

    name: str = Field(description="The name of the check, for example source_reachable.")
    status: Literal["pass", "warn", "fail"] = Field(description="The status is pass, warn or fail.")
    detail: str = Field(description="The text says what the check observed and what to do about it.")


class RestExtension(ResponseModel):
    """An extension that is installed in the source."""

    model_config = ConfigDict(title="ExtensionTold")

    name: str = Field(description="The name of the extension.")
    version: str = Field(description="The installed version at the source.")


class RestSource(ResponseModel):
    """The properties of the source."""

    model_config = ConfigDict(title="SourceTold")

    server_version: str = Field(
        description="The version of the source server, as the server prints it, or unknown for a dump file that does"
        " not contain it."
    )
    database_size_bytes: int | None = Field(description="The size of a live source; a dump file does not contain it.")
    extensions: list[RestExtension] = Field(default=[], description="The extensions of the source.")


class RestPreflight(ResponseModel):
    """A report of all preflight checks."""

    model_config = ConfigDict(title="PreflightTold")

    ok: bool = Field(description="The value is true if no check failed.")
    checks: list[RestCheck] = Field(description="The results of all checks that ran.")
    source: RestSource | None = Field(description="Properties of a source that could be reached.")
    storage_limit_bytes: int | None = Field(description="The storage limit of the Project.")
    target_version: str | None = Field(description="The version of the Project's server.")


class PreflightAnswer(ResponseModel):
    """A response with one preflight report."""

    preflight: RestPreflight


def build_rest_preflight(report: PreflightReport, project: ProjectObject) -> RestPreflight:
    """Builds the REST report from the worker's report and the Project's limits."""
    source = report.source
    return RestPreflight(
        ok=report.ok,
        checks=[RestCheck(name=check.name, status=check.status.value, detail=check.detail) for check in report.checks],
        source=RestSource(
            server_version=source.server_version,
            database_size_bytes=source.database_size_bytes,
            extensions=[
                RestExtension(name=extension.name, version=extension.version) for extension in source.extensions
            ],
        )
        if source
        else None,
        storage_limit_bytes=project.spec.storage_limit_bytes if project.spec else None,
        target_version=project.status.target_version,
    )
