"""The search files that users start from, and every example of docs/guide/search.md, are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from synrep_search.search_file import load_spec
from synrep_search.search_file.early_stopping import RULES as EARLY_STOPPING
from synrep_search.search_file.samplers import SAMPLERS
from synrep_search.trainers import TRAINERS

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "search_spaces").glob("*.yaml"))
DOCS = (ROOT / "docs" / "guide" / "search.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)
TABLE = DOCS.partition("| distribution |")[2].partition("\n\n")[0]
CELLS = re.findall(r"^\|.*\| `(\{.*\})` \|$", TABLE, re.MULTILINE)
OPTIONS = re.findall(r"^-o (\S+?=.*)$", DOCS, re.MULTILINE)

# What the examples refer to: a file that one of them extends, with the keys the options change.
BASE = """\
space:
  loss.lambda_angle: {log: [0.01, 10]}
  critic.steps: {choice: [1, 2]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the pose folder and the base file that the examples name."""
    (tmp_path / "poses" / "cmu").mkdir(parents=True)
    (tmp_path / "poses" / "cmu" / "store.json").write_text("{}")
    (tmp_path / "base.yaml").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_files_and_examples() -> None:
    """The patterns that collect what is checked find something."""
    assert {"quickstart", "paper"} <= {path.stem for path in FILES}
    assert len(EXAMPLES) > 10
    assert len(CELLS) > 5
    assert len(OPTIONS) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_runs_as_it_stands(path, monkeypatch, tmp_path) -> None:
    """A file of search_spaces is valid from any folder, has its own name and a comment on top."""
    monkeypatch.chdir(tmp_path)
    spec = load_spec(path)
    assert spec.name == path.stem
    assert path.read_text(encoding="utf-8").startswith("# ")


def test_the_quickstart_is_small() -> None:
    """The first search that anybody runs fits two cores and a few minutes."""
    spec = load_spec(ROOT / "search_spaces" / "quickstart.yaml")
    assert spec.train["data"]["poses"] == "synthetic"
    assert spec.search.trials * spec.train["iterations"] <= 5000
    assert spec.train["generator"]["width"] <= 128
    assert (spec.resources.cpu, spec.resources.gpu) == (1, 0)


def test_the_paper_comes_first() -> None:
    """The first trial of the paper's search has every searched name at the paper's value."""
    (start,) = load_spec(ROOT / "search_spaces" / "paper.yaml").start_from
    assert start["kcs.weighting"] == {"family": "tanh", "scale": 1.0, "power": 1.0}
    rates = [value for name, value in start.items() if name.startswith("optim.lr_")]
    assert rates == [8e-5] * 3
    assert start["loss.lambda_reprojection"] == 0


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_of_the_docs_is_valid(folder, number) -> None:
    """Each YAML block is a search file, on its own or, without a space, on top of another."""
    text = EXAMPLES[number]
    if "space:" not in text and "extends:" not in text:
        text = f"extends: base.yaml\n{text}"
    (folder / "example.yaml").write_text(text)
    load_spec(folder / "example.yaml")


@pytest.mark.parametrize("cell", CELLS)
def test_a_distribution_of_the_table_is_valid(folder, cell) -> None:
    """Each distribution in the table is taken by a field of its kind."""
    whole = "int" in cell or "choice" in cell
    name = "generator.width" if whole else "generator.slope"
    if "log:" in cell:
        name = "optim.lr_generator"
    if "int_log:" in cell:
        name = "generator.width"
    load_spec(folder / "base.yaml", [f"space.{name}={cell}"])


@pytest.mark.parametrize(
    ("key", "kinds"), [("sampler", SAMPLERS), ("early_stopping", EARLY_STOPPING)]
)
def test_a_table_of_the_docs_names_all_there_is(folder, key, kinds) -> None:
    """A row for each, in the registry's order, with options that a file can hold."""
    table = DOCS.partition(f"| `{key}` |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| `(\{(\w+): .*?\}\})` \|", table, re.MULTILINE)
    assert [name for _, name in cells] == list(kinds)
    options = ["space.critic.steps=null", "space.loss.lambda_angle={float: [0, 4], step: 0.125}"]
    for cell, name in cells:
        spec = load_spec(folder / "base.yaml", [*options, f"search.{key}={cell}"])
        assert getattr(spec.search, key).kind == name


def test_the_docs_name_all_trainers() -> None:
    """The guide says what each is for."""
    assert all(f"`{name}`" in DOCS for name in TRAINERS)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_docs_is_valid(folder, option) -> None:
    """Each override shown can be given, quotes of the shell taken off."""
    key, _, value = option.partition("=")
    value = value.strip("'").replace("/data/cmu", str(folder / "poses" / "cmu"))
    load_spec(folder / "base.yaml", [f"{key}={value}"])
