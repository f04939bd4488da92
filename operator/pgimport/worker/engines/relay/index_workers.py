"""Runs index builds in sessions of the attempt's role, and skips what the target refuses."""

from pgimport.worker.engines.definitions.executor import DefinitionExecutor
from pgimport.worker.engines.definitions.session import DefinitionSession
from pgimport.worker.engines.relay.index_builds import KEY_INDEX_ID_OFFSET, IndexBuild


class IndexWorker:
    """Runs builds in one session. Only `abort` may be called from another thread."""

    def __init__(self, session: DefinitionSession, executor: DefinitionExecutor) -> None:
        self._session, self._executor = session, executor
        self.refused_table_oids: set[int] = set()  # tables whose ANALYZE failed

    def build(self, build: IndexBuild) -> None:
        """Runs the statement of one build, unless its entry was skipped meanwhile. Raises ImportStopped.

        A refused ANALYZE is only remembered: it runs again after the constraints, and is reported then.
        """
        plan = self._executor.context.plan
        entry = plan.entries_by_id.get(build.build_id % KEY_INDEX_ID_OFFSET) if build.build_id > 0 else None
        if entry is not None and not plan.admit(entry):
            return
        refusal = self._session.execute(build.statement, build.title)
        if refusal is None:
            return
        if entry is not None:
            self._executor.refuse(self._session, entry, refusal)
        else:
            self.refused_table_oids.add(build.table_oid)
        if build.leftover is not None:
            self._session.execute(build.leftover, build.title)

    def flush(self) -> None:
        """Waits until the WAL of all builds of this session is on the server's disk. Raises ImportStopped."""
        self._session.flush()

    def abort(self) -> None:
        """Cancels the statement that runs. May be called from another thread."""
        self._session.abort()

    def close(self) -> None:
        self._session.close()
