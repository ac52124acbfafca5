"""Run a search on Ray: as a run of Ray Tune in which each Tune trial is a slot."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.tune.error import TuneError
from ray.tune.execution import class_cache
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from synrep_search.workers.on_ray.bridge import SlotScheduler, SlotSearcher
from synrep_search.workers.on_ray.mailbox import Mailbox
from synrep_search.workers.on_ray.slots import SlotTable
from synrep_search.workers.on_ray.trainable import (
    CPU,
    GPU,
    HANG,
    MAILBOX,
    MEASURE,
    MOST,
    WorkerTrainable,
)

if TYPE_CHECKING:
    from synrep_search.search.loop import Search
    from synrep_search.search_file.model import Resources
    from synrep_search.workers.on_ray.cluster import Cluster

MOST_FUSED = 32
"""Most trials that `fuse: auto` gives to a slot: more gain little, and a crash would lose more."""

# Tune would put these on the command line of each process that it starts, where every user of the
# node can read them; nodes have credentials of their own.
class_cache.ENV_VARS_TO_PROPAGATE.difference_update(
    {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
)

# Tune logs failed trials as errors; the ledger has them, and the search retries them.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


class RayRunner:
    """Runs the jobs of a search in workers on a Ray cluster.

    Args:
        cluster: the cluster. It is closed when the search has ended, and stays open when the
            search only waits for its ledger to come back.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, search: Search) -> None:
        """Run until the search is finished."""
        resources = search.spec.resources
        lacking = self._cluster.require(resources.cpu, resources.gpu)
        if lacking:
            search.display.say(f"{lacking}: waiting for a node that has")
        with TemporaryDirectory(prefix="synrep-tune-", ignore_cleanup_errors=True) as scratch:
            _run(search, Path(scratch))
        self._cluster.close()


def _run(search: Search, scratch: Path) -> None:
    resources = search.spec.resources
    count = resources.slots or _slots(resources)
    search.display.say(f"{count} slots on {_described(ray.cluster_resources())}")
    name, mailbox = _mailbox(search.ledger.name)
    measure = resources.fuse == "auto"
    most = {"auto": MOST_FUSED, "off": 1}.get(str(resources.fuse)) or int(resources.fuse)
    worker_config = {
        MAILBOX: name,
        CPU: resources.cpu,
        GPU: resources.gpu,
        MOST: most,
        MEASURE: measure,
    }
    worker_config[HANG] = 60 * search.spec.failures.hang_minutes
    slots = SlotTable(search, count, capacity=1 if measure else most)
    tuner = tune.Tuner(
        tune.with_resources(WorkerTrainable, {"cpu": resources.cpu, "gpu": resources.gpu}),
        tune_config=tune.TuneConfig(
            search_alg=SlotSearcher(slots, worker_config),
            scheduler=SlotScheduler(slots, mailbox),
            num_samples=-1,
            # Otherwise a custom searcher gets one pending trial at a time.
            max_concurrent_trials=count,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.trial_id,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=str(scratch),
            verbose=0,
            # Retries are attempts of the search, from its own checkpoints.
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    except TuneError as error:
        raise (error.__context__ or error) from None  # raised by our part of the driver


def _mailbox(search: str) -> tuple[str, Any]:
    """Start the mailbox of a search on the driver's node; return its name and its handle."""
    name = f"synrep-{search}-{uuid.uuid4().hex[:8]}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(num_cpus=0)(Mailbox)
    return name, actor.options(name=name, scheduling_strategy=here).remote()


def _slots(resources: Resources) -> int:
    """Number of slots that the cluster holds."""
    have = ray.cluster_resources()
    by_cpu = have.get("CPU", 0) / resources.cpu
    by_gpu = have.get("GPU", 0) / resources.gpu if resources.gpu else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


def _described(have: dict[str, float]) -> str:
    nodes = sum(1 for name in have if name.startswith("node:") and "internal" not in name)
    gpus = f", {have['GPU']:g} GPUs" if have.get("GPU") else ""
    return f"{nodes} node{'s' if nodes > 1 else ''}: {have.get('CPU', 0):g} CPUs{gpus}"
