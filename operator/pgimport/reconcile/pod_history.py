"""Remembers pods that have ended, because a deleted pod takes its status and its result with it."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from pgimport.model.observations import ObservedPod

REMEMBERED_PODS = 2000  # a few hundred bytes each; a pod matters only for minutes after its end


class PodHistory:
    """Keeps the last observed status of each pod, by uid. Threads may share it."""

    def __init__(self) -> None:
        self._pods: OrderedDict[str, ObservedPod] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, pod: ObservedPod) -> None:
        """Stores a pod's status and forgets the pods that were updated longest ago."""
        with self._lock:
            self._pods[pod.uid] = pod
            self._pods.move_to_end(pod.uid)
            while len(self._pods) > REMEMBERED_PODS:
                self._pods.popitem(last=False)

    def merge(self, job_uid: str, listed: Sequence[ObservedPod]) -> list[ObservedPod]:
        """Returns the Job's listed pods, and its remembered pods that ended before they were deleted, oldest first."""
        pods = [pod for pod in listed if pod.job_uid == job_uid]
        uids = {pod.uid for pod in pods}
        with self._lock:
            remembered = [pod for pod in self._pods.values() if pod.job_uid == job_uid and pod.uid not in uids]
        pods += [pod for pod in remembered if pod.has_ended]
        return sorted(pods, key=lambda pod: (pod.created_at, pod.name))
