"""Options of the samplers that a search file can name, and the spaces that each can search.

To add a sampler, define its options class here, list it in `Sampler`, and register the function
that builds it in `FACTORIES` of synrep_search/search/samplers/factories.py. Messages, `plan` and
the documentation use the options class: its docstring and those of its fields.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias, get_args

from pydantic import Field

from synrep.errors import InputError
from synrep.schema import Count, Section
from synrep_search.search_file.space import grid
from synrep_search.search_file.space.parameters import parameters, parameters_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synrep_search.search_file.space.space import Space

Seed = Annotated[int, Field(ge=0, lt=2**32)]
LARGEST_GRID = 1_000_000


class Task(NamedTuple):
    """The task that a search file sets its sampler.

    Attributes:
        space: the search space.
        trials: total number of trials.
        start_from: points that are evaluated first.
    """

    space: Space
    trials: int
    start_from: Sequence[dict[str, Any]] = ()


class Refusal(NamedTuple):
    """A reason why a sampler can't do a task.

    Attributes:
        keys: path of keys to the place in the search file.
        rule: what is wrong and how to correct it.
    """

    keys: tuple[str, ...]
    rule: str


class SamplerOptions(Section):
    """Options that all samplers have."""

    kind: str
    seed: Seed = 0
    """Seed of the sampler."""

    def refusals(self, task: Task) -> list[Refusal]:
        """Return the reasons why the sampler can't do a task; empty if it can."""
        del task
        return []

    def summary(self, task: Task) -> str:
        """Return the description that `plan` shows."""
        del task
        return self.kind


class Tpe(SamplerOptions):
    """Tree-structured Parzen estimator: learns from finished trials where good values lie."""

    kind: Literal["tpe"] = "tpe"
    startup: Count = 16
    """Trials drawn at random before the estimator takes over."""


class RandomSampler(SamplerOptions):
    """Random search: draws every trial independently, as a baseline and for ablations."""

    kind: Literal["random"] = "random"


class GaussianProcess(SamplerOptions):
    """Gaussian process with expected improvement, for a few hundred expensive trials.

    A trial that was stopped early counts with its best value so far, a diverged one as the worst of
    all. Parameters inside a family (`one_of`) are sampled at random. The process is fitted to at
    most 500 trials, the best and the newest. The driver loads PyTorch, and a proposal takes about a
    second.
    """

    kind: Literal["gp"] = "gp"
    startup: Count = 16
    """Trials sampled at random before the process takes over."""

    def summary(self, task: Task) -> str:
        """Return the description, with the parameters that are sampled at random."""
        drawn = [one.name for one in parameters(task.space) if one.conditional]
        return f"gp; drawn at random: {', '.join(drawn)}" if drawn else "gp"


class CmaEs(SamplerOptions):
    """CMA-ES: adapts a normal distribution to the best trials, one population after another.

    For ranges only: choices and families are refused; integers and steps are rounded. Trials that
    run at the same time learn less from each other. Requires the extra `cmaes`.
    """

    kind: Literal["cmaes"] = "cmaes"
    population: Annotated[int, Field(ge=4)] | None = None
    """Trials of a population, preferably no fewer than run at the same time; by default
    4 + 3 ln(number of parameters)."""

    def refusals(self, task: Task) -> list[Refusal]:
        """Refuse choices, families and an empty space, and report a missing package."""
        found = []
        for name, part in task.space.names.items():
            refused = [p.name for p in parameters_of(name, part) if p.options or p.conditional]
            if refused:
                rule = f"cmaes searches ranges only, not {', '.join(refused)}: give it a "
                rule += "range, fix it under train, or use the sampler tpe"
                found.append(Refusal(("space", name), rule))
        if not parameters(task.space):
            rule = "cmaes has nothing to search: use the sampler random"
            found.append(Refusal(("search", "sampler", self.kind), rule))
        if find_spec("cmaes") is None:
            rule = "needs the package cmaes: pip install 'synrep-search[cmaes]'"
            found.append(Refusal(("search", "sampler", self.kind), rule))
        return found


class QuasiMonteCarlo(SamplerOptions):
    """Quasi-Monte Carlo: a sequence that covers the space more evenly than random points.

    It does not learn from trials. Choices, families and their parameters are dimensions of the
    sequence.
    """

    kind: Literal["qmc"] = "qmc"
    sequence: Literal["sobol", "halton"] = "sobol"
    """Sobol sequence, which is most even if the number of trials is a power of two, or Halton
    sequence; the seed scrambles either."""

    def summary(self, task: Task) -> str:
        """Return the description, with the name of the sequence."""
        del task
        return f"qmc, {self.sequence}"


class Grid(SamplerOptions):
    """Grid: evaluates every point once, in an order determined by the seed.

    For choices, families, and ranges with steps. `plan` shows the number of points.
    """

    kind: Literal["grid"] = "grid"

    def refusals(self, task: Task) -> list[Refusal]:
        """Refuse ranges without steps, too large grids, and more trials than points."""
        if continuous := grid.continuous(task.space):
            rule = "has no grid: give it steps, list values under choice, or use another sampler"
            return [Refusal(("space", *_path(task.space, name)), rule) for name in continuous]
        points = grid.size(task.space)
        if points > LARGEST_GRID:
            rule = f"the grid has {points} points, more than {LARGEST_GRID}: take larger steps, or "
            return [Refusal(("search", "sampler", self.kind), f"{rule}use another sampler")]
        flat = [task.space.flatten(start) for start in task.start_from]
        duplicates = len(flat) - len({grid.number_of(task.space, params) for params in flat})
        if task.trials > points + duplicates:
            rule = f"the grid has {points} points, too few for {task.trials} trials: ask for at "
            return [Refusal(("search", "trials"), f"{rule}most {points + duplicates}")]
        return []

    def summary(self, task: Task) -> str:
        """Return the description, with the number of points."""
        points = grid.size(task.space)
        share = "all" if task.trials >= points else str(task.trials)
        return f"grid of {points} points, {share} of them tried"


Sampler: TypeAlias = Annotated[
    Tpe | RandomSampler | GaussianProcess | CmaEs | QuasiMonteCarlo | Grid,
    Field(discriminator="kind"),
]
"""Options of any sampler."""
SAMPLERS: dict[str, type[SamplerOptions]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Sampler)[0])
}
"""Options class by the name used in search files."""


def require(sampler: SamplerOptions, task: Task) -> None:
    """Check a task that does not come from a search file.

    Raises:
        InputError: the sampler can't do it.
    """
    for refusal in sampler.refusals(task):
        raise InputError(".".join(refusal.keys), refusal.rule)


def _path(space: Space, name: str) -> tuple[str, ...]:
    """Split a flat parameter name into its searched name and the rest."""
    top = next(top for top in space.names if f"{name}.".startswith(f"{top}."))
    return (top, name.removeprefix(top).removeprefix(".")) if name != top else (top,)
