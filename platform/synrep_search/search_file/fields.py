"""The fields of a trainer's configuration by dotted name: what can be fixed and what searched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Leaf:
    """A field that holds a value, not a section of further fields.

    Attributes:
        name: dotted.
        families: for a field that is one of several families: the model of each.
    """

    name: str
    families: dict[str, type[BaseModel]]


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Leaf]:
    """All leaves of a configuration model, in its order."""
    found: dict[str, Leaf] = {}
    for key, field in model.model_fields.items():
        name = prefix + key
        section = _section(field)
        if section is not None:
            found |= leaves(section, f"{name}.")
        else:
            found[name] = Leaf(name, _families(field))
    return found


def lookup(config: Mapping[str, Any], name: str) -> Any:
    """The value at a dotted name of a nested configuration; None where there is none."""
    value: Any = config
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings; a name below another's value is left out."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[key] = value
    return nested


def validate(
    model: type[BaseModel], config: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, list[Any]]:
    """The complete configuration with all defaults, or None and pydantic's errors.

    Values pass through JSON as they will in the ledger, so lists stand for tuples.
    """
    try:
        built = model.model_validate_json(json.dumps(config))
    except ValidationError as error:
        return None, [_about_the_list(item) for item in error.errors(include_url=False)]
    return built.model_dump(mode="json"), []


def _about_the_list(error: Any) -> Any:
    """Missing entries of a short list as one error of the list, not one for each."""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return {**error, "type": "too_few", "loc": error["loc"][:-1]}
    return error


def valid_keys(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """The keys that the section or family at a place of pydantic's takes; [] for a value."""
    at: type[BaseModel] | None = model
    families: dict[str, type[BaseModel]] = {}
    for step in loc:
        if step in families:
            at, families = families[str(step)], {}
            continue
        field = at.model_fields.get(str(step)) if at is not None else None
        if field is None:
            break
        at, families = _section(field), _families(field)
    return list(at.model_fields) if at is not None else []


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _families(field: FieldInfo) -> dict[str, type[BaseModel]]:
    if not isinstance(field.discriminator, str):
        return {}
    return {
        str(model.model_fields[field.discriminator].default): model
        for model in get_args(field.annotation)
    }
