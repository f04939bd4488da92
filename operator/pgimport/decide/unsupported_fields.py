"""Finds fields of an import's spec that the schema allows and that this installation cannot serve."""

from pgimport.model.import_choices import Engine, Verify
from pgimport.model.import_spec import (
    CHECKSUMS_ADVICE,
    CHECKSUMS_NEED_LIVE_SOURCE,
    RELAY_ADVICE,
    RELAY_NEEDS_LIVE_SOURCE,
    ImportSpec,
)
from pgimport.model.reasons import Failure, Reason


def find_unsupported_field(spec: ImportSpec, uploads: bool) -> Failure | None:
    """Returns a failure for the first such field, in the order of the spec. `uploads`: a store is configured."""
    if spec.source.upload_key is not None and not uploads:
        return Failure(Reason.NOT_SUPPORTED, "spec.source.uploadKey: this installation has no store for uploads")
    if spec.engine is Engine.RELAY and spec.source.upload_key is not None:
        return Failure(Reason.NOT_SUPPORTED, RELAY_NEEDS_LIVE_SOURCE, RELAY_ADVICE)
    if spec.verify is Verify.CHECKSUMS and spec.source.upload_key is not None:
        return Failure(Reason.NOT_SUPPORTED, CHECKSUMS_NEED_LIVE_SOURCE, CHECKSUMS_ADVICE)
    return None
