"""Adds the result of comparing definitions to the findings. Pure."""

from pgimport.model.import_choices import OnObjectError, SkipGroup
from pgimport.model.result import SkippedObject
from pgimport.worker.verify.definition_repair import Settlement
from pgimport.worker.verify.definitions import DefinitionList, Difference
from pgimport.worker.verify.findings import Findings

RECREATED = "created again with the source's operators, because pg_dump's empty search_path chose others"


def report_differences(
    settlement: Settlement, source: DefinitionList, findings: Findings, on_object_error: OnObjectError
) -> None:
    """Adds what still differs, and what could not be compared.

    A difference fails the import only with `onObjectError: fail`. Otherwise the report lists the object.
    """
    for difference in settlement.differences:
        text = _describe(difference, settlement.errors.get(difference.source.title))
        if on_object_error is OnObjectError.FAIL:
            findings.other_differences.append(text)
        else:
            findings.skipped.append(SkippedObject(object=difference.source.title, reason=text, group=SkipGroup.REFUSED))
            findings.not_compared.append(f"meaning of {difference.source.title}: {text}")
    findings.not_compared += [f"definitions of kind {kind}: {reason}" for kind, reason in sorted(source.unread.items())]
    findings.not_compared += [
        f"definition of {item.title}: the source dropped it during the import"
        for item in settlement.compared
        if None in item.statements
    ]


def _describe(difference: Difference, error: str | None) -> str:
    cause = f"; it could not be created again: {error}" if error else ""
    missing = difference.shadow is None
    return f"{'' if missing else 'the copy has another definition: '}{difference.describe()}{cause}"
