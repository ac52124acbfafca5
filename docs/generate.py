"""Write docs/reference from the pydantic models: `make docs`; tests/test_docs.py compares.

The descriptions are the docstrings of the fields; edit them in the models, never in the pages.
"""

# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import json
import types
from inspect import getdoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from synrep_search.search_file.load import KEYS
from synrep_search.search_file.model import (
    Budget,
    Failures,
    Resources,
    SearchSection,
    Tracking,
)
from synrep_search.trainers import TRAINERS

from synrep.baselines.config import KudoConfig, RepNetConfig, SupervisedConfig
from synrep.config import TrainConfig
from synrep.storage import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo

FOLDER = Path(__file__).resolve().parent / "reference"
SHARED = ("data", "evaluation", "guard")
"""Sections that the baselines share with the model, described there."""

CONFIGURATION = """\
# Training configuration

<!-- Written by `make docs` from the docstrings of the configuration models: edit them there. -->

All fields of `synrep.config.TrainConfig`, which holds every setting that changes the result of a
training run. Where and how a model is trained (device, threads, folders) is not part of it.
Defaults are the paper's values where the paper states one. "Row" refers to the
[table of decisions](../model.md#the-table-of-decisions), "section" and "equation" to the paper.

Set fields on the command line by their dotted names (`synrep train -o generator.width=256`), in
a JSON file (`synrep train --config`), or under `train` and `data` in a
[search file](search-file.md). Unknown fields are errors.
"""
BASELINES = """\
## Baselines

The baselines are trained by a search (`trainer: repnet`, `kudo` or `supervised`) or by
`synrep reproduce benchmark`. Their sections `data`, `evaluation` and `guard` are those above; only
`data.pair_real` and `data.real_2d` must keep their defaults, because no baseline shows its critic
the 2D pose of a real 3D pose.
"""
SEARCH_FILE = """\
# Search file

<!-- Written by `make docs` from the docstrings of the models: edit them there. -->

All keys of a search file. [Running a search](../guide/search.md) explains them with examples; the
fields that `train`, `data` and `space` can name are listed in
[Training configuration](configuration.md).

## Top-level keys

Only `space` is required.
"""
URIS = ", ".join(f"`{scheme}://`" for scheme in SCHEMES)
TRAINER_NOTES = """\
## Trainers

The metrics of `synrep` and of the baselines are [errors](../model.md#errors) on validation
subjects. `training/mpjpe_mm` exists only on poses without validation subjects, where no trial may
be selected by it.
"""
TOP = {
    "name": (
        "Name of the search in commands, folders and tags: 1 to 64 letters, digits, `-`, `_`, `.`.",
        "the file's name without its suffix",
    ),
    "extends": ("Search file that this file builds on; its path is relative to this file.", ""),
    "trainer": ("Which model is trained; see [Trainers](#trainers).", "`synrep`"),
    "data": (
        "Fields of the configuration's section `data`: the poses and the 2D input.",
        "built-in synthetic poses",
    ),
    "train": (
        "Fixed fields of the training configuration, dotted or nested.",
        "the configuration's defaults",
    ),
    "space": (
        "Searched fields with their [distributions](../guide/search.md#the-search-space).",
        "required",
    ),
    "search": ("Objective, number of trials, sampler, early stopping.", "see [`search`](#search)"),
    "start_from": (
        "Points evaluated before the sampler proposes any: `paper`, or values by field.",
        "none",
    ),
    "resources": ("Resources of a slot.", "see [`resources`](#resources)"),
    "budget": ("Limit on the duration of a search.", "see [`budget`](#budget)"),
    "failures": ("Retries of failed trials.", "see [`failures`](#failures)"),
    "storage": (
        f"Folder or URI ({URIS}) for checkpoints and copies of a SQLite ledger.",
        "the search's folder in the home",
    ),
    "ledger": (
        "SQLAlchemy URL of the ledger's database: `sqlite:///...` or `postgresql://...`.",
        "SQLite in the search's folder",
    ),
    "tracking": ("MLflow.", "see [`tracking`](#tracking)"),
}
"""Description and default of each top-level key of a search file, which no model holds as such."""


def pages() -> dict[Path, str]:
    """The content of each page of docs/reference, by path."""
    found = {"configuration.md": _configuration(), "search-file.md": _search_file()}
    return {FOLDER / name: text for name, text in found.items()}


def _configuration() -> str:
    parts = [CONFIGURATION, "## Top level\n", *_section(TrainConfig, "", level=2)]
    parts.append(BASELINES)
    for name, model in (
        ("repnet", RepNetConfig),
        ("kudo", KudoConfig),
        ("supervised", SupervisedConfig),
    ):
        own = [field for field in model.model_fields if field not in (*SHARED, "baseline")]
        parts.append(f"### `trainer: {name}`\n\n{_described(model)}\n")
        parts.append(_table(_rows(model, "", own)))
    return "\n".join(parts)


def _search_file() -> str:
    assert tuple(TOP) == KEYS, "a top-level key of the search file is not described here"
    top = [f"| `{key}` | {text} | {default or 'none'} |" for key, (text, default) in TOP.items()]
    parts = [SEARCH_FILE, "\n".join(["| key | meaning | default |", "|---|---|---|", *top]), ""]
    for name, model in (
        ("search", SearchSection),
        ("resources", Resources),
        ("budget", Budget),
        ("failures", Failures),
        ("tracking", Tracking),
    ):
        parts.append(f"## `{name}`\n\n{_described(model)}\n")
        parts += _section(model, f"{name}.", level=2)
    parts.append(_trainers())
    return "\n".join(parts)


def _trainers() -> str:
    columns = ("trainer", "meaning", "configuration", "metrics", "fused training")
    columns += ("fields that cannot be searched",)
    lines = [
        TRAINER_NOTES,
        f"| {' | '.join(columns)} |",
        "|---|---|---|---|---|---|",
    ]
    for trainer in TRAINERS.values():
        config = trainer.config.replace(":", ".")
        metrics = ", ".join(f"`{goal}`" for goal in trainer.goals)
        barred = ", ".join(f"`{name}`" for name in trainer.unsearchable)
        fused = "yes" if trainer.fused else "no"
        row = f"| `{trainer.name}` | {trainer.help} | `{config}` | {metrics} | {fused} | {barred} |"
        lines.append(row)
    return "\n".join([*lines, ""])


def _section(model: type[BaseModel], prefix: str, level: int) -> Iterator[str]:
    """A table of a model's own fields, then its sections and families under headings."""
    sections: dict[str, Any] = {
        name: field.annotation
        for name, field in model.model_fields.items()
        if _is_model(field.annotation)
    }
    plain = [name for name in model.model_fields if name not in (*sections, "kind")]
    yield _table(_rows(model, prefix, plain))
    for name in plain:
        choices = _choices(model.model_fields[name])
        if choices:
            yield f"{'#' * (level + 1)} `{prefix}{name}`\n"
            yield from _families(choices)
    for name, section in sections.items():
        yield f"{'#' * level} `{prefix}{name}`\n\n{_described(section)}\n"
        yield from _section(section, f"{prefix}{name}.", level)


def _families(choices: dict[str, type[BaseModel]]) -> Iterator[str]:
    """A table of alternatives with the parameters of each."""
    lines = ["| value | meaning | parameters |", "|---|---|---|"]
    for name, model in choices.items():
        parameters = [
            _parameter(key, field)
            for key, field in model.model_fields.items()
            if key not in ("kind", "family")
        ]
        meaning = _cell(_described(model)).replace("<br><br>", " ")
        lines.append(f"| `{name}` | {meaning} | {'<br>'.join(parameters) or 'none'} |")
    yield "\n".join([*lines, ""])


def _parameter(name: str, field: FieldInfo) -> str:
    about = f": {_cell(field.description)}" if field.description else ""
    values = _values(field.annotation, field.metadata)
    return f"`{name}` ({values}, default {_default(field.default)}){about}"


def _rows(model: type[BaseModel], prefix: str, names: Sequence[str]) -> list[str]:
    rows = []
    for name in names:
        field = model.model_fields[name]
        if _is_model(field.annotation):
            about = f"{field.description or ''} See [`{name}`](#{name})."
            rows.append(f"| `{prefix}{name}` | section | | {_cell(about)} |")
            continue
        choices = _choices(field)
        values = _values(field.annotation, field.metadata)
        if choices:
            optional = ["`none`"] if type(None) in get_args(field.annotation) else []
            values = ", ".join([*optional, *(f"`{choice}`" for choice in choices)])
        about, default = _cell(field.description or ""), _default(field.default)
        rows.append(f"| `{prefix}{name}` | {values} | {default} | {about} |")
    return rows


def _table(rows: Sequence[str]) -> str:
    return "\n".join(["| field | values | default | meaning |", "|---|---|---|---|", *rows, ""])


def _choices(field: FieldInfo) -> dict[str, type[BaseModel]]:
    """The models that a field chooses from, by the name that a user writes."""
    models = [kind for kind in get_args(field.annotation) if _is_model(kind)]
    return {
        str(model.model_fields[key].default): model
        for model in models
        for key in ("kind", "family")
        if key in model.model_fields
    }


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _described(model: type[BaseModel]) -> str:
    return getdoc(model) or ""


def _cell(text: str) -> str:
    """A text in one cell of a table."""
    return text.replace("\n\n", "<br><br>").replace("\n", " ").replace("|", r"\|").strip()


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return next(f"`{getattr(value, key)}`" for key in ("kind", "family") if hasattr(value, key))
    if isinstance(value, str):
        return f"`{value}`"
    return f"`{json.dumps(value).replace('e-0', 'e-').replace('e+0', 'e')}`"


def _values(kind: Any, metadata: Sequence[Any] = ()) -> str:
    """The values that an annotation admits, in words."""
    if get_origin(kind) is Annotated:
        inner, *rest = get_args(kind)
        more = [part for one in rest for part in getattr(one, "metadata", [one])]
        return _values(inner, [*metadata, *more])
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        some = [_values(one, metadata) for one in get_args(kind) if one is not type(None)]
        return " or ".join(some)
    if get_origin(kind) is tuple:
        return f"list of {len(get_args(kind))}: {_values(get_args(kind)[0])}"
    if kind in (int, float):
        return _bounded("integer" if kind is int else "number", metadata)
    return "`true`, `false`" if kind is bool else "text"


def _bounded(word: str, metadata: Sequence[Any]) -> str:
    low = high = ""
    for bound in metadata:
        if getattr(bound, "gt", None) is not None:
            low = f" > {bound.gt}"
        if getattr(bound, "ge", None) is not None:
            low = f" ≥ {bound.ge}"
        if getattr(bound, "lt", None) is not None:
            large = bound.lt > 1 and bound.lt & (bound.lt - 1) == 0
            high = f" < 2^{bound.lt.bit_length() - 1}" if large else f" < {bound.lt}"
        if getattr(bound, "le", None) is not None:
            high = f" ≤ {bound.le}"
    return word + low + ("," if low and high else "") + high


def main() -> None:
    """Write the pages."""
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
