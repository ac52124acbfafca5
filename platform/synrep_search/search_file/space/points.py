"""Convert a point of the space to a trial's configuration, and complete start points."""

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
    """Return the complete configuration of a trial, verified to contain the sampled values.

    Args:
        spec: the search.
        values: values by dotted name, as `Space.sample` returns them.
        seed: seed of the trial.

    Raises:
        InputError: a name of `values` is not a field, or the trainer's model refuses a value or
            changes it.
    """
    config = copy.deepcopy(spec.train)
    for name, value in {**values, "seed": seed}.items():
        *sections, key = name.split(".")
        inner: Any = config
        for section in sections:
            inner = inner.get(section) if isinstance(inner, dict) else None
        if not isinstance(inner, dict) or key not in inner:
            raise InputError(name, f"is not a field of the configuration of {spec.trainer!r}")
        inner[key] = value
    complete, errors = validate(trainer_named(spec.trainer).config_model(), config)
    if complete is None:
        place = ".".join(str(step) for step in errors[0]["loc"])
        raise InputError(place, explain(errors[0]))
    for name, value in {**values, "seed": seed}.items():
        if not _contains(value, lookup(complete, name)):
            got = shown(lookup(complete, name))
            raise InputError(name, f"the trainer holds {got} where {shown(value)} was sampled")
    return complete


def fill_start(
    space: Space, given: dict[str, Any], defaults: dict[str, Any], leaves: dict[str, Leaf]
) -> dict[str, Any]:
    """Complete a start point by the defaults of the configuration.

    Args:
        space: the searched names.
        given: values by dotted name; missing names take their default.
        defaults: complete default configuration of the trainer.
        leaves: fields of the configuration.

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
    """Complete a family by its defaults; drop parameters not searched unless the user gave it."""
    family = value.get("family") if isinstance(value, dict) else None
    if family not in part.families:
        return value
    default = leaf.families[family](family=family).model_dump(mode="json")
    searched = part.families[family]
    filled = {key: default[key] for key in searched if key in default}
    kept = value if chosen else {key: value[key] for key in ("family", *searched)}
    return filled | kept


def _contains(sampled: Any, held: Any) -> bool:
    """Return whether `held` has the sampled value; a family may have further defaults."""
    if isinstance(sampled, dict):
        return isinstance(held, dict) and all(
            key in held and _contains(value, held[key]) for key, value in sampled.items()
        )
    if isinstance(sampled, list | tuple):
        return bool(list(sampled) == held)
    return bool(sampled == held) and isinstance(sampled, bool) == isinstance(held, bool)
