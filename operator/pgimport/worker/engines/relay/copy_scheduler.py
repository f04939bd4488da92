"""The relay at work: a held snapshot, a plan and the shadow's empty tables come in; rows and indexes are in the copy.

Streams and builders are threads. What one of them cannot do ends all of them.
"""

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from pgimport.model.reasons import Failure
from pgimport.worker.engines.relay.concurrency import SAMPLE_SECONDS, StreamLimit
from pgimport.worker.engines.relay.copy_stream import CopyStream, StreamEndpoints
from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.index_queue import IndexQueue
from pgimport.worker.engines.relay.index_workers import IndexWorker
from pgimport.worker.engines.relay.relay_plan import RelayPlan, Step
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.engines.relay.throughput import Throughput
from pgimport.worker.engines.relay.watchdog import watching_shadow
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun

CONNECTION_ATTEMPTS = 30  # of a last stream that a server has no room for, one a second


class CopyScheduler:
    """One import's rows on their way; `later`: builds that come when all of this is done."""

    def __init__(
        self, run: ImportRun, ends: StreamEndpoints, plan: RelayPlan, builds: Sequence[IndexBuild], later: int
    ) -> None:
        self._run, self._ends, self._plan, self._builds, self._later = run, ends, plan, builds, later
        self._board = IndexQueue(builds, max(plan.index_workers, plan.streams))
        self._flow = Throughput(run.meter)
        self._pace = StreamLimit(plan.streams)
        self._lock = threading.Condition()
        self._steps = deque(plan.steps)
        self._at_work = plan.streams
        self._large = 0  # steps that are under way
        self._streams: list[CopyStream] = []
        self._builders: list[IndexWorker] = []
        self._counts: dict[int, int] = {}
        self._built = 0
        self._refused: Failure | None = None

    def copy_rows(self) -> dict[int, int]:
        """Rows of each table, by its oid, as the source's COPY counted them. Raises Stopped."""
        self._run.meter.begin(Stage.COPY)
        for _ in range(self._plan.streams):
            self._board.begin_stream()
            self._streams.append(CopyStream(self._ends, self._run.reporter, self._flow))
        with (
            ThreadPoolExecutor(self._plan.streams + self._plan.index_workers) as pool,
            PeriodicCall(self._flow.report),
            PeriodicCall(self._look, SAMPLE_SECONDS),
            reporting_server_progress(self._run.meter, self._run.shadow, INDEX_PROGRESS),
            watching_shadow(self._run.shadow, self._run.order.storage_limit_bytes, self._heed, self._refuse),
        ):
            work = [pool.submit(self._stream, stream) for stream in self._streams]
            work += [pool.submit(self._build) for _ in range(min(self._plan.index_workers, len(self._builds)))]
            done, undone = wait(work, return_when=FIRST_EXCEPTION)
            if undone:
                self._stop()
            for future in done:
                self._raise(future.exception())
            if self._refused is not None:
                raise ImportStopped(self._refused)
        return self._counts

    def _raise(self, error: BaseException | None) -> None:
        if error is not None and self._refused is not None:
            error = ImportStopped(self._refused)
        elif isinstance(error, StepFailed):
            error = ImportStopped(error.failure)
        if isinstance(error, ImportStopped):
            self._run.reporter.log_client_line(error.failure.message)  # where a client would have said it
        if error is not None:
            raise error

    def _heed(self, failed: Collection[int]) -> None:
        for stream in self._streams:
            stream.check_failed_backends(failed)

    def _refuse(self, failure: Failure) -> None:
        self._refused = failure
        self._stop()

    def _stop(self) -> None:
        self._board.stop()
        with self._lock:
            self._steps.clear()
            self._lock.notify_all()
            at_work: list[CopyStream | IndexWorker] = [*self._streams, *self._builders]
        for one in at_work:
            one.abort()

    def _look(self) -> None:
        """Now and then: do more streams help?"""
        with self._lock:
            self._pace.add_sample(self._flow.measure_rate(), self._large)
            self._lock.notify_all()

    def _stream(self, stream: CopyStream) -> None:
        try:
            while (step := self._next_step()) is not None and self._do(stream, step):
                self._step_is_over(step)
        finally:
            stream.close()
            self._board.end_stream()

    def _next_step(self) -> Step | None:
        """The largest, or where enough large ones are under way, the largest small one. None ends a stream."""
        with self._lock:
            while self._steps:
                room = self._large < self._pace.current
                if (step := next((one for one in self._steps if room or not one.is_large), None)) is not None:
                    self._steps.remove(step)
                    self._large += step.is_large
                    return step
                self._board.end_stream()
                self._lock.wait()
                self._board.begin_stream()
            self._leave()
            return None

    def _step_is_over(self, step: Step) -> None:
        with self._lock:
            self._large -= step.is_large
            self._lock.notify_all()

    def _leave(self) -> None:
        """The last one turns the light off: from here on it is indexes alone."""
        self._at_work -= 1
        if self._at_work == 0:
            self._run.meter.begin(Stage.INDEXES, len(self._builds) + self._later, self._built)

    def _do(self, stream: CopyStream, step: Step) -> bool:
        """False where this stream has to end, because a server has no room for it. Raises StepFailed."""
        for left in range(CONNECTION_ATTEMPTS, -1, -1):
            try:
                self._take_in(stream.run_step(step))
                return True
            except StepFailed as failed:
                if not failed.too_many_connections or left == 0:
                    raise
                if self._give_back(step, failed):
                    return False
                time.sleep(1)
        return False

    def _give_back(self, step: Step, failed: StepFailed) -> bool:
        with self._lock:
            if self._at_work == 1:
                return False
            self._steps.appendleft(step)
            self._large -= step.is_large
            self._leave()
            self._lock.notify_all()
        self._run.reporter.log(f"one stream less: {failed.failure.message}", "warning")
        return True

    def _take_in(self, counts: dict[int, int]) -> None:
        with self._lock:
            self._counts.update(counts)
        self._flow.forget_tables(counts)
        for oid in counts:
            self._run.meter.finish(oid)
        self._board.add_loaded_tables(counts)

    def _build(self) -> None:
        builder = IndexWorker(self._run.shadow, self._ends.encoding, self._plan.index_workers)
        with self._lock:
            self._builders.append(builder)
        try:
            while (build := self._board.take()) is not None:
                builder.build(build)
                self._board.finish(build)
                with self._lock:
                    self._built += 1
                self._run.meter.step()
            if not self._board.stopped:  # else nothing of this copy will be used
                builder.flush()
        finally:
            builder.close()
