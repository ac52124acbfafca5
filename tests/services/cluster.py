"""A Ray cluster of several nodes on one machine, each with an address of its own."""

from __future__ import annotations

import os
import secrets
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from .process import Server, free_port

OBJECT_STORE_BYTES = 80_000_000
DRAIN_S = 60
NETWORK = f"127.{os.getpid() % 254 + 1}.0"
"""Of loopback addresses, another one in each process: runs of the tests side by side don't meet."""


class RayNode(Server):
    """One `ray start --block`: its processes end with it.

    Args:
        folder: for its log.
        address: of itself, another loopback address for each node.
        words: further options.
        env: that its workers see as well.
    """

    def __init__(self, folder: Path, address: str, words: list[str], env: dict[str, str]) -> None:
        super().__init__(folder, f"ray-{address}")
        self.address = address
        self._words = words
        self._env = env
        self._scratch: TemporaryDirectory[str] | None = None
        self._seen = 0

    def command(self) -> list[str]:
        """Ports are chosen by Ray, the head's excepted."""
        # Names of sockets are limited to 107 characters: the folder may be too deep for them.
        self._scratch = TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self._seen = self.log.stat().st_size if self.log.exists() else 0
        return [
            str(Path(sysconfig.get_path("scripts"), "ray")), "start", "--block",
            "--node-ip-address", self.address, "--temp-dir", self._scratch.name,
            "--object-store-memory", str(OBJECT_STORE_BYTES), "--min-worker-port", "0",
            "--max-worker-port", "0", "--include-log-monitor", "false", "--disable-usage-stats",
            *self._words,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Its own words come without delay: they tell when it serves."""
        return {"PYTHONUNBUFFERED": "1"} | self._env

    def ready(self) -> bool:
        """Whether it has said so."""
        with self.log.open("rb") as log:
            log.seek(self._seen)
            return b"Ray runtime started" in log.read()

    def terminate(self) -> None:
        """Ask it to end, as a scheduler that wants its machine back: Ray drains it for 30 s."""
        self._end(DRAIN_S)

    def _end(self, grace_s: float) -> None:
        super()._end(grace_s)
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None


class RayCluster:
    """A head without CPUs for trials, and nodes with them.

    Its token is in a file of its folder: clients need `env`.

    Args:
        folder: for logs and the token.
        nodes: beside the head.
        cpus_each: CPUs that each node claims to have.
        env: that workers are to see, such as credentials of the storage.
        network: first three numbers of its nodes' addresses; clusters side by side need their own.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        cpus_each: int = 1,
        env: dict[str, str] | None = None,
        network: str = NETWORK,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        token = folder / "token"
        token.write_text(secrets.token_hex(32), encoding="utf-8")
        token.chmod(0o600)
        self.env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        """What a client needs, the driver of a search for example."""
        port = free_port()
        host = f"{network}.2"  # Ray takes 127.0.0.1 for the machine's outer address
        self.address = f"{host}:{port}"
        self.nodes: list[RayNode] = []
        """By number; dead ones keep theirs."""
        self._cpus_each = cpus_each
        self._network, self._numbers = network, count(3)
        self._all_env = (
            self.env
            | (env or {})
            | {
                # A lost node is noticed after about 3 s instead of 15 s.
                "RAY_health_check_initial_delay_ms": "1000",
                "RAY_health_check_period_ms": "1000",
                "RAY_health_check_failure_threshold": "3",
            }
        )
        head = ["--head", "--port", str(port), "--num-cpus", "0", "--include-dashboard", "false"]
        self.head = RayNode(folder, host, head, self._all_env)
        for _ in range(nodes):
            self._make_node()

    def start(self) -> None:
        """Start the head and all nodes."""
        self.head.start()
        for node in self.nodes:
            node.begin()
        for node in self.nodes:
            node.wait()

    def add_node(self) -> int:
        """Start one more node; its number."""
        self._make_node().start()
        return len(self.nodes) - 1

    def kill_node(self, number: int) -> None:
        """A node loses power."""
        self.nodes[number].kill()

    def terminate_node(self, number: int) -> None:
        """A node is asked to end, as one that is preempted, and does within about 30 s."""
        self.nodes[number].terminate()

    def kill_head(self) -> None:
        """The head loses power: the cluster is gone, its nodes end by and by. See `restart`."""
        self.head.kill()

    def restart(self) -> None:
        """A new cluster at the same address, with as many nodes as there were."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End all processes of the cluster; they have nothing to save."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(RayNode.kill, (*self.nodes, self.head)))

    def _make_node(self) -> RayNode:
        address = f"{self._network}.{next(self._numbers)}"
        words = ["--address", self.address, "--num-cpus", str(self._cpus_each)]
        self.nodes.append(RayNode(self.folder, address, words, self._all_env))
        return self.nodes[-1]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
