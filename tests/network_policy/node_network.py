"""Builds the network of a node and its pods from network namespaces, which end with their processes.

No address or rule of the machine itself is changed.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BRIDGE = "10.244.0.1"  # the pods' gateway
CONNECT_SECONDS = 10  # kube-router rejects at once what it forbids

_LISTEN = """
import socket, sys
sockets = []
for place in sys.argv[1:]:
    address, port = place.rsplit(":", 1)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, int(port)))
    listener.listen()
    sockets.append(listener)
print("listening", flush=True)
sys.stdin.read()
"""
_CONNECT = f"""
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout={CONNECT_SECONDS}).close()
except OSError:
    sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace. A process holds it."""

    pid: int

    def run(self, *command: str, stdin: str | None = None, seconds: float = 30) -> str:
        """Runs a command in the namespace and returns its output. Raises CalledProcessError."""
        result = subprocess.run(
            self._enter(command), input=stdin, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert result.returncode == 0, f"{command}: {result.stderr}"
        return result.stdout

    def reaches(self, address: str, port: int) -> bool:
        """Tells whether a process in the namespace can open a TCP connection."""
        command = self._enter([sys.executable, "-c", _CONNECT, address, str(port)])
        return subprocess.run(command, check=False, timeout=300).returncode == 0

    @contextmanager
    def listen(self, *places: str) -> Iterator[None]:
        """Accepts TCP connections at these places, such as `10.0.0.1:80`."""
        command = self._enter([sys.executable, "-c", _LISTEN, *places])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "listening\n"
            try:
                yield
            finally:
                process.stdin.close()

    def _enter(self, command: Sequence[str]) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", "--", *command]


@contextmanager
def open_namespace() -> Iterator[Namespace]:
    holder = ["unshare", "--net", sys.executable, "-c", "print('ready', flush=True); input()"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        namespace = Namespace(process.pid)
        namespace.run("ip", "link", "set", "lo", "up")
        try:
            yield namespace
        finally:
            process.stdin.write("\n")
            process.stdin.close()


@contextmanager
def open_node(pods: Sequence[str], addresses: Sequence[str]) -> Iterator[tuple[Namespace, dict[str, Namespace]]]:
    """Yields a node with these addresses, and its pods by their addresses.

    Packets between pods pass the node's iptables, as kube-proxy needs it.
    """
    with ExitStack() as stack:
        node = stack.enter_context(open_namespace())
        node.run("ip", "link", "add", "pods", "type", "bridge")
        node.run("ip", "address", "add", f"{BRIDGE}/24", "dev", "pods")
        node.run("ip", "link", "set", "pods", "up")
        for address in addresses:
            node.run("ip", "address", "add", f"{address}/32", "dev", "lo")
        node.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
        opened = {}
        for number, address in enumerate(pods):
            pod = opened[address] = stack.enter_context(open_namespace())
            link = f"pod{number}"
            node.run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(pod.pid))
            node.run("ip", "link", "set", link, "master", "pods", "up")
            pod.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
            pod.run("ip", "link", "set", "eth0", "up")
            pod.run("ip", "route", "add", "default", "via", BRIDGE)
        yield node, opened
