"""The hostile tenant: runs all attacks in a loop, and deletes the previews in which it ran them."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count

from tests.attacks.attack_scripts import ATTACKS, Attack
from tests.e2e.tenant import PREVIEWS, Tenant
from tests.support import kubectl

PREVIEWS_AT_ONCE = 6
LOGIN_SECONDS = 2  # until a session that holds something is open


class Attacker:
    """Runs attacks in threads until it is stopped."""

    def __init__(self, tenant: Tenant, neighbour_role: str, neighbour_project: str) -> None:
        self._tenant, self._role, self._project = tenant, neighbour_role, neighbour_project
        self._stop = threading.Event()
        self._numbers = count(1)
        self._sessions = ThreadPoolExecutor(max_workers=24)
        self.played: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()  # attacks that the server or the operator refused
        self.drops: dict[str, list[float]] = {attack.name: [] for attack in ATTACKS}  # seconds of each deletion

    @contextmanager
    def attacking(self) -> Iterator[None]:
        """Attacks while the block runs."""
        threads = [threading.Thread(target=self._loop, args=(first,)) for first in range(PREVIEWS_AT_ONCE)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._sessions.shutdown(cancel_futures=True)

    def _loop(self, first: int) -> None:
        """Plays every attack in turn, beginning with another one in each thread."""
        at = first * len(ATTACKS) // PREVIEWS_AT_ONCE
        while not self._stop.is_set():
            attack = ATTACKS[at % len(ATTACKS)]
            at += 1
            try:
                self._play(attack)
                self.played[attack.name] += 1
            except (kubectl.KubectlError, AssertionError):
                self.refused[attack.name] += 1

    def _play(self, attack: Attack) -> None:
        name = f"evil-{next(self._numbers)}"
        self._tenant.make_previews(name)
        script = attack.script.replace("{neighbour}", self._role).replace("{project}", self._project)
        script = script.replace("{{", "{").replace("}}", "}")
        try:
            if attack.holds:
                self._sessions.submit(self._hold, name, script)
                time.sleep(LOGIN_SECONDS)
            else:
                self._tenant.log_in(name, script)
            with suppress(kubectl.KubectlError):  # an import that drips into the preview
                self._tenant.start(name, "slow", name, recreate=True)
        finally:
            began = time.monotonic()
            kubectl.delete(PREVIEWS, name, namespace=self._tenant.name)
            self.drops[attack.name].append(time.monotonic() - began)

    def _hold(self, name: str, script: str) -> None:
        with suppress(kubectl.KubectlError):  # the drop ends the session
            self._tenant.log_in(name, script)
