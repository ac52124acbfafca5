"""The runner on Ray: a search as a run of Tune, whose trials are slots."""

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
    DESK,
    GPU,
    HANG,
    MEASURE,
    MOST,
    WorkerTrainable,
)

if TYPE_CHECKING:
    from synrep_search.search.loop import Search
    from synrep_search.search_file.model import Resources
    from synrep_search.workers.on_ray.cluster import Cluster

MOST_FUSED = 32
"""Trials that `fuse: auto` considers for a slot: more gain little, and more are lost with it."""

# Tune would put these on the command line of each process that it starts, for all to read; nodes
# have their own.
class_cache.ENV_VARS_TO_PROPAGATE.difference_update(
    {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
)

# Tune calls a search with failed trials an error; ours are in the ledger, and retried.
logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


class RayRunner:
    """Runs the jobs of a search as Tune trials.

    Args:
        cluster: where to; it is closed when the search has ended, but not if it is to go on when
            its ledger is back.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, search: Search) -> None:
        """Run until the search is finished."""
        self._cluster.wait()
        with TemporaryDirectory(prefix="synrep-tune-", ignore_cleanup_errors=True) as scratch:
            _run(search, Path(scratch))
        self._cluster.close()


def _run(search: Search, scratch: Path) -> None:
    resources = search.spec.resources
    count = resources.slots or _slots(resources)
    search.display.say(f"{count} slots on {_described(ray.cluster_resources())}")
    name, desk = _desk(search.ledger.name)
    measure = resources.fuse == "auto"
    most = {"auto": MOST_FUSED, "off": 1}.get(str(resources.fuse)) or int(resources.fuse)
    told = {DESK: name, CPU: resources.cpu, GPU: resources.gpu, MOST: most, MEASURE: measure}
    told[HANG] = 60 * search.spec.failures.hang_minutes
    slots = SlotTable(search, count, capacity=1 if measure else most)
    tuner = tune.Tuner(
        tune.with_resources(WorkerTrainable, {"cpu": resources.cpu, "gpu": resources.gpu}),
        tune_config=tune.TuneConfig(
            search_alg=SlotSearcher(slots, told),
            scheduler=SlotScheduler(slots, desk),
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


def _desk(search: str) -> tuple[str, Any]:
    """The desk of a search beside its driver: the name that slots find it by, and the actor."""
    name = f"synrep-{search}-{uuid.uuid4().hex[:8]}"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    desk: Any = ray.remote(num_cpus=0)(Mailbox)
    return name, desk.options(name=name, scheduling_strategy=here).remote()


def _slots(resources: Resources) -> int:
    """SlotTable that the cluster holds at once."""
    have = ray.cluster_resources()
    by_cpu = have.get("CPU", 0) / resources.cpu
    by_gpu = have.get("GPU", 0) / resources.gpu if resources.gpu else by_cpu
    return max(1, int(min(by_cpu, by_gpu)))


def _described(have: dict[str, float]) -> str:
    nodes = sum(1 for name in have if name.startswith("node:") and "internal" not in name)
    gpus = f", {have['GPU']:g} GPUs" if have.get("GPU") else ""
    return f"{nodes} node{'s' if nodes > 1 else ''}: {have.get('CPU', 0):g} CPUs{gpus}"
