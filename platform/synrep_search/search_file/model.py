"""What a search is: the resolved search file, frozen, which the ledger keeps word for word."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, cast

from pydantic import Field, PlainValidator

from synrep.config import Count, Section
from synrep_search.search_file.early_stopping import EarlyStopping
from synrep_search.search_file.samplers import Sampler, Seed, Tpe
from synrep_search.search_file.space import Space

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a search can be called."""
LEDGER_URL = re.compile(r"(sqlite|postgresql)(\+[a-z0-9]+)?://[^\r\n]*")
"""Where its ledger can be."""


class SearchSection(Section):
    """The goal and how it is looked for; exactly one of `minimize` and `maximize` is set."""

    minimize: str | None = None
    """Metric of the trainer's reports whose smallest value is best."""
    maximize: str | None = None
    """Metric of the trainer's reports whose largest value is best."""
    trials: Count = 32
    """Trials to make in all."""
    seed: Seed = 0
    """Seed from which the seed of each trial is drawn."""
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
    """What one slot takes, and how many trials share it."""

    cpu: Annotated[float, Field(gt=0)] = 1.0
    """CPU cores; the trials of a slot train with this many threads, at least one."""
    gpu: Annotated[float, Field(ge=0)] = 0.0
    """GPUs; a fraction lets several slots share one, without isolation of memory."""
    fuse: Annotated[str | int, PlainValidator(_fuse)] = "auto"
    """Trials that share a slot and train as one program: as many as prove fastest on the machine at
    hand (auto), one (off), or so many."""
    slots: Count | None = None
    """SlotTable; None is as many as the machines hold."""


class Budget(Section):
    """When to stop before the target is met; a stopped search can be resumed."""

    hours: Annotated[float, Field(gt=0)] | None = None
    """Wall-clock time of one launch or resume; None is without limit."""


class Failures(Section):
    """What happens when a trial's process dies or stands still."""

    retries: Annotated[int, Field(ge=0)] = 3
    """Further attempts of a trial after failures; preemption does not count."""
    hang_minutes: Annotated[float, Field(gt=0)] = 15.0
    """A process that trains not one iteration for so long is ended, and its trials are retried."""


class Tracking(Section):
    """Where MLflow keeps the runs."""

    uri: str | None = None
    """Tracking server or database; None is a SQLite store of the home, for all of its searches."""
    experiment: Annotated[str, Field(min_length=1)] = "synrep"
    """MLflow experiment: one for each line of study."""
    keep_best: Annotated[int, Field(ge=0)] = 3
    """How many of the best generators are exported at the end and stored with the runs."""


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
