"""Registry of the trainers that a search can run.

A trainer consists of a configuration model and a training class, both given as import strings. To
read a search file only the model is imported, so PyTorch is not loaded; the training class is
imported in the processes of trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep.schema import Section


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """One kind of training.

    Attributes:
        name: as written under `trainer` in the search file.
        help: description of what it trains, in one sentence.
        config: import string of the configuration model, `package.module:Class`.
        training: import string of the training class, called with a configuration.
        goals: metrics of its reports that a search can optimize; empty if any metric is accepted.
        fused: name of the module for fused training (`FusedTraining`, `fusion_key`,
            `fastest_capacity`); empty if fused training is not supported.
        unsearchable: configuration fields that can't be searched, each with the reason. A field
            includes the fields below it.
    """

    name: str
    help: str
    config: str
    training: str
    unsearchable: dict[str, str]
    goals: tuple[str, ...] = ()
    fused: str = ""

    def config_model(self) -> type[Section]:
        """Import and return the configuration model; does not load PyTorch."""
        model: type[Section] = _load(self.config)
        return model

    def training_class(self) -> Callable[..., Any]:
        """Import and return the training class; for `synrep` this loads PyTorch."""
        training: Callable[..., Any] = _load(self.training)
        return training

    def fusing(self) -> Any:
        """Import and return the module for fused training, or None; for `synrep` loads PyTorch."""
        return import_module(self.fused) if self.fused else None

    def why_unsearchable(self, name: str) -> str | None:
        """Return why the field `name` can't be searched, or None if it can."""
        for field, reason in self.unsearchable.items():
            if name == field or name.startswith(f"{field}."):
                return reason
        return None


_SEED = "every trial gets its own seed, drawn from search.seed"
_LENGTH = "all trials have the same length and reports, so that they can be compared on the way"
_POSES = "results on different poses can't be compared"
_MEASURE = "it decides how the goal is measured, not how good a model is"
_GOALS = (
    "validation/mpjpe_mm",
    "validation/p_mpjpe_mm",
    "validation/n_mpjpe_mm",
    "validation/z_mm",
    "validation/only_z_mm",
    "training/mpjpe_mm",
)
"""Metrics to optimize; the last one is for pose stores without validation subjects."""
_BASELINE = {
    "baseline": "it identifies the baseline",
    "seed": _SEED,
    "iterations": _LENGTH,
    "reports": _LENGTH,
    "data.poses": _POSES,
    "data.pair_real": "no baseline shows its critic the 2D pose of a real 3D pose",
    "data.real_2d": "no baseline shows its critic the 2D pose of a real 3D pose",
    "evaluation": _MEASURE,
}

TRAINERS = {
    trainer.name: trainer
    for trainer in (
        Trainer(
            name="synrep",
            help="The GAN with a synchronized reprojection network.",
            config="synrep.config:TrainConfig",
            training="synrep.training.loop:Training",
            unsearchable={
                "seed": _SEED,
                "iterations": _LENGTH,
                "reports": _LENGTH,
                "data.poses": _POSES,
                "data.sh_map": "it is used when keypoints are lifted, not in training",
                "evaluation": _MEASURE,
            },
            goals=_GOALS,
            fused="synrep.training.fused",
        ),
        Trainer(
            name="repnet",
            help="A baseline like RepNet (Wandt and Rosenhahn).",
            config="synrep.baselines.config:RepNetConfig",
            training="synrep.baselines.repnet:RepNetTraining",
            unsearchable=_BASELINE,
            goals=_GOALS,
        ),
        Trainer(
            name="kudo",
            help="A baseline like that of Kudo et al.",
            config="synrep.baselines.config:KudoConfig",
            training="synrep.baselines.kudo:KudoTraining",
            unsearchable=_BASELINE,
            goals=_GOALS,
        ),
        Trainer(
            name="supervised",
            help="The same generator trained on pairs of 2D and 3D poses, as a reference.",
            config="synrep.baselines.config:SupervisedConfig",
            training="synrep.baselines.supervised:SupervisedTraining",
            unsearchable=_BASELINE,
            goals=_GOALS,
        ),
        Trainer(
            name="scripted",
            help="No model: reports scripted values, to test the platform.",
            config="synrep_search.workers.scripted:ScriptConfig",
            training="synrep_search.workers.scripted:ScriptedTraining",
            unsearchable={"seed": _SEED, "iterations": _LENGTH, "reports": _LENGTH},
            goals=("loss",),
        ),
    )
}


def trainer_named(name: str) -> Trainer:
    """Return the trainer with a name.

    Raises:
        InputError: no trainer has this name; the message lists all names.
    """
    try:
        return TRAINERS[name]
    except KeyError:
        raise InputError(
            "trainer", f"no trainer is called {name!r}", f"valid: {', '.join(TRAINERS)}"
        ) from None


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
