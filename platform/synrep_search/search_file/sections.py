"""Read the sections of a search file that don't depend on the trainer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from synrep.schema import Section
from synrep.storage import SCHEMES, carries_credentials
from synrep_search.search_file.early_stopping import RULES
from synrep_search.search_file.model import LEDGER_URL, NAME, SearchSection
from synrep_search.search_file.problems import explain, shown, unknown
from synrep_search.search_file.samplers import SAMPLERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep_search.search_file.problems import Problems
    from synrep_search.search_file.source import Node

Part = TypeVar("Part", bound=Section)

_METRIC = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")  # valid in MLflow metric keys
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:|file:)([^?]+)(.*)")
DEFAULT_METRIC = "validation/mpjpe_mm"


def section(model: type[Part], node: Node | None, path: str, problems: Problems) -> Part:
    """Read a section with its model; return the defaults if it is missing or invalid."""
    if node is None:
        return model()
    if not isinstance(node.value, dict):
        rule = f"must be a mapping of keys to values, got {shown(node.plain())}"
        problems.add(node.where, path, rule)
        return model()
    valid = [key for key in model.model_fields if key != "kind"]
    values = {}
    for key, inner in node.mapping.items():
        if key in valid:
            values[key] = inner.plain()
        else:
            problems.add(inner.where, f"{path}.{key}", unknown(key, valid))
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        for item in error.errors(include_url=False):
            place = ".".join([path, *map(str, item["loc"])])
            problems.add(node.at(item["loc"]).where, place, explain(item))
    return model()


def search_section(node: Node | None, goals: tuple[str, ...], problems: Problems) -> SearchSection:
    """Read the section `search` with its goal, sampler and early stopping.

    Args:
        node: the section, or None if the file has none.
        goals: metrics that the trainer reports; empty if any metric is accepted.
        problems: collects every mistake.
    """
    if node is None or not isinstance(node.value, dict):
        found = section(SearchSection, node, "search", problems)
        return found.model_copy(update={"minimize": DEFAULT_METRIC})
    special = ("sampler", "early_stopping")
    rest = type(node)(
        {key: inner for key, inner in node.mapping.items() if key not in special}, node.where
    )
    _goal(node, goals, problems)
    found = section(SearchSection, rest, "search", problems)
    update: dict[str, Any] = {}
    if found.minimize is None and found.maximize is None:
        update["minimize"] = DEFAULT_METRIC
    if "sampler" in node.mapping:
        inner = node.mapping["sampler"]
        sampler = _one_kind(inner, "search.sampler", SAMPLERS, "sampler", problems)
        update["sampler"] = sampler or found.sampler
    if "early_stopping" in node.mapping and node.mapping["early_stopping"].value != "none":
        inner, path = node.mapping["early_stopping"], "search.early_stopping"
        update["early_stopping"] = _one_kind(
            inner, path, RULES, "rule of early stopping", problems, also="none"
        )
    return found.model_copy(update=update)


def _goal(node: Node, goals: tuple[str, ...], problems: Problems) -> None:
    given = [key for key in ("minimize", "maximize") if key in node.mapping]
    if len(given) == 2:
        first, second = (node.mapping[key].where for key in given)
        rule = f"minimize ({first}) and maximize ({second}): keep one"
        problems.add(second, "search.maximize", rule)
    for key in given:
        metric = node.mapping[key].value
        if not isinstance(metric, str):
            continue
        if goals and metric not in goals:
            problems.add(node.mapping[key].where, f"search.{key}", unknown(metric, goals, "goal"))
        elif not _METRIC.fullmatch(metric):
            rule = f"must be the name of a metric such as {DEFAULT_METRIC}, got {shown(metric)}"
            problems.add(node.mapping[key].where, f"search.{key}", rule)


def _one_kind(
    node: Node,
    path: str,
    kinds: Mapping[str, type[Part]],
    word: str,
    problems: Problems,
    *,
    also: str = "",
) -> Part | None:
    """Read the options under the single key that names a kind; return None if the key is wrong.

    Args:
        node: a mapping such as `{tpe: {seed: 0}}`.
        path: path of the node in the file.
        kinds: options class of each kind.
        word: what the kinds are called in messages.
        problems: collects every mistake.
        also: a further valid value, listed in messages.
    """
    unknown_keys = [key for key in node.mapping if key not in kinds]
    for key in unknown_keys:
        problems.add(node.mapping[key].where, f"{path}.{key}", unknown(key, kinds, word))
    if unknown_keys:
        return None
    if len(node.mapping) != 1:
        example = next(iter(kinds))
        field = next(key for key in kinds[example].model_fields if key != "kind")
        default = kinds[example].model_fields[field].default
        valid = [*kinds, *([also] if also else [])]
        rule = f"needs one of {', '.join(valid)}, e.g. {{{example}: {{{field}: {default}}}}}"
        problems.add(node.where, path, f"{rule}, got {shown(node.plain())}")
        return None
    ((kind, inner),) = node.mapping.items()
    return section(kinds[kind], inner, f"{path}.{kind}", problems)


def name_of(node: Node | None, fallback: str, problems: Problems) -> str:
    """Return the name of the search; the fallback if the file gives none."""
    value = fallback if node is None else node.value
    if isinstance(value, str) and NAME.fullmatch(value):
        return value
    where = fallback if node is None else node.where
    rule = "must be 1 to 64 letters, digits, `-`, `_` or `.`, starting with a letter or digit, "
    problems.add(where, "name", f"{rule}got {shown(value if node is None else node.plain())}")
    return ""


def address(node: Node | None, path: str, problems: Problems) -> str | None:
    """Return a folder, URI or database URL; a folder or database file in it is made absolute.

    One that carries credentials is refused.
    """
    if node is None:
        return None
    if not isinstance(node.value, str):
        problems.add(node.where, path, f"must be text, got {shown(node.plain())}")
    elif rule := _refusal(node.value, path):
        problems.add(node.where, path, rule)
    else:
        return _absolute(node.value, path, node, problems)
    return None


def _refusal(value: str, path: str) -> str:
    """Return why an address can't be taken; empty where it can."""
    if not value.strip():
        return "is empty; leave the key out for the default"
    if carries_credentials(value):
        variable = ", e.g. PGPASSWORD" if path == "ledger" else ""
        return f"holds a password or key: leave it out and give it by the environment{variable}"
    scheme, uri, _ = value.partition("://")
    if uri and "@" in value and re.search(r"\s", value):  # `masked` could not hide the password
        return "must be a URL without spaces"
    if path == "storage" and uri and scheme not in SCHEMES:
        return f"must be a folder or a URI of {', '.join(SCHEMES)}, got {shown(value)}"
    if path == "ledger" and not LEDGER_URL.fullmatch(value):
        return f"must be a sqlite:// or postgresql:// URL (SQLAlchemy's form), got {shown(value)}"
    return ""


def _absolute(value: str, path: str, node: Node, problems: Problems) -> str:
    """Make the path in an address absolute, so that it does not depend on the working folder."""
    before, file, after = "", value, ""
    if path != "storage" or "://" in value:
        found = _SQLITE_FILE.fullmatch(value)
        if found is None:
            return value
        before, file, after = found.groups()
    try:
        # Keep symbolic links: other machines may reach the folder by the link only.
        return f"{before}{resolve_path(node, file).absolute()}{after}"
    except OSError as error:
        problems.add(node.where, path, f"can't be used: {error.strerror}")
        return value


def resolve_path(node: Node, path: str) -> Path:
    """Resolve a path beside the file that names it if it exists there, else in the working folder.

    Raises:
        OSError: the name is too long, or symbolic links form a cycle.
    """
    near = node.folder / path if node.folder is not None else Path(path)
    return near if near.exists() else Path(path)
