"""Load a search file into a resolved specification, or report all of its mistakes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from synrep_search.search_file.checks import Checks
from synrep_search.search_file.fields import leaves
from synrep_search.search_file.layers import (
    flatten_sections,
    merge,
    override,
    read_files,
    read_mapping,
    read_override,
)
from synrep_search.search_file.model import (
    Budget,
    Failures,
    Resources,
    SearchSection,
    SearchSpec,
    Tracking,
)
from synrep_search.search_file.problems import Problems, shown, unknown
from synrep_search.search_file.samplers import Task
from synrep_search.search_file.sections import address, name_of, search_section, section
from synrep_search.search_file.source import Node
from synrep_search.trainers import TRAINERS, Trainer

SearchSource: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""Path of a search file, or its content as a mapping."""
Overrides: TypeAlias = Iterable[str] | Mapping[str, Any]
"""Strings `dotted.key=value`, or values by dotted key; later ones take precedence."""

KEYS = (
    *("name", "extends", "trainer", "data", "train", "space", "search", "start_from"),
    *("resources", "budget", "failures", "storage", "ledger", "tracking"),
)


def load_spec(
    search: SearchSource, overrides: Overrides = (), name: str | None = None
) -> SearchSpec:
    """Read a search file with the files that it extends, and check every key.

    Args:
        search: path of the YAML file, or its content as a mapping. The name of a mapping defaults
            to `search`, and its relative paths start from the working folder.
        overrides: strings `dotted.key=value`, or values by dotted key; later ones take precedence
            and null (None) removes a key.
        name: name of the search, in place of the one in the file.

    Raises:
        SpecError: the file or an override has mistakes; lists all of them, each with its line.
    """
    problems = Problems()
    if isinstance(search, Mapping):
        path, layers = Path("search"), read_mapping(search, problems)
    else:
        path = Path(search)
        layers = read_files(path, problems)
    if isinstance(overrides, Mapping):
        overrides = [override(key, value) for key, value in overrides.items()]
    extra = [read_override(text, problems) for text in overrides]
    layers += [layer for layer in extra if layer is not None]
    if name is not None:
        layers.append(Node({"name": Node(name, "--name")}, "--name"))
    if not layers:
        problems.check()
    trainer = _trainer(layers, problems)
    names = leaves(trainer.config_model())
    root = Node({}, str(path), path.parent)
    for layer in layers:
        root = merge(root, flatten_sections(layer, names, problems), problems)
    return _resolve(Node(root.mapping, str(path), path.parent), path, trainer, problems)


def _resolve(root: Node, path: Path, trainer: Trainer, problems: Problems) -> SearchSpec:
    sections = root.mapping
    for key, node in sections.items():
        if key not in KEYS:
            problems.add(node.where, key, unknown(key, KEYS))
    checks = Checks(root, trainer, problems)
    train = checks.train()
    space = checks.space()
    start_from = () if space is None else checks.start_from(space)
    if space is not None and not problems.found:
        checks.effects(train, space)
    tracking = section(Tracking, sections.get("tracking"), "tracking", problems)
    server = sections["tracking"].mapping.get("uri") if "tracking" in sections else None
    tracking = tracking.model_copy(update={"uri": address(server, "tracking.uri", problems)})
    search = search_section(sections.get("search"), trainer.goals, problems)
    resources = section(Resources, sections.get("resources"), "resources", problems)
    budget = section(Budget, sections.get("budget"), "budget", problems)
    failures = section(Failures, sections.get("failures"), "failures", problems)
    storage = address(sections.get("storage"), "storage", problems)
    ledger = address(sections.get("ledger"), "ledger", problems)
    name = name_of(sections.get("name"), path.stem, problems)
    if space is not None and not problems.found:
        _check_sampler(root, search, Task(space, search.trials, start_from), problems)
    problems.check()
    assert space is not None
    return SearchSpec(
        name=name,
        trainer=trainer.name,
        train=train,
        space=space,
        search=search,
        start_from=start_from,
        resources=resources,
        budget=budget,
        failures=failures,
        storage=storage,
        ledger=ledger,
        tracking=tracking,
    )


def _check_sampler(root: Node, search: SearchSection, task: Task, problems: Problems) -> None:
    """Report why the sampler can't run the search, if so."""
    for keys, rule in search.sampler.refusals(task):
        problems.add(root.at(keys).where, ".".join(keys), rule)


def _trainer(layers: list[Node], problems: Problems) -> Trainer:
    """Return the trainer of the topmost layer that names one; raise at once if it is unknown."""
    given = [layer.mapping["trainer"] for layer in layers if "trainer" in layer.mapping]
    name = given[-1].value if given else None
    if name is None:
        return TRAINERS["synrep"]
    if not isinstance(name, str) or name not in TRAINERS:
        rule = unknown(name if isinstance(name, str) else shown(name), TRAINERS, "trainer")
        problems.add(given[-1].where, "trainer", rule)
        problems.check()
    return TRAINERS[str(name)]
