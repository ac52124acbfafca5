"""Specification of a search: the resolved search file, frozen, as the ledger stores it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainValidator

from synrep.schema import Count, Section
from synrep_search.search_file.early_stopping import EarlyStopping
from synrep_search.search_file.samplers import Sampler, Seed, Tpe
from synrep_search.search_file.space.space import Space

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Valid names of a search."""
LEDGER_URL = re.compile(r"(sqlite|postgresql)(\+[a-z0-9]+)?://[^\r\n]*")
"""Valid URLs of a ledger."""


class SearchSection(Section):
    """Objective and search algorithm; exactly one of `minimize` and `maximize` is set."""

    minimize: str | None = None
    """Metric to minimise; `validation/mpjpe_mm` if neither direction is given."""
    maximize: str | None = None
    """Metric to maximise."""
    trials: Count = 32
    """Total number of trials."""
    seed: Seed = 0
    """Seed from which the seed of each trial is derived."""
    sampler: Sampler = Tpe()
    """Sampler that proposes the points."""
    early_stopping: Annotated[EarlyStopping | None, Field(discriminator="kind")] = None
    """Rule that stops poor trials early; None lets every trial run its full length."""

    @property
    def metric(self) -> str:
        """Name of the metric to optimize."""
        return self.minimize or self.maximize or ""

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Direction of optimization."""
        return "minimize" if self.minimize else "maximize"


def _fuse(value: Any) -> str | int:
    """Validate `fuse`, with one message instead of one for each of its three types."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 1
    if value in ("off", "auto") or is_count:
        return cast("str | int", value)
    raise ValueError(f"must be off, auto, or a whole number from 2 on, got {json.dumps(value)}")


class Resources(Section):
    """Resources of one slot, and how many trials share it."""

    cpu: Annotated[float, Field(gt=0)] = 1.0
    """CPU cores of a slot; its trials train with this many threads, at least one."""
    gpu: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of a slot; with a fraction, several slots share one GPU without memory isolation."""
    fuse: Annotated[str | int, PlainValidator(_fuse)] = "auto"
    """Number of trials that a slot trains as one program (fused training): `auto` measures which
    number is fastest on the machine, `off` is one, or a fixed number from 2 on."""
    slots: Count | None = None
    """Number of slots; without one, as many as the resources of the cluster allow."""


class Budget(Section):
    """Limit after which a search stops before its target; it can be resumed."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock hours of one `launch` or `resume`; without a value there is no limit."""


class Failures(Section):
    """How failed trials and hung processes are handled."""

    retries: Annotated[int, Field(ge=0)] = 3
    """Further attempts of a trial after failures; preemption does not count as a failure."""
    hang_minutes: Annotated[float, Field(gt=0)] = 15.0
    """A process that completes no iteration for this long is ended, and its trials are retried."""


class Tracking(Section):
    """Where MLflow stores the runs of a search."""

    uri: str | None = None
    """Tracking server or database; by default the SQLite store of the home, `mlflow.db`."""
    experiment: Annotated[str, Field(min_length=1)] = "synrep"
    """Name of the MLflow experiment."""
    keep_best: Annotated[int, Field(ge=0)] = 3
    """Number of best generators that are exported at the end and logged as artifacts."""


class SearchSpec(Section):
    """A fully resolved search: all defaults filled in, every value checked."""

    name: str
    """Name of the search in the ledger, folders and MLflow tags."""
    trainer: str = "synrep"
    """Name in `synrep_search.trainers.TRAINERS`."""
    train: dict[str, Any]
    """Complete training configuration; each trial replaces the seed and the searched names."""
    space: Space
    """Distribution of each searched name."""
    search: SearchSection
    """Metric, number of trials, sampler and early stopping."""
    start_from: tuple[dict[str, Any], ...] = ()
    """Points evaluated first: a value for each searched name."""
    resources: Resources = Resources()
    budget: Budget = Budget()
    failures: Failures = Failures()
    storage: str | None = None
    """Folder or URI for checkpoints and copies of the ledger; None for the search's own folder."""
    ledger: str | None = None
    """SQLAlchemy URL without a password; None for SQLite in the search's own folder."""
    tracking: Tracking = Tracking()
