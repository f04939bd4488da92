"""Defines references to keys of Secrets and ConfigMaps."""

from pydantic import Field

from pgimport.model.base_models import StrictModel
from pgimport.model.string_types import (
    ObjectName,
    ShortText,
)


class SecretKey(StrictModel):
    """Selects one key of a Secret."""

    name: ObjectName = Field(description="The name of the Secret that holds the value.")
    key: ShortText = Field(description="The key in the Secret that holds the value.")


class ConfigMapKey(StrictModel):
    """Selects one key of a ConfigMap."""

    name: ObjectName = Field(description="The name of the ConfigMap in the same namespace.")
    key: ShortText = Field(description="The key in the ConfigMap that holds the value.")
