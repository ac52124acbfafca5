"""The Ray cluster that a search runs on: an existing one, or one started on this machine."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from ray._common import utils as ray_utils
from ray._private import services
from ray._private.state import state
from ray.exceptions import AuthenticationError

from synrep.errors import InputError
from synrep_search.locks import exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = "start one with `ray start --head`, or leave --address out"
KEY = "set RAY_AUTH_MODE=token, and have the cluster's token in ~/.ray/auth_token"
LONGEST_TEMPORARY = 41
"""Longest path, in bytes, of a folder in which Ray can make its sockets."""
OBJECT_STORE_BYTES = 100 * 2**20
"""Only short JSON texts pass through Ray; poses are memory-mapped files."""


class Cluster:
    """A connection to Ray, made in the background while the search is prepared.

    Args:
        address: of a running cluster; None starts Ray on this machine, and `close` ends it.

    Raises:
        InputError: there is no cluster at the address.
    """

    def __init__(self, address: str | None = None) -> None:
        if address is not None:
            _reach(address)
        self._own = address is None
        self._started: Future[None] = Future()
        self._ended = threading.Event()
        threading.Thread(target=self._start, args=(address,), name="ray", daemon=True).start()
        if address is not None:
            self.wait()  # fail before anything of the search is created

    def wait(self) -> None:
        """Wait until Ray is connected; raise what prevented it."""
        self._started.result()
        # Ray has installed a handler of its own that prints a stack trace and aborts seconds later.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))

    def require(self, cpu: float, gpu: float) -> str:
        """Wait until Ray is connected, and see whether a node can hold a slot.

        Args:
            cpu: cores of a slot.
            gpu: GPUs of a slot.

        Returns:
            What no node has enough of, in words; empty if a slot fits.

        Raises:
            InputError: Ray was started here, so that no other node will come.
        """
        self.wait()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(one.get("CPU", 0) >= cpu and one.get("GPU", 0) >= gpu for one in nodes):
            return ""
        most = {
            kind: max((one.get(kind, 0) for one in nodes), default=0) for kind in ("CPU", "GPU")
        }
        where = "this machine has" if self._own else "no node of the cluster has more than"
        lacking = (
            f"a slot takes {cpu:g} CPUs and {gpu:g} GPUs, but {where} {most['CPU']:g} CPUs and "
            f"{most['GPU']:g} GPUs"
        )
        if self._own:
            remedy = "lower resources.cpu or resources.gpu, or name a cluster by --address"
            raise InputError("resources", lacking, remedy)
        return lacking

    def close(self) -> None:
        """Disconnect, and stop the cluster if it was started here. Can be called again.

        Call it in the thread that used Ray. Garbage collection is off meanwhile: Ray ends a process
        in which another thread collects a handle during the shutdown.
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
    """Whether a node is draining: it runs for a while, but Ray places nothing new on it."""
    try:
        return node in state.get_draining_nodes()
    except Exception:  # noqa: BLE001 - private API: without an answer the node counts as healthy
        return False


def _connect(address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        with _one_at_a_time(), _own_session():
            _start_ray(quiet)
            _close_token()
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, AuthenticationError) as error:
        reason = str(error).strip().splitlines()[0]
        remedy = KEY if "token" in str(error).lower() else REMEDY
        raise InputError(f"--address {address}", f"no Ray cluster: {reason}", remedy) from None


def _start_ray(quiet: dict[str, Any]) -> None:
    """Start Ray on this machine.

    Raises:
        InputError: it does not start.
    """
    place = temporary_folder()
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **quiet | ({"_temp_dir": place} if place else {}),
        )
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if isinstance(error, OSError):
            remedy = "make that folder writable and free some space (Ray uses $HOME/.ray and "
            remedy += "$RAY_TMPDIR or /tmp)"
        else:
            remedy = f"see Ray's logs in {place or default_folder()}/session_latest/logs"
        raise InputError(
            "Ray", f"can't be started: {reason}", f"{remedy}, or use --local"
        ) from None


def default_folder() -> str:
    """Return the folder that Ray would choose for its sockets and logs."""
    return str(ray_utils.get_default_ray_temp_dir())


def temporary_folder() -> str | None:
    """Return the folder in which Ray keeps its sockets; None leaves the choice to Ray.

    The address of a socket has at most 107 bytes, of which Ray needs 66. Batch systems often set a
    longer $TMPDIR.
    """
    if len(os.fsencode(ray_utils.get_default_system_temp_dir())) <= LONGEST_TEMPORARY:
        return None
    owner = f"synrep-ray-{os.getuid()}"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    short = runtime and len(os.fsencode(runtime)) <= LONGEST_TEMPORARY - len(owner)
    folder = Path(runtime if short and os.access(runtime, os.W_OK) else "/tmp") / owner  # noqa: S108 - checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        remedy = "name a short folder of your own by $RAY_TMPDIR"
        raise InputError(str(folder), "belongs to another user", remedy)
    return str(folder)


@contextmanager
def _own_session() -> Iterator[None]:
    """Start Ray's processes in sessions of their own.

    SIGTERM to the driver's process group (a batch system that ends a job) and SIGHUP (a terminal
    that is closed) then reach only the driver, which needs Ray to save its trials. Linux ends the
    processes together with the driver all the same.
    """
    popen: Any = getattr(services, "ConsolePopen", None)
    if popen is None:  # a private name, and another version of Ray
        yield
        return
    patched: Any = services
    patched.ConsolePopen = partial(popen, start_new_session=True)
    try:
        yield
    finally:
        patched.ConsolePopen = popen


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let one process make the token of this user's clusters, which Ray would overwrite."""
    token = Path.home() / ".ray" / "auth_token"
    if token.exists():
        yield
        return
    try:
        lock = exclusive(token.with_name("auth_token.lock"))
        lock.__enter__()
    except OSError as error:
        remedy = "let $HOME name a folder that you can write, or use --local"
        rule = f"Ray can't write its token there ({error.strerror})"
        raise InputError(str(token.parent), rule, remedy) from None
    with ExitStack() as stack:
        stack.push(lock)
        yield


def _close_token() -> None:
    """Protect the token of the cluster, which Ray writes readable for all users."""
    with suppress(OSError):
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


def _reach(address: str) -> None:
    """Fail at once if nothing listens at an address; Ray would retry for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # such as "auto"
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"--address {address}", f"no Ray cluster: {error}", REMEDY) from None
