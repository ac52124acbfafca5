"""Optuna's samplers behind the two words of a search file, and its trials behind `Suggest`."""

from __future__ import annotations

import hashlib
import json
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import optuna

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.spec import SearchSpec
    from synrep_search.spec.suggest import Scalar

_Float: TypeAlias = float  # inside the class, `float` and `int` are methods
_Int: TypeAlias = int


class OptunaSuggest:
    """Draws the parameters of one trial.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def float(
        self, name: str, low: _Float, high: _Float, *, log: bool, step: _Float | None
    ) -> _Float:
        """A number in [low, high]."""
        return self._trial.suggest_float(name, low, high, log=log, step=step)

    def int(self, name: str, low: _Int, high: _Int, *, log: bool, step: _Int) -> _Int:
        """A whole number in [low, high]."""
        return self._trial.suggest_int(name, low, high, log=log, step=step)

    def choice(self, name: str, options: Sequence[Scalar]) -> Scalar:
        """One of the options."""
        return cast("Scalar", self._trial.suggest_categorical(name, list(options)))


def sampler_for(spec: SearchSpec, number: int) -> optuna.samplers.BaseSampler:
    """The sampler for one trial, seeded by its number.

    So a resumed search proposes what it would have proposed: the sampler has no state beyond the
    trials in the ledger.
    """
    sampler = spec.search.sampler
    seed = derived(sampler.seed, number, "sampler")
    if sampler.kind == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of `group`
        # Groups make conditional parameters joint with those that decide over them; the constant
        # liar keeps trials that run at the same time apart.
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=sampler.startup,
            multivariate=True,
            group=True,
            constant_liar=True,
        )


def derived(seed: int, number: int, purpose: str) -> int:
    """A seed for one trial and purpose, 31 bits."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def key_of(params: dict[str, Any], seed: int) -> str:
    """SHA-256 of parameters and seed: equal for trials that would do the same."""
    text = json.dumps([params, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
