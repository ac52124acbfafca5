"""A configuration of a training from a JSON file and options of the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.config import TrainConfig


def read_config(
    file: Path | None, options: tuple[str, ...], *, complete: bool = True
) -> TrainConfig:
    """A configuration from a JSON file and `dotted.key=value` options; defaults elsewhere.

    A value is JSON, or a plain word.

    Args:
        file: the file, if there is one.
        options: the options.
        complete: whether nothing more is set elsewhere, so that a field without an effect is wrong.

    Raises:
        InputError: the file or an option breaks a rule; names every field that does.
    """
    from synrep.config import check_effects, checked, set_dotted

    content = {} if file is None else read_object(file)
    for option in options:
        key, equals, text = option.partition("=")
        if not equals:
            raise InputError(f"-o {option}", "has no '='", "write -o dotted.key=value")
        set_dotted(content, key, _value(text))
    config = checked(content, " with ".join([str(file)] * bool(file) + ["-o"] * bool(options)))
    if complete:
        check_effects(config)
    return config


def read_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        InputError: it holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(str(file), f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise InputError(str(file), "no JSON object", 'write {"name": value, ...}')
    return content


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
