"""Layers of a search: the files that it extends, the file itself, then the overrides.

All layers have the same structure and `merge` combines them by the same rules, so an override can
express whatever a file can, and null removes a key in both.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synrep.config import json_value
from synrep_search.search_file.problems import did_you_mean, shown
from synrep_search.search_file.source import Node, Origin, Unreadable, parse

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from synrep_search.search_file.problems import Problems

LARGEST_BYTES = 1_000_000
# Sections whose keys are dotted names of configuration fields, each with one value.
_NAMED = ("train", "data", "space")
# Mappings whose single key selects a kind: another key replaces the whole mapping.
_ONE_KIND = ("search.sampler", "search.early_stopping")
_GOALS = ("minimize", "maximize")


def read_files(path: Path, problems: Problems) -> list[Node]:
    """Return the layers of a file, the base of its `extends` chain first; [] after an error."""
    layers: list[Node] = []
    chain: list[Path] = []
    note = ""
    while True:
        root = _read(path, note, problems)
        if root is None:
            return []
        # `name` is not inherited: a search that extends another one is a different search.
        mapping = {
            k: v for k, v in root.mapping.items() if k != "extends" and (not chain or k != "name")
        }
        layers.insert(0, Node(mapping, root.where, root.folder))
        chain.append(path)
        extends = root.mapping.get("extends")
        if extends is None or extends.value is None:
            return layers
        if not isinstance(extends.value, str):
            problems.add(
                extends.where, "extends", f"must be one file, got {shown(extends.plain())}"
            )
            return []
        path = Path(os.path.normpath(path.parent / extends.value))
        note = f" (extended by {extends.where})"
        if path.resolve() in {seen.resolve() for seen in chain}:
            circle = " -> ".join(str(step) for step in [*chain, path])
            problems.add(
                extends.where, "extends", f"the files extend each other in a circle: {circle}"
            )
            return []


def read_mapping(content: Mapping[str, Any], problems: Problems) -> list[Node]:
    """Return the layer of a search given as a mapping; [] if no file could hold its content."""
    origin = Origin("the search")
    if "extends" in content:
        problems.add(origin.name, "extends", "only a file can extend another")
        return []
    try:
        # YAML includes JSON.
        return [parse(json.dumps(content, ensure_ascii=False, default=json_value), origin)]
    except Unreadable as error:
        problems.add(origin.name, "", str(error))
        return []


def override(key: str, value: Any) -> str:
    """Format an override as on the command line: `dotted.key=value`."""
    return f"{key}={json.dumps(value, ensure_ascii=False, default=json_value)}"


def read_override(text: str, problems: Problems) -> Node | None:
    """Read an override `dotted.key=value`, its value in YAML, as a layer; None if it is invalid."""
    key, equals, value = text.partition("=")
    keys = key.strip().split(".")
    if not equals or not all(keys):
        where = "-o " + shown(text).strip('"')
        problems.add(where, "", "an override reads section.key=value, e.g. search.trials=4")
        return None
    origin = Origin(f"-o {key.strip()}")
    if keys[0] == "extends":
        problems.add(origin.name, "extends", "only a file can extend another")
        return None
    try:
        node = parse(value, origin)
    except Unreadable as error:
        problems.add(origin.name, key.strip(), str(error))
        return None
    section, rest = keys[0], keys[1:]
    if section in _NAMED and rest:
        rest = [".".join(rest)]
    for name in reversed([section, *rest]):
        node = Node({name: node}, origin.name)
    return node


def flatten_sections(layer: Node, names: Collection[str], problems: Problems) -> Node:
    """Replace nested keys of `train` and `data` by dotted names.

    Args:
        layer: top-level mapping of one file or override.
        names: dotted names of all fields of the trainer's configuration.
        problems: collects names that the layer sets twice and sections that are not mappings.
    """
    changed = dict(layer.mapping)
    for section in _NAMED:
        node = changed.get(section)
        if node is None or node.value is None:
            continue
        if not isinstance(node.value, dict):
            got = shown(node.plain())
            problems.add(node.where, section, f"must be a mapping of keys to values, got {got}")
            del changed[section]
        elif section != "space":
            flat: dict[str, Node] = {}
            prefix = "data." if section == "data" else ""
            inside = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
            _flatten(node, "", flat, inside, problems)
            changed[section] = Node(flat, node.where, node.folder)
    return Node(changed, layer.where, layer.folder)


def merge(under: Node, over: Node, problems: Problems, path: str = "") -> Node:
    """Merge a layer over those below: mappings key by key, other values replaced, null removes."""
    merged = dict(under.mapping)
    if path == "search" and any(goal in over.mapping for goal in _GOALS):
        merged = {key: node for key, node in merged.items() if key not in _GOALS}
    for key, node in over.mapping.items():
        here = f"{path}.{key}" if path else key
        below = merged.get(key, Node({}, node.where))
        if node.value is None:
            _remove(merged, key, node, here, problems)
        elif not isinstance(node.value, dict) or path in _NAMED:
            merged[key] = node
        elif here in _ONE_KIND:
            merged[key] = _merge_one_kind(below, node, problems, here)
        else:
            merged[key] = merge(below, node, problems, here)
    return Node(merged, over.where, over.folder)


def _merge_one_kind(under: Node, over: Node, problems: Problems, path: str) -> Node:
    # `tpe:` with nothing after it means the sampler with its defaults, not its removal.
    given = {key: Node(node.value or {}, node.where) for key, node in over.mapping.items()}
    if set(given) != set(under.mapping):
        under = Node({}, under.where)
    return merge(under, Node(given, over.where, over.folder), problems, path)


def _remove(merged: dict[str, Node], key: str, node: Node, here: str, problems: Problems) -> None:
    removed = [name for name in merged if name == key or name.startswith(f"{key}.")]
    for name in removed:
        del merged[name]
    if not removed and node.where.startswith("-o "):
        problems.add(node.where, here, f"there is nothing to remove{did_you_mean(key, merged)}")


def _flatten(
    node: Node, prefix: str, flat: dict[str, Node], names: set[str], problems: Problems
) -> None:
    for key, inner in node.mapping.items():
        name = prefix + key
        is_section = name not in names and any(field.startswith(f"{name}.") for field in names)
        if is_section and isinstance(inner.value, dict):
            _flatten(inner, f"{name}.", flat, names, problems)
        elif name in flat:
            problems.add(inner.where, name, f"is set twice, first at {flat[name].where}")
        else:
            flat[name] = inner


def _read(path: Path, note: str, problems: Problems) -> Node | None:
    origin = Origin(str(path), path.parent, note)
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            problems.add(
                origin.where(0), "", f"larger than {LARGEST_BYTES} bytes: not a search file"
            )
            return None
        root = parse(content.decode("utf-8-sig"), origin)
    except OSError as error:
        problems.add(origin.where(0), "", f"can't be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problems.add(origin.where(line), "", "is not UTF-8 text")
    except Unreadable as error:
        problems.add(origin.where(error.line, error.column), "", str(error))
    else:
        if isinstance(root.value, dict) or root.value is None:
            return root
        problems.add(root.where, "", f"must be a mapping of sections, got {shown(root.plain())}")
    return None
