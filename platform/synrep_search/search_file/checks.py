"""Check `train`, `data`, `space` and `start_from` against the trainer's configuration model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep_search.search_file.effects import without_effect
from synrep_search.search_file.fields import Leaf, leaves, nest, valid_keys, validate
from synrep_search.search_file.problems import did_you_mean, explain, shown, unknown
from synrep_search.search_file.sections import resolve_path
from synrep_search.search_file.source import Node
from synrep_search.search_file.space.distributions import OneOf
from synrep_search.search_file.space.grammar import distribution
from synrep_search.search_file.space.points import fill_start
from synrep_search.search_file.space.space import Space

if TYPE_CHECKING:
    from pydantic import BaseModel

    from synrep_search.search_file.problems import Problems
    from synrep_search.search_file.space.distributions import Distribution
    from synrep_search.search_file.space.suggest import Probe
    from synrep_search.trainers import Trainer


@dataclass
class Checks:
    """Checks of one merged search file against its trainer.

    Attributes:
        root: the merged file; `train` and `data` hold dotted names.
        trainer: the trainer that the file names.
        problems: collects every mistake.
    """

    root: Node
    trainer: Trainer
    problems: Problems

    def __post_init__(self) -> None:
        self.model: type[BaseModel] = self.trainer.config_model()
        self.leaves: dict[str, Leaf] = leaves(self.model)
        self.defaults = validate(self.model, {})[0] or {}
        self.fixed = {name: node for name, _, node in self._fixed()}

    def train(self) -> dict[str, Any]:
        """Return the complete training configuration; the defaults if it is invalid."""
        flat = {}
        for name, path, node in self._fixed():
            if self._can_fix(name, path, node):
                flat[name] = node.plain()
        config, errors = validate(self.model, nest(flat))
        for error in errors:
            name, tail = self._split(error["loc"])
            node = self.fixed.get(name, self.root).at(tail)
            path = ".".join([_section_path(name), *map(str, tail)])
            rule = explain(error, valid_keys(self.model, error["loc"][:-1]))
            self.problems.add(node.where, path, rule)
        poses = self.fixed.get("data.poses")
        if poses is not None and isinstance(poses.value, str) and "data.poses" in self.leaves:
            folder = self._poses(poses, poses.value)
            if config is not None:
                config["data"]["poses"] = folder
        return config or self.defaults

    def space(self) -> Space | None:
        """Return the search space, or None if it has mistakes."""
        before = len(self.problems.found)
        section = self.root.mapping.get("space", Node(None, self.root.where))
        if not section.mapping and section.value != {}:
            rule = "nothing is searched: give at least one name a distribution, "
            rule += "e.g. {loss.lambda_angle: {log: [0.1, 10]}}, or write {} for seeds alone"
            self.problems.add(section.where, "space", rule)
        names = {}
        for name, node in section.mapping.items():
            path = f"space.{name}"
            part = distribution(node, path, self.problems)
            self._check_searchable(name, node, path)
            if part is not None and name in self.leaves:
                self._probe(name, part, node, path)
                names[name] = part
        return Space(names=names) if len(self.problems.found) == before else None

    def start_from(self, space: Space) -> tuple[dict[str, Any], ...]:
        """Return the start points, completed by defaults; invalid ones are left out."""
        node = self.root.mapping.get("start_from")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            got = shown(node.plain())
            rule = (
                f"must be a list of points, each `paper` or a mapping of searched names, got {got}"
            )
            self.problems.add(node.where, "start_from", rule)
            return ()
        points = [self._start(f"start_from[{i}]", item, space) for i, item in enumerate(node.value)]
        return tuple(point for point in points if point is not None)

    def effects(self, train: dict[str, Any], space: Space) -> None:
        """Note each field, fixed or searched, that has no effect in any trial."""
        for name, rule in without_effect(train, self.defaults, space):
            searched = name in space.names
            path = f"space.{name}" if searched else _section_path(name)
            nodes = self.root.mapping["space"].mapping if searched else self.fixed
            self.problems.add(nodes.get(name, self.root).where, path, f"{rule}; leave it out")

    def _start(self, path: str, node: Node, space: Space) -> dict[str, Any] | None:
        paper = node.value == "paper"
        if not paper and not isinstance(node.value, dict):
            got = shown(node.plain()) + did_you_mean(node.plain(), ["paper"])
            rule = f"must be `paper` or a mapping of searched names to values, got {got}"
            self.problems.add(node.where, path, rule)
            return None
        unsearched = [name for name in node.mapping if name not in space.names]
        for name in unsearched:
            rule = unknown(name, space.names, "searched name")
            self.problems.add(node.mapping[name].where, f"{path}.{name}", rule)
        if unsearched:
            return None
        given = {} if paper else node.plain()
        try:
            return fill_start(space, given, self.defaults, self.leaves)
        except InputError as error:
            name = next((n for n in space.names if (error.place + ".").startswith(f"{n}.")), "")
            rule = error.rule if name in given else f"the default {error.rule}; widen the space"
            where = node.mapping.get(name, node).where
            self.problems.add(where, f"{path}.{error.place}", rule)
            return None

    def _fixed(self) -> list[tuple[str, str, Node]]:
        """Return (field, path in the file, node) for each value that `train` and `data` set."""
        sections = self.root.mapping
        train = sections["train"].mapping if "train" in sections else {}
        data = sections["data"].mapping if "data" in sections else {}
        found = [(name, f"train.{name}", node) for name, node in train.items()]
        return found + [(f"data.{key}", f"data.{key}", node) for key, node in data.items()]

    def _can_fix(self, name: str, path: str, node: Node) -> bool:
        if name not in self.leaves:
            rule = self._no_field(name)
        elif name == "seed":
            rule = "every trial gets its own seed: set search.seed instead"
        elif path.startswith("train.data."):
            rule = f"belongs in the section data, as {name.removeprefix('data.')}"
        else:
            return True
        self.problems.add(node.where, path, rule)
        return False

    def _check_searchable(self, name: str, node: Node, path: str) -> None:
        if name not in self.leaves:
            rule = self._no_field(name)
        elif reason := self.trainer.why_unsearchable(name):
            rule = f"can't be searched: {reason}"
        elif name in self.fixed:
            fixed = f"{_section_path(name)} at {self.fixed[name].where}"
            rule = f"is searched here and fixed by {fixed}: keep one"
        else:
            return
        self.problems.add(node.where, path, rule)

    def _no_field(self, name: str) -> str:
        """Return the message for a name that is not a field of the configuration."""
        parent = next((leaf for leaf in self.leaves if name.startswith(f"{leaf}.")), None)
        if parent is not None and self.leaves[parent].families:
            return f"{parent} is a single value: give a family with its parameters"
        section = name.rpartition(".")[0]
        siblings = [leaf for leaf in self.leaves if leaf.rpartition(".")[0] == section]
        children = [leaf for leaf in self.leaves if leaf.startswith(f"{name}.")]
        if children:
            return f"is a section: name a field in it; valid: {', '.join(children)}"
        close = did_you_mean(name, self.leaves)
        if not section or not siblings:
            tops = [
                f"{top}.*" if "." in leaf else top
                for leaf in self.leaves
                for top in [leaf.partition(".")[0]]
            ]
            siblings = list(dict.fromkeys(tops))
        rule = f"is not a field of {self.trainer.name}'s configuration{close}; "
        return f"{rule}valid: {', '.join(siblings)}"

    def _probe(self, name: str, part: Distribution, node: Node, path: str) -> None:
        """Validate the bounds of a distribution with its field and report each refusal."""
        families = self.leaves[name].families
        if bool(families) != isinstance(part, OneOf):
            rule = (
                f"is one of several families: use {{one_of: {{{next(iter(families))}: {{}}}}}}"
                if families
                else "has no families: one_of does not apply"
            )
            self.problems.add(node.where, path, rule)
            return
        seen: dict[tuple[str | int, ...], set[str]] = {}
        for probe in part.probes():
            for tail, subject, rule in self._refusals(name, probe):
                # A mistake in a whole value appears in the probe of each of its parts: report it
                # once. Probes of a whole (shorter focus) come after those of its parts.
                reported = seen.setdefault(tail, set())
                if subject not in reported and not (reported and len(tail) > len(probe.focus)):
                    reported.add(subject)
                    words = ".".join(str(key) for key in probe.keys if isinstance(key, str))
                    at = node.at(probe.keys)
                    self.problems.add(at.where, f"{path}.{words}" if words else path, rule)

    def _refusals(self, name: str, probe: Probe) -> list[tuple[tuple[str | int, ...], str, str]]:
        """Return (path in the value, subject, rule) for each error of the field on a probe."""
        _, errors = validate(self.model, nest({name: probe.value}))
        found = []
        depth = name.count(".") + 1
        for error in errors:
            tail = tuple(error["loc"][depth:])
            about = zip(tail, probe.focus, strict=False)
            if ".".join(map(str, error["loc"][:depth])) != name or any(a != b for a, b in about):
                continue
            rule = explain(error, valid_keys(self.model, error["loc"][:-1]))
            if error["type"] == "int_type" and isinstance(error["input"], float):
                rule = "takes whole numbers: use int or int_log"
            subject = error["type"] if len(tail) < len(probe.focus) else rule
            found.append((tail, subject, rule))
        return found

    def _split(self, loc: tuple[str | int, ...]) -> tuple[str, tuple[str | int, ...]]:
        """Split the location of a pydantic error into a field name and keys in its value."""
        for i in range(1, len(loc) + 1):
            name = ".".join(map(str, loc[:i]))
            if name in self.leaves:
                tail = tuple(loc[i:])
                families = self.leaves[name].families
                return name, tail[1:] if tail and tail[0] in families else tail
        return ".".join(map(str, loc)), ()

    def _poses(self, node: Node, poses: str) -> str:
        """Return the absolute path of the pose store after checking that it has a header."""
        if poses == "synthetic":
            return poses
        remedy = "make one with `synrep data`, or write `synthetic`"
        try:
            folder = resolve_path(node, poses).resolve()
        except OSError as error:
            self.problems.add(node.where, "data.poses", f"{error.strerror}: {remedy}")
            return poses
        if not folder.is_dir():
            rule = f"there is no folder {folder}: {remedy}"
        elif not (folder / "store.json").is_file():
            rule = f"{folder} has no store.json, so it is not a pose store: {remedy}"
        else:
            return str(folder)
        self.problems.add(node.where, "data.poses", rule)
        return poses


def _section_path(name: str) -> str:
    return name if name.startswith("data.") else f"train.{name}"
