"""Runs a program in a pseudo terminal of a given width, and records what it shows."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

LINES = 50
END_SECONDS = 120
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program that runs in a pseudo terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], columns: int) -> None:
        self._leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        variables = {name: value for name, value in environment.items() if name not in ("COLUMNS", "NO_COLOR")}
        # A session of its own, whose terminal this is: Ctrl-C reaches all its programs.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *command],
            env={**variables, "TERM": "xterm-256color"} | {k: v for k, v in environment.items() if k == "NO_COLOR"},
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        self.output = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What was shown so far, without colours and cursor movements."""
        return _CONTROL.sub("", self.output).replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Waits until the program has shown the text."""
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.text, END_SECONDS), self.text

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def wait(self) -> int:
        """Waits for the end of the program and returns its exit code."""
        code = self._process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        return code

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._leader)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._leader, 65536)
            except OSError:  # the last program has closed the terminal
                return
            with self._changed:
                self.output += data.decode(errors="replace")
                self._changed.notify_all()


@contextmanager
def open_terminal(command: Sequence[str], environment: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    terminal = Terminal(command, environment, columns)
    try:
        yield terminal
    finally:
        terminal.close()
