"""Runs a schedule with a clock of its own: decisions are carried out on imports that end when the test says so."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.samples import BORN, SCHEDULE, SCHEDULE_UID, a_policy, an_import, observed_schedule

from pgimport.decide.decision import CancelImport, CreateScheduledImport, Decision, DeleteImport
from pgimport.decide.schedules import decide_schedule
from pgimport.model.names import LABEL_SCHEDULE
from pgimport.model.resources import ImportObject
from pgimport.model.schedule_spec import ScheduleSpec
from pgimport.model.schedule_status import ScheduleStatus
from pgimport.model.status import ImportState, ImportStatus

POLICY = a_policy()


@dataclass
class ScheduleSimulation:
    """A schedule with its imports. `now` moves only when a test moves it."""

    spec: ScheduleSpec
    now: datetime = BORN
    status: ScheduleStatus = field(default_factory=lambda: ScheduleStatus(observed_generation=-1))
    imports: dict[str, ImportObject] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)  # names of all imports so far, in order
    decision: Decision[ScheduleStatus] | None = None

    def step(self, write_status: bool = True) -> Decision[ScheduleStatus]:
        """Decides once and carries the decision out. Without the status, the operator was killed before its write."""
        observed = observed_schedule(self.spec, self.status, imports=tuple(self.imports.values()))
        self.decision = decide_schedule(observed, self.now, POLICY)
        for action in self.decision.actions:
            self._act(action)
        if write_status:
            self.status = self.decision.status
        return self.decision

    def _act(self, action: Any) -> None:
        match action:
            case CreateScheduledImport(name):
                if name in self.imports:  # it is the schedule's own, so the operator takes it for created
                    return
                self.imports[name] = an_import(
                    self.spec.import_template,
                    name=name,
                    uid=f"uid-{name}",
                    labels={LABEL_SCHEDULE: SCHEDULE},
                    owner_uids=(SCHEDULE_UID,),
                    created_at=self.now,
                )
                self.created.append(name)
            case CancelImport(name, uid):
                item = self.imports[name]
                assert item.meta.uid == uid
                assert item.spec is not None
                self.imports[name] = replace(item, spec=item.spec.model_copy(update={"cancel": True}))
            case DeleteImport(name, uid):
                assert self.imports.pop(name).meta.uid == uid
            case _:
                raise AssertionError(f"not an action on a schedule: {action!r}")

    def settle(self) -> None:
        """Decides until nothing changes, as the events of the writes make the operator do."""
        for _ in range(10):
            before = self.status
            if not self.step().actions and self.status == before:
                return
        raise AssertionError("the schedule does not settle")

    def run_until(self, end: datetime, takes: timedelta | None = None) -> None:
        """Lets time pass from requeue to requeue. `takes`: how long each import runs; None: for ever."""
        while True:
            self.settle()
            assert self.decision is not None
            assert self.decision.requeue_after is not None
            moments = [self.now + self.decision.requeue_after]
            if takes is not None:
                moments += [item.meta.created_at + takes for item in self.imports.values() if not item.status.terminal]
            if min(moments) > end:
                self.now = end
                return
            self.now = max(min(moments), self.now + timedelta(milliseconds=1))
            for name, item in list(self.imports.items()):
                if takes is not None and not item.status.terminal and self.now >= item.meta.created_at + takes:
                    self.end(name)

    def end(self, name: str, state: ImportState = ImportState.COMPLETED, **changes: Any) -> None:
        """Ends an import, with its clean-up."""
        given: dict[str, Any] = {"state": state, "completed_at": self.now, "cleaned_up": True, "error": None}
        self.imports[name] = replace(self.imports[name], status=ImportStatus(**(given | changes)))

    def list_states(self) -> dict[str, str | None]:
        return {name: item.status.state and item.status.state.value for name, item in self.imports.items()}
