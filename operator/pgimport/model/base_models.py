"""Defines the two base models: strict for what users write, lenient for what we wrote ourselves."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_ACRONYMS = re.compile(r"(Id|Uid|Cidrs|Oid)$")


def to_resource_name(field: str) -> str:
    """Returns the field name of a resource: `clusterID` for `cluster_id`, as Kubernetes API conventions require."""
    return _ACRONYMS.sub(
        lambda match: {"Id": "ID", "Uid": "UID", "Oid": "OID", "Cidrs": "CIDRs"}[match[1]], to_camel(field)
    )


class StrictModel(BaseModel):
    """Base of models that users write. An unknown field is an error that names the field."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_resource_name, populate_by_name=True, defer_build=True
    )


class LenientModel(BaseModel):
    """Base of models that we write. Unknown fields are ignored, because another version may have written them."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_resource_name, populate_by_name=True, defer_build=True
    )

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON object under the field names of the resource, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
