"""Documents and project files: whatever they show exists, and they agree with each other."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

import synrep
from synrep.config import TrainConfig
from synrep.schema import Section

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = "docs/design/architecture.md"

FENCED = re.compile(r"```.*?```", re.DOTALL)


@cache
def files() -> tuple[str, ...]:
    """The repository's files, as git sees them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(sorted(name for name in listed.splitlines() if (ROOT / name).is_file()))


def documents() -> list[str]:
    """All Markdown files."""
    return [name for name in files() if name.endswith(".md")]


def text(name: str) -> str:
    """A file's content."""
    return (ROOT / name).read_text(encoding="utf-8")


def code_lines(name: str) -> list[str]:
    """A document's code: blocks, fenced or indented, with continued lines joined; and inline."""
    lines, fenced = [], False
    for line in text(name).replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(line.strip())
        else:
            lines += re.findall(r"`([^`]+)`", line)
    return lines


def anchors(name: str) -> set[str]:
    """What `#` links of a document can name: its headings, as GitHub spells them."""
    headings = re.findall(r"^#+ (.+)$", text(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("name", documents())
def test_links_lead_somewhere(name: str) -> None:
    """Every relative link names a file of the repository and a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text(name)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / name).parent / path if path else ROOT / name
        assert found.exists(), f"{name}: no file {path}"
        if anchor:
            place = str(found.resolve().relative_to(ROOT))
            assert anchor in anchors(place), f"{name}: no heading {anchor} in {place}"


def test_every_document_is_listed() -> None:
    """The README links to every page below docs/."""
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", text("README.md")))
    assert sorted({name for name in documents() if name.startswith("docs/")} - linked) == []


def folders(parent: str = "") -> set[str]:
    """The folders directly in one, each ending with a slash."""
    inside = [name.removeprefix(parent) for name in files() if name.startswith(parent)]
    return {f"{parent}{name.split('/')[0]}/" for name in inside if "/" in name}


def test_layout_is_the_tree() -> None:
    """The README maps each top-level folder and each folder of the packages, and no other."""
    block = text("README.md").split("## Repository layout", 1)[1].split("```")[1]
    mapped, parent = [], ""
    for line in block.strip("\n").splitlines():
        name, about = line.split(maxsplit=1)
        assert name.endswith("/"), line
        assert about, line
        parent = parent if line.startswith(" ") else name
        mapped.append(parent + name if line.startswith(" ") else name)
    packages = ("synrep/", "platform/synrep_search/")
    assert sorted(mapped) == sorted(
        folders() | {packages[1]} | folders(packages[0]) | folders(packages[1])
    )


def inline_code() -> list[tuple[str, str]]:
    """(document, code) of all code within sentences and tables."""
    return [
        (name, code)
        for name in documents()
        for code in re.findall(
            r"`([^`\n]+)`", re.sub(r"```.*?```", "", text(name), flags=re.DOTALL)
        )
    ]


def test_shown_paths_exist() -> None:
    """Files and folders of the repository that a document names are there."""
    pattern = re.compile(r"(synrep|platform|tests|benchmarks|docs|search_spaces)/[\w/.-]*")
    shown = [(name, code) for name, code in inline_code() if pattern.fullmatch(code)]
    assert len(shown) > 20
    for name, code in shown:
        assert (ROOT / code).exists(), f"{name}: no {code}"


def module_file(name: str) -> Path | None:
    """The source of a module of either package; None if there is none."""
    path = ROOT / ("platform" if name.startswith("synrep_search") else "") / name.replace(".", "/")
    return next(
        (one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None
    )


def test_shown_python_names_exist() -> None:
    """Dotted names of modules, classes and functions that a document names are in the source."""
    shown = [
        (name, code)
        for name, code in inline_code()
        if re.fullmatch(r"synrep(_search)?(\.\w+)+", code)
    ]
    assert len(shown) > 20
    for name, code in shown:
        parts = code.split(".")
        module = next(n for n in range(len(parts), 0, -1) if module_file(".".join(parts[:n])))
        source = (module_file(".".join(parts[:module])) or ROOT).read_text(encoding="utf-8")
        for part in parts[module:]:
            assert re.search(rf"\b{part}\b", source), f"{name}: no {code}"


def test_glossary_names_modules() -> None:
    """Each term has one line, in the order of the alphabet, and a module that exists."""
    section = text(ARCHITECTURE).split("## Glossary", 1)[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([a-z][^|]*) \| ([^|]+) \| `([\w.]+)` \|$", section, re.MULTILINE)
    assert len(rows) == section.count("\n| ") - 1, "a line of the glossary has another form"
    terms = [term for term, _, _ in rows]
    assert len(terms) >= 20
    assert terms == sorted(set(terms))
    assert [module for _, _, module in rows if module_file(module) is None] == []


def layers(package: str) -> list[str]:
    """Modules and subpackages of a package, in the order in which they may import each other."""
    block = re.search(rf"^ +{package}: +(.+\n +<.+)$", text(ARCHITECTURE), re.MULTILINE)
    assert block
    return re.split(r"[,<\s]+", block[1])


def imported(module: Path, package: str) -> set[str]:
    """Modules and subpackages of a package that one of its modules imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    return {name.split(".")[1] for name in names if name.startswith(f"{package}.")}


@pytest.mark.parametrize("package", ["synrep", "synrep_search"])
def test_layers_hold(package: str) -> None:
    """Imports lead to the left in the layers that the architecture page shows."""
    order = layers(package)
    root = ROOT / ("platform" if package == "synrep_search" else "") / package
    for module in sorted(root.rglob("*.py")):
        place = module.relative_to(root).parts[0].removesuffix(".py")
        if place == "__init__":
            continue
        assert place in order, f"{module}: not in the layers"
        above = imported(module, package) & set(order[order.index(place) + 1 :])
        assert not above, f"{module} imports {above}"


def test_reference_is_up_to_date() -> None:
    """The pages of docs/reference are what `make docs` writes."""
    pages = runpy.run_path(str(ROOT / "docs/generate.py"))["pages"]()
    assert {str(path.relative_to(ROOT)) for path in pages} == {
        name for name in files() if name.startswith("docs/reference/")
    }
    for path, content in pages.items():
        assert path.read_text(encoding="utf-8") == content, f"{path}: run `make docs`"


def commands(program: str) -> list[tuple[str, str]]:
    """(document, line) of every shown call of a program."""
    pattern = re.compile(rf"(\w+=\S+ )*{program} ")
    return [
        (name, line) for name in documents() for line in code_lines(name) if pattern.match(line)
    ]


def check_command(program: str, main: click.Command, line: str) -> None:
    """A shown call names a known command and known options, and search files that exist."""
    words = shlex.split(line, comments=True)
    words = words[words.index(program) + 1 :]
    command: Any = main
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{line}: no command {words[0]}"
        command = found
        words.pop(0)
    known = {option for param in command.params for option in param.opts + param.secondary_opts}
    for word in words:
        if word.startswith("-"):
            option = word.split("=", 1)[0]
            assert option in known | {"-h", "--help"}, f"{line}: no option {option}"
        if word.startswith("search_spaces/"):
            assert (ROOT / word).is_file(), f"{line}: no file {word}"


def test_shown_synrep_commands_exist() -> None:
    """Commands and options of `synrep` in any document."""
    from synrep.cli.main import main  # noqa: PLC0415 - a broken command line fails its own test

    shown = commands("synrep")
    assert len(shown) > 3
    for _, line in shown:
        check_command("synrep", main, line)


def test_shown_search_commands_exist() -> None:
    """Commands and options of `synrep-search` in any document."""
    from synrep_search.cli import main  # noqa: PLC0415 - a broken command line fails its own test

    shown = commands("synrep-search")
    assert len(shown) > 3
    for _, line in shown:
        check_command("synrep-search", main, line)


def targets() -> dict[str, str]:
    """The Makefile's targets and what they do."""
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", text("Makefile"), re.MULTILINE))


def test_shown_make_targets_exist() -> None:
    """And every target is listed by `make help`."""
    phony = re.search(r"^\.PHONY: (.+)$", text("Makefile"), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(targets())
    shown = commands("make")
    assert shown
    for name, line in shown:
        words = [word for word in shlex.split(line, comments=True) if "=" not in word]
        assert set(words[1:]) <= set(targets()), f"{name}: {line}"


def test_ci_runs_what_a_user_can() -> None:
    """Its only action is a target of the Makefile."""
    script = text(".ci/run")
    assert script.startswith("#!/usr/bin/env bash")
    assert re.findall(r"^make (.+)$", script, re.MULTILINE) == ["test"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def leaves(model: type[Section], prefix: str = "") -> set[str]:
    """Dotted names of a configuration's fields; a section counts by its fields."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            found |= leaves(inner, f"{prefix}{name}.")
        else:
            found.add(prefix + name)
    return found


def test_every_field_is_explained() -> None:
    """docs/model.md names every field of the configuration, and none that is not there."""
    sections = {name.split(".")[0] for name in leaves(TrainConfig) if "." in name}
    named = set(re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)?)`", text("docs/model.md")))
    assert sorted(leaves(TrainConfig) - named) == []
    dotted = {name for name in named if name.split(".")[0] in sections and "." in name}
    assert sorted(dotted - leaves(TrainConfig)) == []


def test_rows_are_numbered_and_cited() -> None:
    """The table of decisions counts from 1 without gaps, and the code cites rows that exist."""
    rows = [int(row) for row in re.findall(r"^\| (\d+) \|", text("docs/model.md"), re.MULTILINE)]
    assert rows == list(range(1, len(rows) + 1))
    cited: set[int] = set()
    for name in files():
        if name.startswith("synrep/") and name.endswith(".py"):
            for group in re.findall(r"\brows? (\d+(?:(?:, | and |-)\d+)*)", text(name)):
                cited |= {int(number) for number in re.findall(r"\d+", group)}
    assert cited
    assert sorted(cited - set(rows)) == []


def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads(text("pyproject.toml"))["project"]
    return found


def requirements() -> list[Requirement]:
    """What the project asks for, extras included; an extra may name another one of the project."""
    extras = project()["optional-dependencies"].values()
    asked = [*project()["dependencies"], *(one for extra in extras for one in extra)]
    found = [Requirement(one) for one in asked]
    return [requirement for requirement in found if requirement.name != project()["name"]]


def test_lock_pins_what_is_asked_for() -> None:
    """Every requirement is pinned to one version that satisfies it; no index, no build, no CUDA."""
    lines = [line for line in text("requirements.lock").splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines)
    assert not [name for name in pinned if re.match(r"nvidia|cuda|triton", name)]
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    assert len(versions) == len(lines)
    for requirement in requirements():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_versions_agree() -> None:
    """Package, metadata and citation carry one version."""
    citation = YAML(typ="safe").load(text("CITATION.cff"))
    assert synrep.__version__ == project()["version"] == citation["version"]


def test_every_dependency_has_a_reason() -> None:
    """docs/design/architecture.md says of each package what it is for."""
    reasons = text(ARCHITECTURE).split("## Dependencies", 1)[1]
    for requirement in requirements():
        assert re.search(rf"\b{re.escape(requirement.name)}\b", reasons), requirement
