"""Fields of a search that have no effect, by the rules of `synrep.effects`.

A searched field is refused only if no choice of the space gives it an effect: a search may well
choose between weight clipping and a gradient penalty, and search the weight of the latter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synrep import effects
from synrep.errors import InputError
from synrep_search.search_file.space.distributions import Choice, FloatRange, IntRange, OneOf
from synrep_search.trainers import trainer_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synrep_search.search_file.model import SearchSpec
    from synrep_search.search_file.space.distributions import Distribution
    from synrep_search.search_file.space.space import Space


def without_effect(
    train: Mapping[str, Any], defaults: Mapping[str, Any], space: Space
) -> Iterator[tuple[str, str]]:
    """Yield the fields, fixed or searched, that have no effect in any trial; with the reason.

    Args:
        train: complete configuration that all trials share.
        defaults: that of the trainer.
        space: the searched names.
    """
    searched = {name: _values(part) for name, part in space.names.items()}
    yield from effects.without_effect(train, defaults, searched)


def check_store(spec: SearchSpec, store: Mapping[str, Any]) -> None:
    """Raise if a field has no effect on the poses of a search.

    Args:
        spec: the search.
        store: what `synrep.effects` must know of the pose store.

    Raises:
        InputError: there is one; names the first.
    """
    defaults = trainer_named(spec.trainer).config_model()().model_dump(mode="json")
    for name, rule in without_effect(spec.train | {"store": store}, defaults, spec.space):
        raise InputError(name, rule, "leave it out")


def _values(part: Distribution) -> list[Any]:
    """Values that decide what a distribution can do: the options, or both ends; [] for any."""
    match part:
        case Choice():
            return list(part.options)
        case OneOf():
            return [{"family": family} for family in part.families]
        case FloatRange() | IntRange():
            return [part.low, part.high]
        case _:
            return []
