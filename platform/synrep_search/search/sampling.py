"""Optuna's samplers behind the words of a search file, and its trials behind `Suggest`.

Points are proposed from a study in memory that mirrors the ledger: asking a database for the
whole history before each proposal would cost more than the proposal.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import optuna
from optuna.trial import TrialState, create_trial

from synrep.errors import InputError
from synrep_search.durability.records import TO_OPTUNA, Point, derived_seed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from optuna.trial import BaseTrial

    from synrep_search.durability.records import Trial
    from synrep_search.search_file import SearchSpec
    from synrep_search.search_file.suggest import Scalar

_Float: TypeAlias = float  # inside the class, `float` and `int` are methods
_Int: TypeAlias = int

SAMPLER_HISTORY = 500
"""Trials that the sampler looks at: the best half of them and the newest. The estimator's cost
grows with its history, and what it learns from a poor trial of long ago is little."""
SLACK = 2
"""The mirror is thinned out when it holds this many times `SAMPLER_HISTORY`."""


class OptunaSuggest:
    """Draws the parameters of one trial.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: BaseTrial) -> None:
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


class _Mirror(optuna.storages.InMemoryStorage):
    """Keeps of a trial that runs no more than the ledger does.

    The estimator also notes what it drew for the branches that a trial did not take, to keep
    other trials away from there. A resumed search does not know that.
    """

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Note an attribute, unless it is what was drawn."""
        if not key.startswith("tpe:relative_params"):
            super().set_trial_system_attr(trial_id, key, value)


class Proposer:
    """Proposes points, and learns from the trials that ran them.

    The sampler for a trial is seeded by the trial's number, and has no state beyond the trials of
    the ledger, open ones included: a resumed search goes on like one that never stopped. Once the
    history was thinned out, which trials of it are left depends on when that was.

    Args:
        spec: the search.
        trials: those of the ledger.
    """

    def __init__(self, spec: SearchSpec, trials: Iterable[Trial]) -> None:
        self._spec = spec
        self._sign = 1 if spec.search.direction == "minimize" else -1
        known = list(trials)
        self._learnt = [trial for trial in known if trial.ended]
        self._mirror({trial.number: trial.record.values for trial in known if not trial.ended})

    def propose(self, number: int) -> Point:
        """The point of a new trial: one of those that the file starts from, or the sampler's."""
        if len(self._learnt) >= SLACK * SAMPLER_HISTORY:
            self._thin_out()
        self._study.sampler = _sampler(self._spec, number)
        starts = self._spec.start_from
        return self._begin(number, starts[number] if number < len(starts) else None)

    def learn(self, trial: Trial) -> None:
        """Take in a trial that has ended for good."""
        self._learnt.append(trial)
        asked = self._asked.pop(trial.number, None)
        if asked is None:
            self._add(trial)
            return
        if trial.value is not None:
            asked.report(trial.value, max(trial.best_by_iteration))
        if trial.state == "diverged":
            asked.set_constraint("diverged", 1.0)
        state = TO_OPTUNA[trial.state]
        values = trial.value if state is TrialState.COMPLETE else None
        self._study.tell(asked, values, state)

    def _mirror(self, running: Mapping[int, dict[str, Any]]) -> None:
        """Build the study in memory, in the order of numbers, which the sampler looks at.

        Args:
            running: values of the trials that have not ended, by number; they are told when they
                end, and keep new points away from theirs until then.
        """
        direction = self._spec.search.direction
        self._study = optuna.create_study(storage=_Mirror(), direction=direction)
        self._asked: dict[int, optuna.Trial] = {}
        ended = {trial.number: trial for trial in self._learnt}
        for number in sorted(ended.keys() | running.keys()):
            if number in ended:
                self._add(ended[number])
                continue
            with suppress(InputError):  # the space was changed since
                self._begin(number, running[number])

    def _begin(self, number: int, given: dict[str, Any] | None) -> Point:
        """Begin a trial of the study: at the given values, or where the sampler wants it."""
        if given is not None:
            self._study.enqueue_trial(self._spec.space.flatten(given))
        asked = self._study.ask()
        values = self._spec.space.sample(OptunaSuggest(asked))
        self._asked[number] = asked
        return Point(values=values, params=asked.params, distributions=asked.distributions)

    def _add(self, trial: Trial) -> None:
        space = self._spec.space
        try:
            params = space.flatten(trial.record.values)
        except InputError:
            return  # the space was changed since: nothing to learn for the new one
        replay = optuna.trial.FixedTrial(params)
        space.sample(OptunaSuggest(replay))
        frozen = create_trial(
            state=TO_OPTUNA[trial.state],
            value=trial.value if trial.state == "completed" else None,
            params=params,
            distributions=replay.distributions,
            intermediate_values={}
            if trial.value is None
            else {max(trial.best_by_iteration): trial.value},
            constraints={"diverged": 1.0} if trial.state == "diverged" else None,
        )
        self._study.add_trial(frozen)

    def _thin_out(self) -> None:
        by_number = sorted(self._learnt, key=lambda trial: trial.number)
        older, newest = by_number[: -SAMPLER_HISTORY // 2], by_number[-SAMPLER_HISTORY // 2 :]
        older.sort(key=lambda trial: (trial.value is None, self._sign * (trial.value or 0.0)))
        self._learnt = [*older[: SAMPLER_HISTORY // 2], *newest]
        unflatten = self._spec.space.unflatten
        self._mirror({number: unflatten(asked.params) for number, asked in self._asked.items()})


def _sampler(spec: SearchSpec, number: int) -> optuna.samplers.BaseSampler:
    sampler = spec.search.sampler
    seed = derived_seed(sampler.seed, number, "sampler")
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
