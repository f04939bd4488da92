"""Runs the streams and index workers of one relay.

Each stream and each index worker is a thread. The first error in one of them ends all of them.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from pgimport.worker.engines.definitions.phases import KINDS_AFTER_ROWS
from pgimport.worker.engines.definitions.restore import DefinitionRestore
from pgimport.worker.engines.relay.concurrency import SAMPLE_SECONDS, StreamLimit
from pgimport.worker.engines.relay.copy_stream import CopyStream, StreamEndpoints
from pgimport.worker.engines.relay.index_builds import IndexBuild
from pgimport.worker.engines.relay.index_queue import IndexQueue
from pgimport.worker.engines.relay.index_workers import IndexWorker
from pgimport.worker.engines.relay.relay_plan import RelayPlan, Step
from pgimport.worker.engines.relay.step_errors import StepFailed
from pgimport.worker.engines.relay.throughput import Throughput
from pgimport.worker.postgres.errors import ImportStopped
from pgimport.worker.postgres.server_progress import INDEX_PROGRESS, reporting_server_progress
from pgimport.worker.report.periodic_call import PeriodicCall
from pgimport.worker.report.progress_meter import Stage
from pgimport.worker.run import ImportRun

CONNECTION_RETRIES = 30  # tries of the last stream, one per second, while a server accepts no more connections


class CopyScheduler:
    """Copies the rows of one import and builds indexes at the same time.

    `restore` creates the other objects, before and after the rows. The progress meter also counts the later ones.
    """

    def __init__(
        self,
        run: ImportRun,
        endpoints: StreamEndpoints,
        plan: RelayPlan,
        builds: Sequence[IndexBuild],
        restore: DefinitionRestore,
    ) -> None:
        self._run, self._endpoints, self._plan = run, endpoints, plan
        self._builds, self._restore = builds, restore
        self._index_queue = IndexQueue(builds, max(plan.index_workers, plan.streams))
        self._throughput = Throughput(run.meter)
        self._stream_limit = StreamLimit(plan.streams)
        self._changed = threading.Condition()  # wakes waiting streams, and guards the fields below
        self._waiting_steps = deque(plan.steps)
        self._active_streams = plan.streams
        self._running_large_steps = 0
        self._closed_streams = 0  # that have ended without an error
        self._stopped = False
        self._streams: list[CopyStream] = []
        self._index_workers: list[IndexWorker] = []
        self.unanalyzed_oids: set[int] = set()  # tables whose ANALYZE the target refused
        self._row_counts: dict[int, int] = {}
        self._finished_builds = 0

    def copy_rows(self, finish_reading: Callable[[], None]) -> dict[int, int]:
        """Copies all rows, and returns oid → number of rows that the source sent. Raises ImportStopped.

        Calls `finish_reading` after the last row, while indexes are still built.
        """
        run, plan = self._run, self._plan
        run.meter.begin(Stage.COPY)
        for _ in range(plan.streams):
            self._index_queue.begin_stream()
            self._streams.append(CopyStream(self._endpoints, run.reporter, self._throughput))
        storage_limit = run.order.storage_limit_bytes
        with (
            run.interruption.ending(self._stop),
            ThreadPoolExecutor(plan.streams + plan.index_workers) as pool,
            PeriodicCall(self._throughput.report),
            PeriodicCall(self._adjust_stream_limit, SAMPLE_SECONDS),
            reporting_server_progress(run.meter, run.shadow, INDEX_PROGRESS),
            run.target_watch.watching_copy(storage_limit, self._report_failed_backends),
        ):
            futures = [pool.submit(self._run_stream, stream, finish_reading) for stream in self._streams]
            workers = min(plan.index_workers, len(self._builds))
            futures += [pool.submit(self._run_index_worker) for _ in range(workers)]
            done, pending = wait(futures, return_when=FIRST_EXCEPTION)
            if pending:
                self._stop()
            for future in done:
                self._raise(future.exception())
        return self._row_counts

    def _raise(self, error: BaseException | None) -> None:
        """Raises a thread's error, if any, as ImportStopped. The watchdog's reason takes precedence."""
        if error is not None and self._run.interruption.failure is not None:
            error = ImportStopped(self._run.interruption.failure)
        elif isinstance(error, StepFailed):
            error = ImportStopped(error.failure)
        if isinstance(error, ImportStopped):
            self._run.reporter.log_client_line(error.failure.message)  # like an error line of pg_dump
        if error is not None:
            raise error

    def _report_failed_backends(self, failed_pids: Collection[int]) -> None:
        for stream in self._streams:
            stream.check_failed_backends(failed_pids)

    def _stop(self) -> None:
        self._index_queue.stop()
        with self._changed:
            self._stopped = True
            self._waiting_steps.clear()
            self._changed.notify_all()
            workers: list[CopyStream | IndexWorker] = [*self._streams, *self._index_workers]
        for worker in workers:
            worker.abort()

    def _adjust_stream_limit(self) -> None:
        with self._changed:
            self._stream_limit.add_sample(self._throughput.measure_rate(), self._running_large_steps)
            self._changed.notify_all()

    def _run_stream(self, stream: CopyStream, finish_reading: Callable[[], None]) -> None:
        """Runs steps until no step is left, or until this stream must end. The last stream finishes the reading."""
        try:
            while (step := self._take_step()) is not None and self._run_step(stream, step):
                self._finish_step(step)
        finally:
            stream.close()
            self._index_queue.end_stream()
        with self._changed:
            self._closed_streams += 1
            was_last = self._closed_streams == len(self._streams)
        if was_last and not self._stopped:
            finish_reading()

    def _take_step(self) -> Step | None:
        """Returns the next step: a small one if enough large steps run. Returns None if no step is left."""
        with self._changed:
            while self._waiting_steps:
                may_be_large = self._running_large_steps < self._stream_limit.current
                candidates = (step for step in self._waiting_steps if may_be_large or not step.is_large)
                if (step := next(candidates, None)) is not None:
                    self._waiting_steps.remove(step)
                    self._running_large_steps += step.is_large
                    return step
                self._index_queue.end_stream()
                self._changed.wait()
                self._index_queue.begin_stream()
            self._count_stream_end()
            return None

    def _finish_step(self, step: Step) -> None:
        with self._changed:
            self._running_large_steps -= step.is_large
            self._changed.notify_all()

    def _count_stream_end(self) -> None:
        """Counts the end of a stream.

        At the end of the last one, begins the stage of index builds. The caller holds the lock.
        """
        self._active_streams -= 1
        if self._active_streams == 0:
            build_count = len(self._builds) + self._count_later_builds()
            self._run.meter.begin(Stage.INDEXES, build_count, self._finished_builds)

    def _count_later_builds(self) -> int:
        build_ids = {build.build_id for build in self._builds}
        entries = self._restore.plan.main_entries
        return sum(entry.kind in KINDS_AFTER_ROWS and entry.dump_id not in build_ids for entry in entries)

    def _run_step(self, stream: CopyStream, step: Step) -> bool:
        """Runs a step. Returns False if the stream must end because a server accepts no more connections.

        The last stream tries again instead of ending. Raises StepFailed.
        """
        for remaining_retries in range(CONNECTION_RETRIES, -1, -1):
            try:
                self._record_rows(stream.run_step(step))
                return True
            except StepFailed as error:
                if not error.too_many_connections or remaining_retries == 0:
                    raise
                if self._return_step(step, error):
                    return False
                time.sleep(1)
        return False

    def _return_step(self, step: Step, error: StepFailed) -> bool:
        """Returns a step to the queue and counts this stream as ended. If it is the last stream, only returns False."""
        with self._changed:
            if self._active_streams == 1:
                return False
            self._waiting_steps.appendleft(step)
            self._running_large_steps -= step.is_large
            self._count_stream_end()
            self._changed.notify_all()
        self._run.reporter.log(f"the copy continues with one stream less: {error.failure.message}", "warning")
        return True

    def _record_rows(self, row_counts: dict[int, int]) -> None:
        with self._changed:
            self._row_counts.update(row_counts)
        self._throughput.forget_tables(row_counts)
        for oid in row_counts:
            self._run.meter.finish(oid)
        self._index_queue.add_loaded_tables(row_counts)

    def _run_index_worker(self) -> None:
        """Runs builds until none is left, then makes them durable."""
        session = self._restore.open_session(self._plan.index_workers)
        worker = IndexWorker(session, self._restore.executor)
        with self._changed:
            self._index_workers.append(worker)
        try:
            while (build := self._index_queue.take()) is not None:
                worker.build(build)
                self._index_queue.finish(build)
                with self._changed:
                    self._finished_builds += 1
                    self.unanalyzed_oids |= worker.refused_table_oids
                self._run.meter.step()
            if not self._index_queue.stopped:  # a stopped import needs no durability
                worker.flush()
        finally:
            worker.close()
