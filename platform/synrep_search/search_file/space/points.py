"""From a point of the space to the configuration of a trial, and from a file's start to a point."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep_search.search_file.fields import Leaf, lookup, validate
from synrep_search.search_file.problems import explain, shown
from synrep_search.search_file.space.distributions import OneOf
from synrep_search.trainers import trainer_named

if TYPE_CHECKING:
    from synrep_search.search_file.model import SearchSpec
    from synrep_search.search_file.space.space import Space


def trial_config(spec: SearchSpec, values: dict[str, Any], seed: int) -> dict[str, Any]:
    """The complete configuration of one trial, proven to hold the sampled values.

    Args:
        spec: the search.
        values: values by dotted name, as `Space.sample` gives them.
        seed: the trial's seed.

    Raises:
        InputError: a name of `values` is no field, the trainer's model refuses a value, or it
            holds another value than the one given.
    """
    config = copy.deepcopy(spec.train)
    for name, value in {**values, "seed": seed}.items():
        *sections, key = name.split(".")
        inner: Any = config
        for section in sections:
            inner = inner.get(section) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or key not in inner:
            raise InputError(name, f"is no field of the configuration of {spec.trainer!r}")
        inner[key] = value
    complete, errors = validate(trainer_named(spec.trainer).config_model(), config)
    if complete is None:
        place = ".".join(str(step) for step in errors[0]["loc"])
        raise InputError(place, explain(errors[0]))
    for name, value in {**values, "seed": seed}.items():
        if not _reached(value, lookup(complete, name)):
            got = shown(lookup(complete, name))
            raise InputError(name, f"the trainer holds {got} where {shown(value)} was sampled")
    return complete


def fill_start(
    space: Space, given: dict[str, Any], defaults: dict[str, Any], leaves: dict[str, Leaf]
) -> dict[str, Any]:
    """A start point completed by the configuration's defaults.

    Args:
        space: the searched names.
        given: values by dotted name; names left out take their default.
        defaults: the trainer's complete default configuration.
        leaves: the configuration's fields.

    Raises:
        InputError: a name is not searched, or a value lies outside the space.
    """
    values = dict(given)
    for name, part in space.names.items():
        if name not in given:
            values[name] = lookup(defaults, name)
        if isinstance(part, OneOf):
            values[name] = _fill_family(part, values[name], leaves[name], chosen=name in given)
    return space.unflatten(space.flatten(values))


def _fill_family(part: OneOf, value: Any, leaf: Leaf, *, chosen: bool) -> Any:
    """A family with its default parameters; without those that are not searched, if not chosen."""
    family = value.get("family") if isinstance(value, dict) else None
    if family not in part.families:
        return value
    default = leaf.families[family](family=family).model_dump(mode="json")
    searched = part.families[family]
    filled = {key: default[key] for key in searched if key in default}
    kept = value if chosen else {key: value[key] for key in ("family", *searched)}
    return filled | kept


def _reached(sampled: Any, held: Any) -> bool:
    """Whether the configuration holds the sampled value; a family may hold more, by default."""
    if isinstance(sampled, dict):
        return isinstance(held, dict) and all(
            key in held and _reached(value, held[key]) for key, value in sampled.items()
        )
    if isinstance(sampled, list | tuple):
        return bool(list(sampled) == held)
    return bool(sampled == held) and isinstance(sampled, bool) == isinstance(held, bool)
