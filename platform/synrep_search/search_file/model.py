"""What a search is: the resolved search file, frozen, which the ledger keeps word for word."""

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
"""What a search can be called."""
LEDGER_URL = re.compile(r"(sqlite|postgresql)(\+[a-z0-9]+)?://[^\r\n]*")
"""Where its ledger can be."""


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
    """How points are proposed."""
    early_stopping: Annotated[EarlyStopping | None, Field(discriminator="kind")] = None
    """How poor trials are ended early; None lets every trial run its full length."""

    @property
    def metric(self) -> str:
        """The goal's metric."""
        return self.minimize or self.maximize or ""

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Which way the metric should go."""
        return "minimize" if self.minimize else "maximize"


def _fuse(value: Any) -> str | int:
    """One message for a value that fits none of the three kinds."""
    many = isinstance(value, int) and not isinstance(value, bool) and value > 1
    if value in ("off", "auto") or many:
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
    """A search with nothing left open: all defaults filled, every value checked."""

    name: str
    """Names the search everywhere: ledger, folders, tags."""
    trainer: str = "synrep"
    """Name in `synrep_search.trainers.TRAINERS`."""
    train: dict[str, Any]
    """The complete configuration of a training; a trial replaces its seed and searched names."""
    space: Space
    """The searched names."""
    search: SearchSection
    """Goal, number of trials, sampler, early stopping."""
    start_from: tuple[dict[str, Any], ...] = ()
    """Points tried first, complete: values by searched name."""
    resources: Resources = Resources()
    budget: Budget = Budget()
    failures: Failures = Failures()
    storage: str | None = None
    """Folder or URI for checkpoints and copies of the ledger; None is the search's own folder."""
    ledger: str | None = None
    """SQLAlchemy URL without a password; None is SQLite in the search's own folder."""
    tracking: Tracking = Tracking()
