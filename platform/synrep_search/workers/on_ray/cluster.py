"""The Ray cluster that a search runs on: one that is there, or one on this machine."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

# Read by ray when it is imported; a user's own settings win.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Tells a node that was lost from a process that died; Ray itself asks for one second only.
    "RAY_timeout_ms_task_wait_for_death_info": "60000",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # files and events per trial that nobody reads
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver has its own
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the ledger is the state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray
from ray._private.state import state
from ray.exceptions import AuthenticationError

from synrep.errors import InputError

REMEDY = "start one with `ray start --head`, or leave --address out"
KEY = "set RAY_AUTH_MODE=token, and have the cluster's token in ~/.ray/auth_token"
OBJECT_STORE_BYTES = 100 * 2**20
"""Only short JSON texts pass through Ray; poses are memory-mapped files."""


class Cluster:
    """A connection to Ray. It starts at once, while others prepare the search.

    Args:
        address: of a running cluster; None starts Ray on this machine, and `close` ends it.

    Raises:
        InputError: there is no cluster at the address.
    """

    def __init__(self, address: str | None = None) -> None:
        if address is not None:
            _reach(address)
        self._started: Future[None] = Future()
        self._ended = threading.Event()
        threading.Thread(target=self._start, args=(address,), name="ray", daemon=True).start()
        if address is not None:
            self.wait()  # nothing is begun on a cluster that is not there

    def wait(self) -> None:
        """Return when Ray is there; raise what kept it from starting."""
        self._started.result()
        # Ray has put its own handler first: it prints a stack trace, and aborts seconds later.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))

    def close(self) -> None:
        """Let go of the cluster; end it if it was started here. Can be repeated.

        In the thread that used it, and while nothing else collects garbage: Ray ends a process in
        which a handle is collected by another thread than the one that shuts it down.
        """
        self._started.exception()
        gc.collect()
        gc.disable()
        try:
            ray.shutdown()
        finally:
            gc.enable()
        self._ended.set()

    def _start(self, address: str | None) -> None:
        try:
            _connect(address)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._started.set_exception(error)
        else:
            self._started.set_result(None)
        # Linux ends Ray's processes together with the thread that started them.
        self._ended.wait()


def is_draining(node: str) -> bool:
    """Whether a node was told to end: it still works for a while, and gets nothing new to do."""
    try:
        return node in state.get_draining_nodes()
    except Exception:  # noqa: BLE001 - Ray has no public way to ask; without an answer it goes on
        return False


def _connect(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **quiet,
        )
        _close_token()
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, AuthenticationError) as error:
        reason = str(error).strip().splitlines()[0]
        remedy = KEY if "token" in str(error).lower() else REMEDY
        raise InputError(f"--address {address}", f"no Ray cluster: {reason}", remedy) from None


def _close_token() -> None:
    """Ray writes the token of its cluster for all users of the machine to read."""
    with suppress(OSError):
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


def _reach(address: str) -> None:
    """Raise at once where Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # a word such as auto
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"--address {address}", f"no Ray cluster: {error}", REMEDY) from None
