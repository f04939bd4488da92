"""What the words allow and this version does not do yet: refused by name, never passed over in silence."""

from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import CHECKSUMS_NEED_LIVE_SOURCE, RELAY_NEEDS_LIVE_SOURCE, Engine, ImportSpec, Verify


def find_unsupported_import(spec: ImportSpec, uploads: bool) -> Failure | None:
    """The first field, in the order of the spec, that cannot be served; `uploads`: there is a store for them."""
    if spec.source.upload_key is not None and not uploads:
        return Failure(Reason.NOT_SUPPORTED, "spec.source.uploadKey: this installation has no store for uploads")
    if spec.engine is Engine.RELAY and spec.source.upload_key is not None:
        return Failure(Reason.NOT_SUPPORTED, RELAY_NEEDS_LIVE_SOURCE)
    if spec.verify is Verify.CHECKSUMS and spec.source.upload_key is not None:
        return Failure(Reason.NOT_SUPPORTED, CHECKSUMS_NEED_LIVE_SOURCE)
    return None
