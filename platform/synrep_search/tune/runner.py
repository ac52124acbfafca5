"""The runner on Ray: a cluster, or this machine."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from concurrent.futures import Future
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

# Read by ray when it is imported; a user's own settings win.
for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # files and events per trial that nobody reads
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver has its own
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # the ledger is the state
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray
from ray import tune
from ray.tune.error import TuneError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from synrep.errors import InputError
from synrep_search.tune.bridge import SlotScheduler, SlotSearcher
from synrep_search.tune.desk import Desk
from synrep_search.tune.slots import Slots
from synrep_search.tune.trainable import CPU, DESK, GPU, MEASURE, MOST, SlotTrainable

if TYPE_CHECKING:
    from synrep_search.search import Search

MOST_FUSED = 32
"""Trials that `fuse: auto` considers for a slot: more gain little, and more are lost with it."""
REMEDY = "start one with `ray start --head`, or leave --address out"
OBJECT_STORE_BYTES = 100 * 2**20
"""Only short JSON texts pass through Ray; poses are memory-mapped files."""


class RayRunner:
    """Runs the jobs of a search as Tune trials.

    Ray starts at once, while others prepare the search.

    Args:
        address: of a running cluster; None starts Ray on this machine and ends it afterwards.

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
            self._started.result()  # nothing is begun on a cluster that is not there

    def __call__(self, search: Search) -> None:
        """Run until the search is finished."""
        self._started.result()
        try:
            with TemporaryDirectory(prefix="synrep-tune-", ignore_cleanup_errors=True) as scratch:
                self._tune(search, Path(scratch))
        finally:
            ray.shutdown()
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

    def _tune(self, search: Search, scratch: Path) -> None:
        resources = search.spec.resources
        count = resources.slots or _slots(resources.cpu, resources.gpu)
        search.view.say(f"{count} slots on {_described(ray.cluster_resources())}")
        name = f"synrep-{search.ledger.name}-{uuid.uuid4().hex[:8]}"
        beside_driver = NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        desk: Any = ray.remote(num_cpus=0)(Desk)
        desk = desk.options(name=name, scheduling_strategy=beside_driver).remote()
        measure = resources.fuse == "auto"
        most = {"auto": MOST_FUSED, "off": 1}.get(str(resources.fuse)) or int(resources.fuse)
        slots = Slots(search, count, capacity=1 if measure else most)
        tuner = tune.Tuner(
            tune.with_resources(SlotTrainable, {"cpu": resources.cpu, "gpu": resources.gpu}),
            tune_config=tune.TuneConfig(
                search_alg=SlotSearcher(
                    slots,
                    {
                        DESK: name,
                        CPU: resources.cpu,
                        GPU: resources.gpu,
                        MOST: most,
                        MEASURE: measure,
                    },
                ),
                scheduler=SlotScheduler(slots, desk.put.remote),
                num_samples=-1,
                # A searcher of one's own gets one pending trial at a time otherwise.
                max_concurrent_trials=count,
                reuse_actors=True,
                trial_name_creator=lambda trial: trial.trial_id,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=str(scratch),
                verbose=0,
                # A retry is a new attempt of ours, from our own checkpoint.
                failure_config=tune.FailureConfig(max_failures=0),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except TuneError as error:
            raise (error.__context__ or error) from None  # what our own part of the driver raised


def _connect(address: str | None) -> None:
    # Tune calls a search with failed trials an error; ours are in the ledger, and retried.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            **quiet,
        )
        return
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError) as error:
        raise InputError(f"--address {address}", f"no Ray cluster: {error}", REMEDY) from None


def _reach(address: str) -> None:
    """Raise at once where Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # a word such as auto
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"--address {address}", f"no Ray cluster: {error}", REMEDY) from None


def _slots(cpu: float, gpu: float) -> int:
    """Trials that the cluster holds at once."""
    have = ray.cluster_resources()
    by_cpu = have.get("CPU", 0) / cpu
    by_gpu = have.get("GPU", 0) / gpu if gpu else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


def _described(have: dict[str, float]) -> str:
    nodes = sum(1 for name in have if name.startswith("node:") and "internal" not in name)
    gpus = f", {have['GPU']:g} GPUs" if have.get("GPU") else ""
    return f"{nodes} node{'s' if nodes > 1 else ''}: {have.get('CPU', 0):g} CPUs{gpus}"
