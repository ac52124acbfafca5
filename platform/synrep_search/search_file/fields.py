"""Fields of a trainer's configuration by dotted name, as `train` and `space` address them."""

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
    """A field that holds a value instead of a section with further fields.

    Attributes:
        name: dotted name.
        families: model of each family, for a field that is one of several families; else empty.
    """

    name: str
    families: dict[str, type[BaseModel]]


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Leaf]:
    """Return all leaves of a configuration model, in the order of its fields."""
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
    """Return the value at a dotted name of a nested configuration, or None if it is missing."""
    value: Any = config
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into nested mappings; a name inside another name's value is left out."""
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
    """Return the configuration completed by defaults, or None and the errors of pydantic.

    Values are encoded as JSON, as in the ledger, so lists stand for tuples.
    """
    try:
        built = model.model_validate_json(json.dumps(config))
    except ValidationError as error:
        return None, [_as_list_error(item) for item in error.errors(include_url=False)]
    return built.model_dump(mode="json"), []


def _as_list_error(error: Any) -> Any:
    """Report the missing entries of a short list as one error of the list instead of one each."""
    if error["type"] == "missing" and isinstance(error["loc"][-1], int):
        return {**error, "type": "too_few", "loc": error["loc"][:-1]}
    return error


def valid_keys(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """Return the valid keys of the section or family at a pydantic location; [] for a value."""
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
