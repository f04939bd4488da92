"""Defines the two base models: strict for what users write, lenient for what we wrote ourselves."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_ACRONYMS = re.compile(r"(Id|Uid|Cidrs|Oid)$")


def to_resource_name(field: str) -> str:
    """`cluster_id` → `clusterID`, `allowed_cidrs` → `allowedCIDRs`: Kubernetes API conventions for acronyms."""
    return _ACRONYMS.sub(
        lambda match: {"Id": "ID", "Uid": "UID", "Oid": "OID", "Cidrs": "CIDRs"}[match[1]], to_camel(field)
    )


class StrictModel(BaseModel):
    """What a user writes: an unknown field is an error that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_resource_name, populate_by_name=True)


class LenientModel(BaseModel):
    """What we wrote: an unknown field comes from another version of ours and is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_resource_name, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """The resource's own spelling, without what is not known yet."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
