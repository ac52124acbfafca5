"""Fields that have an effect only beside certain values of others.

A field that is set to no effect is a mistake of whoever set it: the number that follows is not of
what was meant. New configurations and search files are checked by these rules; what was saved
earlier is read without them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


@dataclass(frozen=True)
class Need:
    """What a field needs to have an effect.

    Attributes:
        fields: dotted names of other fields; those of `store` describe the pose store.
        holds: whether the field has an effect, from the values of `fields`.
        words: the need, in words.
    """

    fields: tuple[str, ...]
    holds: Callable[..., bool]
    words: str


def _one(field: str, value: str) -> Need:
    return Need((field,), lambda found: found == value, f"{field} {value}")


_REPROJECTION = Need(
    ("reprojection",), lambda found: found != "none", "a reprojection network (reprojection)"
)
_PENALTY = _one("critic.lipschitz", "gradient_penalty")
_WORLD = Need(
    ("store.frame",), lambda frame: frame == "world", "poses without cameras of their own"
)
_OTHER_2D = Need(
    ("data.noise_px", "data.input_2d", "store.detections"),
    lambda noise, kind, detections: noise > 0 or (kind == "perspective" and detections),
    "2D input other than the true projection (detections of the store, or data.noise_px)",
)

NEEDS: dict[str, tuple[Need, ...]] = {
    "loss.lambda_reprojection": (_REPROJECTION,),
    "reprojection_network.width": (_REPROJECTION,),
    "reprojection_network.blocks": (_REPROJECTION,),
    "optim.lr_reprojection": (_REPROJECTION,),
    "generator.distance": (_one("generator.lift", "perspective"),),
    "critic.gp_weight": (_PENALTY,),
    "critic.gp_inputs": (
        _PENALTY,
        Need(("critic.gp_weight",), lambda weight: weight > 0, "critic.gp_weight above 0"),
    ),
    "critic.clip": (_one("critic.lipschitz", "weight_clipping"),),
    "optim.decay_to": (Need(("optim.decay",), lambda decay: decay != "none", "optim.decay"),),
    "kcs.floor": (
        Need(
            ("kcs.weighting",),
            lambda found: found["family"] != "uniform",
            "weights that differ (kcs.weighting other than uniform)",
        ),
    ),
    "data.noise_seed": (Need(("data.noise_px",), lambda noise: noise > 0, "data.noise_px"),),
    "data.cameras": (_WORLD,),
    "data.camera_seed": (_WORLD,),
    "data.real_2d": (_OTHER_2D,),
    "guard.collapse_after": (
        Need(("guard.collapse_ratio",), lambda ratio: ratio > 0, "guard.collapse_ratio above 0"),
    ),
}
"""What each field needs; all others always have an effect."""


def without_effect(
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    searched: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield the fields that are set but have no effect, each with the reason.

    A field is set if its value is not the default, or if it is searched. It has an effect if one
    combination of the values that the fields it needs can take gives it one.

    Args:
        config: nested fields; `store` in it describes the pose store, if it is known: its `frame`,
            and whether it has `detections`.
        defaults: the same with all values at their defaults.
        searched: values that searched fields can take, by dotted name; empty where any is possible.
    """
    searched = searched or {}
    for name, needs in NEEDS.items():
        value = _at(config, name)
        if name not in searched and (value is None or value == _at(defaults, name)):
            continue
        for need in needs:
            found = [searched.get(field, [_at(config, field)]) for field in need.fields]
            known = all(values and None not in values for values in found)
            if known and not any(need.holds(*values) for values in itertools.product(*found)):
                yield name, f"has no effect here: it needs {need.words}"
                break


def _at(config: Mapping[str, Any], name: str) -> Any:
    value: Any = config
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
