"""Calls kubectl. All access to the cluster goes through it, so that every way to log in works that kubectl knows."""

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from pgimport.cli.cluster_commands.errors import KubectlMissing, NotAllowed, ObjectNotFound
from pgimport.cli.cluster_commands.kubectl_errors import explain_kubectl_error

Json = dict[str, Any]

DELETED = "DELETED"  # type of a watch event
ERROR = "ERROR"  # type of a watch event whose object is a Status: the watch ends, for example with a lost connection
END_SECONDS = 5  # for a kubectl that is told to end
LOST_SECONDS = 120  # for which a watch waits for an API server that has gone, as while it is upgraded
PAUSE_SECONDS = 1  # before kubectl is started again after a failure


class Kubectl:
    """Runs kubectl with the options that the user gave for all calls."""

    def __init__(self, options: Sequence[str], namespace: str | None) -> None:
        """`options`: such as --context; `namespace`: the user's choice, or None for that of the context."""
        self._options = [*options, *(["--namespace", namespace] if namespace else [])]
        self._namespace = namespace

    @property
    def namespace(self) -> str:
        """The namespace in which kubectl works: the user's choice, else that of the context, else `default`."""
        if self._namespace is None:
            view = ["config", "view", "--minify", "--output", "jsonpath={..namespace}"]
            done = self._call(view, None)
            words = done.stdout.split()
            self._namespace = words[0] if done.returncode == 0 and words else "default"
        return self._namespace

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Returns kubectl's standard output. Raises CommandFailed."""
        done = self._call(arguments, stdin)
        if done.returncode != 0:
            raise explain_kubectl_error(done.stderr, self.namespace)
        return done.stdout

    def try_run(self, *arguments: str) -> tuple[bool, str]:
        """Returns whether kubectl succeeded, and its output or error message."""
        done = self._call(arguments, None)
        return done.returncode == 0, (done.stdout if done.returncode == 0 else done.stderr).strip()

    def get(self, resource: str, name: str, *, namespace: str | None = None) -> Json:
        """Returns an object. Raises ObjectNotFound, CommandFailed."""
        return _parse(self.run("get", resource, "--output", "json", *_in(namespace), "--", name))

    def find(self, resource: str, name: str) -> Json | None:
        """Returns an object, or None if it does not exist. Raises CommandFailed."""
        try:
            return self.get(resource, name)
        except ObjectNotFound:
            return None

    def list(self, resource: str, *options: str) -> list[Json]:
        """Lists objects; `options` are kubectl's, such as --all-namespaces. Raises CommandFailed."""
        items: list[Json] = _parse(self.run("get", resource, "--output", "json", *options))["items"]
        return items

    def create(self, manifest: Json, *options: str) -> Json:
        """Creates an object and returns it. The manifest travels by standard input. Raises CommandFailed."""
        return _parse(self.run("create", "--filename", "-", "--output", "json", *options, stdin=json.dumps(manifest)))

    def patch(self, resource: str, name: str, patch: Json) -> Json:
        """Applies a merge patch and returns the object. Raises CommandFailed."""
        text = json.dumps(patch)
        return _parse(self.run("patch", resource, name, "--type", "merge", "--patch", text, "--output", "json"))

    @contextmanager
    def watch(self, resource: str, *arguments: str) -> Iterator["Watch"]:
        """Watches one object or a list, beginning with what exists. Ends kubectl at the end."""
        watch = Watch(self, ["get", resource, "--watch", "--output-watch-events", "--output", "json", *arguments])
        try:
            yield watch
        finally:
            watch.close()

    def start(self, arguments: Sequence[str], **streams: Any) -> "subprocess.Popen[str]":
        """Starts kubectl; `streams` are those of Popen. Raises KubectlMissing."""
        try:
            return subprocess.Popen(
                ["kubectl", *self._options, *arguments],
                text=True,
                encoding="utf-8",
                errors="replace",
                **{"stdin": subprocess.DEVNULL, **streams},
            )
        except FileNotFoundError:
            raise KubectlMissing("kubectl is not on PATH. Install it, or add its folder to PATH.") from None

    def _call(self, arguments: Sequence[str], stdin: str | None) -> "subprocess.CompletedProcess[str]":
        pipe = subprocess.PIPE
        streams = {"stdin": pipe} if stdin is not None else {}
        with self.start(arguments, stdout=pipe, stderr=pipe, **streams) as process:
            try:
                out, err = process.communicate(stdin)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class Watch:
    """Yields watch events of kubectl, and starts it again when the API server ends a watch or goes away for a while."""

    def __init__(self, kubectl: Kubectl, arguments: list[str]) -> None:
        self._kubectl, self._arguments = kubectl, arguments
        self._events: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._answered_at: float | None = None  # when a kubectl that had printed an event last ended
        self._has_answered = False  # this kubectl has printed an event
        self._process = self._start()

    def next_event(self, seconds: float | None) -> Json | None:
        """Returns the next event, `{"type": …, "object": …}`, or None after that many seconds. Raises CommandFailed."""
        end = None if seconds is None else time.monotonic() + seconds
        while True:
            try:
                event = self._events.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except queue.Empty:
                return None
            if event is None:
                self._restart()
            elif event["type"] != ERROR:
                self._has_answered = True
                return event

    def close(self) -> None:
        """Ends kubectl."""
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> "subprocess.Popen[str]":
        process = self._kubectl.start(self._arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101 (for mypy: it is a pipe)
        threading.Thread(target=_read_events, args=(process.stdout, self._events), daemon=True).start()
        return process

    def _restart(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 (for mypy: it is a pipe)
        stderr, now = self._process.stderr.read(), time.monotonic()
        failed = self._process.wait() != 0
        if self._has_answered:
            self._answered_at = now
        else:
            lost = self._answered_at is not None and now < self._answered_at + LOST_SECONDS
            error = explain_kubectl_error(stderr, self._kubectl.namespace) if failed else None
            if error is not None and (not lost or isinstance(error, ObjectNotFound | NotAllowed)):
                raise error
            time.sleep(PAUSE_SECONDS)
        self._has_answered = False
        self._process = self._start()


def _read_events(stream: IO[str], events: "queue.SimpleQueue[Json | None]") -> None:
    """Puts each event into the queue, and None at the end. kubectl prints an event as a line of JSON."""
    for line in stream:
        events.put(_parse(line))
    events.put(None)


def _parse(text: str) -> Json:
    body: Json = json.loads(text)
    return body


def _in(namespace: str | None) -> list[str]:
    return ["--namespace", namespace] if namespace else []
