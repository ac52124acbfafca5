"""The command line, as users meet it."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.search_file.early_stopping import RULES
from synrep_search.search_file.samplers import SAMPLERS
from synrep_search.trainers import TRAINERS

if TYPE_CHECKING:
    from click.testing import Result

SCRIPTED = """\
name: small
trainer: scripted
train: {iterations: 4, reports: 2}
space: {x: {float: [0, 1]}}
search: {minimize: loss, trials: 3}
"""
MODEL = """\
name: model
train:
  iterations: 20
  reports: 2
  batch_size: 16
  generator.width: 16
  reprojection_network.width: 16
  critic.branch_width: 8
  evaluation.views: 64
space:
  loss.lambda_angle: {log: [0.1, 10]}
  kcs.weighting: {one_of: {band: {reach: {int: [1, 7]}}, uniform: {}}}
search: {minimize: validation/mpjpe_mm, trials: 2}
tracking: {keep_best: 1}
"""
BAD = {
    "unknown key": ("space: {x: {float: [0, 1]}}\ntrian: {}\n", ["bad.yaml:2", "mean train?"]),
    "wrong type": ("space: {x: {float: [0, 1]}}\ntrain: {iterations: a}\n", ["bad.yaml:2", "a"]),
    "empty range": ("space: {x: {float: [1, 0]}}\n", ["bad.yaml:1", "low must be less"]),
    "no field": ("space: {optim.rate: {float: [0, 1]}}\n", ["bad.yaml:1", "is not a field"]),
    "broken YAML": ("space: {x: [\n", ["bad.yaml:2", "not valid YAML"]),
    "no poses": (
        "data: {poses: nowhere}\nspace: {loss.lambda_angle: {float: [0, 1]}}\n",
        ["bad.yaml:1", "no folder", "synrep data"],
    ),
    "no database": (
        "ledger: postgresql://127.0.0.1:1/none\nspace: {critic.steps: {int: [1, 2]}}\n",
        ["can't be opened", "refused"],
    ),
    "password": (
        "ledger: postgresql://me:hunter2@127.0.0.1/none\nspace: {critic.steps: {int: [1, 2]}}\n",
        ["bad.yaml:1", "PGPASSWORD"],
    ),
}


def launch(run, text: str, *words: str) -> Result:
    """Write a search file and launch it without Ray."""
    Path("file.yaml").write_text(text)
    result = run("launch", "file.yaml", "--local", "--yes", *words)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused(run, case) -> None:
    """With one message that names place, rule and remedy; nothing is left behind."""
    text, wanted = BAD[case]
    if "{x:" in text:
        text += "trainer: scripted\nsearch: {minimize: loss}\n" if "[\n" not in text else ""
    Path("bad.yaml").write_text(text)
    result = run("launch", "bad.yaml", "--yes")
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert [part for part in wanted if part not in result.output] == []
    assert "hunter2" not in result.output
    assert [path.name for path in Path().iterdir()] == ["bad.yaml"]


def test_all_mistakes_of_a_file_come_at_once(run) -> None:
    """Each on a line of its own."""
    text = "trian: {}\nspace: {optim.rate: {float: [0, 1]}, critic.steps: {int: [2, 1]}}\n"
    Path("bad.yaml").write_text(text)
    result = run("launch", "bad.yaml", "--yes")
    assert "3 problems" in result.output
    assert result.output.count("\n  bad.yaml:") == 3


def store(folder: Path, joints: np.ndarray) -> None:
    """Write a pose store whose checksums fit, whatever its joints."""
    folder.mkdir()
    checksums = {}
    for split in ("train", "validation", "test"):
        count, width = joints.shape
        table = pa.table(
            {
                "subject": [split] * count,
                "action": ["stand"] * count,
                "clip": [split] * count,
                "frame": pa.array(range(count), pa.int32()),
                "fps": pa.array([25.0] * count, pa.float32()),
                "joints_world_mm": pa.FixedSizeListArray.from_arrays(joints.ravel(), width),
            }
        )
        pq.write_table(table, folder / f"{split}.parquet")
        checksums[split] = hashlib.sha256((folder / f"{split}.parquet").read_bytes()).hexdigest()
    header = {
        "format": "synrep-poses/1",
        "name": "bad",
        "skeleton": "human36m-17",
        "units": "mm",
        "frame": "world",
        "up": "+z",
        "fps": 25.0,
        "columns": {
            name: str(kind)
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
        },
        "splits": dict.fromkeys(checksums, len(joints)),
        "sha256": checksums,
        "licence": "CC0-1.0",
    }
    (folder / "store.json").write_text(json.dumps(header))


@pytest.mark.parametrize(
    ("joints", "wanted"),
    [
        (np.full((4, 51), np.nan, np.float32), "joint Hip is not a number"),
        (np.ones((4, 48), np.float32), "16 joints a row"),
    ],
    ids=["NaN joints", "wrong joint count"],
)
def test_bad_poses_are_refused(run, joints, wanted) -> None:
    """Before anything is written, with the file that holds them."""
    store(Path("poses"), joints)
    Path("file.yaml").write_text(MODEL)
    result = run("launch", "file.yaml", "--yes", "-o", "data.poses=poses")
    assert result.exit_code == 2
    assert "train.parquet" in result.output
    assert wanted in result.output
    assert not Path("searches").exists()


def test_a_search_has_one_name(run) -> None:
    """Launching it again is refused and names what to do; nothing of it is changed."""
    launch(run, SCRIPTED)
    before = run("status", "small", "--json").output
    result = run("launch", "file.yaml", "--local", "--yes")
    assert result.exit_code == 2
    assert "resume small" in result.output
    assert "--name" in result.output
    assert run("status", "small", "--json").output == before
    launch(run, SCRIPTED, "--name", "other")
    assert [one["name"] for one in json.loads(run("list", "--json").output)] == ["other", "small"]


def test_status_is_a_contract(run) -> None:
    """The keys and the kinds of their values."""
    launch(run, SCRIPTED)
    found = json.loads(run("status", "small", "--json").output)
    assert list(found) == [
        "name", "state", "target", "trials", "best", "metric", "attempts", "tracking_uri",
        "experiment_id", "parent_run_id",
    ]  # fmt: skip
    assert (found["name"], found["state"], found["target"]) == ("small", "finished", 3)
    assert found["trials"] == {
        "waiting": 0,
        "running": 0,
        "completed": 3,
        "stopped_early": 0,
        "diverged": 0,
        "failed": 0,
    }
    assert sorted(found["best"]) == ["number", "params", "value"]
    assert found["metric"] == "loss"
    assert found["attempts"] == 3
    assert found["parent_run_id"]


def test_a_finished_search_takes_more_trials(run) -> None:
    """Numbers continue and nothing is run again."""
    launch(run, SCRIPTED)
    result = run("resume", "small", "--trials", "5", "--local")
    assert result.exit_code == 0
    found = json.loads(run("status", "small", "--json").output)
    assert (found["trials"]["completed"], found["attempts"]) == (5, 5)


def test_a_changed_file_is_shown_and_refused(run) -> None:
    """Unless the changes are accepted."""
    launch(run, SCRIPTED)
    Path("file.yaml").write_text(SCRIPTED.replace("trials: 3", "trials: 4"))
    result = run("resume", "small", "--file", "file.yaml", "--local")
    assert result.exit_code == 2
    assert "search.trials" in result.output
    assert "--accept-changes" in result.output
    result = run("resume", "small", "--file", "file.yaml", "--accept-changes", "--local")
    assert result.exit_code == 0


def test_options_of_a_changed_file_need_the_file(run) -> None:
    """Else they would be lost without a word."""
    launch(run, SCRIPTED)
    for words in (("-o", "search.trials=9"), ("--accept-changes",)):
        result = run("resume", "small", "--local", *words)
        assert result.exit_code == 2
        assert "go with --file" in result.output
    found = json.loads(run("status", "small", "--json").output)
    assert (found["target"], found["attempts"]) == (3, 3)


def test_a_search_without_any_result_is_a_failure(run) -> None:
    """Its exit code says so, and so does its state."""
    Path("file.yaml").write_text(SCRIPTED)
    result = run("launch", "file.yaml", "--local", "--yes", "-o", "train.nan_at=1")
    assert result.exit_code == 1
    found = json.loads(run("status", "small", "--json").output)
    assert (found["state"], found["best"]) == ("failed", None)
    assert found["trials"]["diverged"] == 3
    result = run("export", "small", "--to", "out")
    assert result.exit_code == 2
    assert "nothing to export" in result.output


def test_what_is_not_there_is_told(run) -> None:
    """Unknown searches and files; a search that nobody runs can't be stopped."""
    launch(run, SCRIPTED)
    assert "there are: small" in run("status", "smal").output
    assert run("launch", "nofile.yaml").exit_code == 2
    assert "is not running" in run("stop", "small").output
    assert run("list", "--home", "elsewhere").output.startswith("no searches in")


def test_what_to_type_after_a_stop_has_the_home(run) -> None:
    """A search in a home of its own is found again by what is told."""
    launch(run, SCRIPTED, "--home", "mine")
    ledger = Ledger.open(f"sqlite:///{Path('mine/small/ledger.sqlite').absolute()}", "small")
    ledger.lease.acquire()
    result = run("stop", "small", "--home", "mine", "--no-wait")
    assert result.output == "search 'small' was asked to stop\n"
    words = (sys.executable, "-m", "synrep_search.cli", "stop", "small", "--home", "mine")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == result.output
        ledger.lease.release()
        output = waiting.stdout.read()
    ledger.close()
    assert f"synrep-search resume small --home {Path('mine').absolute()}\n" in output


def test_a_plan_shows_what_would_run(run) -> None:
    """Without making anything."""
    Path("file.yaml").write_text(SCRIPTED + "resources: {cpu: 2}\n")
    output = run("plan", "file.yaml", "-o", "search.early_stopping={asha: {grace: 0.5}}").output
    assert "minimize loss" in output
    assert "3, 0 of them given" in output
    assert "0.0 .. 1.0" in output
    assert "another" in run("plan", "file.yaml", "--name", "another").output
    assert [path.name for path in Path().iterdir()] == ["file.yaml"]


def test_help_names_what_a_file_can_say(run) -> None:
    """All samplers, rules of early stopping and trainers."""
    lines = run("plan", "--help").output.splitlines()
    listed = [line.split()[0] for line in lines if re.match(r"  \w+  ", line)]
    for kinds in (SAMPLERS, RULES, TRAINERS):
        assert [word for word in listed if word in kinds] == list(kinds)


def test_a_grid_has_so_many_points(run) -> None:
    """`plan` counts them; neither a file nor `resume` gets more trials than there are."""
    text = SCRIPTED.replace("[0, 1]", "[0, 1], step: 0.5").replace("loss,", "loss, sampler: GRID,")
    Path("file.yaml").write_text(text.replace("GRID", "{grid: {}}"))
    assert "grid of 3 points, all of them tried" in run("plan", "file.yaml").output
    few = run("plan", "file.yaml", "-o", "search.trials=4")
    assert few.exit_code == 2
    assert "search.trials: the grid has 3 points, too few for 4 trials" in few.output
    assert run("launch", "file.yaml", "--local", "--yes").exit_code == 0
    more = run("resume", "small", "--trials", "4", "--local")
    assert more.exit_code == 2
    assert "search.trials: the grid has 3 points, too few for 4 trials" in more.output


def test_the_best_generator_is_exported(run) -> None:
    """By the search itself, and by hand, with the numbers that describe it."""
    result = launch(run, MODEL)
    assert "best trials of model" in result.output
    assert "peak memory: driver" in result.output
    assert "synrep-search ui model" in result.output
    assert run("export", "model", "--to", "out").exit_code == 0
    files = {"generator.safetensors", "config.json", "metrics.json", "README.md"}
    files |= {"model.onnx", "model.torchscript.pt"}
    for folder in (Path("out"), Path("searches/model/best")):
        assert {path.name for path in folder.iterdir()} == files
    best = json.loads(run("status", "model", "--json").output)["best"]
    metrics = json.loads(Path("out/metrics.json").read_text())["metrics"]
    assert metrics["trial"] == best["number"]
    assert metrics["validation/mpjpe_mm"] == best["value"]
    again = run("export", "model", "--to", "out")
    assert again.exit_code == 2
    assert "exists already" in again.output
    assert run("export", "model", "--trial", "7", "--to", "more").exit_code == 2
    assert not Path("more").exists()
