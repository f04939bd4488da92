"""What the words allow and this version does not do yet: refused by name, never passed over in silence."""

from pgimport.model.reasons import Failure, Reason
from pgimport.model.spec import Engine, ImportSpec, PreviewMode, PreviewSpec, Verify


def find_unsupported_import(spec: ImportSpec, uploads: bool) -> Failure | None:
    """The first field, in the order of the spec, that cannot be served; `uploads`: there is a store for them."""
    if spec.source.upload_key is not None and not uploads:
        return Failure(Reason.NOT_SUPPORTED, "spec.source.uploadKey: this installation has no store for uploads")
    checks = (
        ("spec.engine", spec.engine is Engine.RELAY, "the relay engine"),
        ("spec.verify", spec.verify is Verify.CHECKSUMS, "verification by checksums"),
    )
    for field, wanted, what in checks:
        if wanted:
            return Failure(Reason.NOT_SUPPORTED, f"{field}: {what} is not supported by this version")
    return None


def find_unsupported_preview(spec: PreviewSpec) -> Failure | None:
    if spec.mode is PreviewMode.CLONE:
        return Failure(Reason.NOT_SUPPORTED, "spec.mode: clone is not supported by this version")
    return None
