"""Without validation subjects nothing is chosen: searches are refused, tables say what they are."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from synrep_search.cli import main as search

from synrep.cli.main import main
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    "iterations=8", "reports=2", "batch_size=16", "generator.width=16",
    "reprojection_network.width=16", "critic.branch_width=8", "data.cameras=1",
    "evaluation.views=64", "data.test_stride=5",
)  # fmt: skip


@pytest.fixture
def poses(tmp_path) -> Path:
    """A store of training and test subjects."""
    splits = generate(0, 1.0)
    del splits["validation"]
    write_store(tmp_path / "poses", description(), splits)
    return tmp_path / "poses"


def test_a_search_is_refused(poses, tmp_path) -> None:
    """It would choose by what it was trained on; nothing is made."""
    file = tmp_path / "space.yaml"
    file.write_text(
        f"name: small\ndata: {{poses: {poses}}}\ntrain: {{iterations: 4, reports: 2}}\n"
        "space: {loss.lambda_angle: {log: [0.1, 10]}}\nsearch: {trials: 2}\n"
    )
    words = ["launch", str(file), "--local", "--home", str(tmp_path / "searches")]
    result = CliRunner().invoke(search, words)
    assert result.exit_code == 2
    assert "no split 'validation'" in result.output
    assert "a search needs validation subjects" in result.output
    assert not (tmp_path / "searches").exists()


def test_errors_on_training_poses_choose_nothing(poses, tmp_path) -> None:
    """As a goal they need a search that chooses nothing, and poses without validation subjects."""
    file, words = tmp_path / "space.yaml", ["--local", "--home", str(tmp_path / "searches")]
    text = (
        "name: small\ntrain: {iterations: 4, reports: 2}\n"
        "space: {loss.lambda_angle: {log: [0.1, 10]}}\n"
        "search: {trials: 2, minimize: training/mpjpe_mm}\n"
    )
    for data, rule in (
        (poses, "can't select by training/mpjpe_mm"),
        ("synthetic", "training/mpjpe_mm is not reported"),
    ):
        file.write_text(text + f"data: {{poses: {data}}}\n")
        result = CliRunner().invoke(search, ["launch", str(file), *words])
        assert result.exit_code == 2
        assert rule in result.output
        assert not (tmp_path / "searches").exists()


@pytest.mark.parametrize("table", ["table1", "table5"])
def test_tables_are_made_of_last_generators(table, poses, tmp_path) -> None:
    """No choice is made: the table says so, and the numbers are those of the last generators."""
    out = tmp_path / "out"
    words = ["reproduce", table, "--poses", str(poses), "--out", str(out), "--seeds", "1"]
    settings = [word for option in SMALL for word in ("-o", option)]
    result = CliRunner().invoke(main, [*words, "--local", *settings])
    assert result.exit_code == 0, result.output
    assert "each generator is the last of its training" in result.output
    assert "best on validation subjects" not in result.output
    found = [read_checkpoint(file) for file in sorted(out.rglob("*.safetensors"))]
    assert found
    assert {state.meta["best"] for state in found} == {None}
    again = CliRunner().invoke(main, [*words, "--local", *settings])
    assert again.exit_code == 0, again.output
    assert "trial" not in again.output.split("| row |")[0], "nothing was trained again"


def test_a_store_with_exchanged_subjects_tests_no_model(poses, tmp_path) -> None:
    """What was trained on one set of people is not scored on them after the store was remade."""
    out = tmp_path / "out"
    words = ["reproduce", "table1", "--poses", str(poses), "--out", str(out), "--seeds", "1"]
    words += ["--local", *(word for option in SMALL for word in ("-o", option))]
    assert CliRunner().invoke(main, words).exit_code == 0
    splits = generate(0, 1.0)
    shutil.rmtree(poses)
    about = description()
    write_store(poses, about, {"train": splits["test"], "test": splits["train"]})
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "a model of this table was trained or selected on actor01" in result.output
