"""`synrep reproduce` on small trainings: whole, interrupted, and with mistakes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from synrep_search.durability.ledger import Ledger
from synrep_search.errors import LedgerError
from synrep_search.paths import SearchPaths, trial_folder

from synrep.cli.main import main
from synrep.config import DataConfig
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.datasets.views import load_views
from synrep.inference.lifter import Lifter

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    "iterations=40", "reports=4", "batch_size=16", "generator.width=16",
    "reprojection_network.width=16", "critic.branch_width=8", "data.cameras=2",
    "evaluation.views=64", "data.test_stride=5",
)  # fmt: skip


@pytest.fixture(scope="module")
def poses(tmp_path_factory) -> Path:
    """A small store of built-in motion."""
    folder: Path = tmp_path_factory.mktemp("stores") / "poses"
    write_store(folder, description(), generate(0, 1.0))
    return folder


def words(table: str, poses: Path, out: Path, seeds: int = 2) -> list[str]:
    """The command's words."""
    settings = [word for option in SMALL for word in ("-o", option)]
    place = ["--poses", str(poses), "--out", str(out), "--local", "--seeds", str(seeds)]
    return ["reproduce", table, *place, *settings]


def ledger(out: Path, name: str = "ablation-poses") -> Ledger:
    """Of the table's search."""
    return Ledger.open(SearchPaths(out, name).ledger_url(), name)


def test_ablation(poses, tmp_path) -> None:
    """Each cell is trained once a seed, and the numbers are those of its generators."""
    out = tmp_path / "out"
    done = CliRunner().invoke(main, words("table5", poses, out))
    assert done.exit_code == 0, done.output
    assert "Syn + wKCS" in done.output
    assert "omitted without --mpi" in done.output
    lines = list(csv.DictReader((out / "table5.csv").read_text().splitlines()))
    averages = {line["row"]: line for line in lines if line["action"] == "mean of actions"}
    assert list(averages) == ["Sep + KCS", "Sep + wKCS", "Syn + KCS", "Syn + wKCS"]
    opened = ledger(out)
    values = []
    for trial in opened.index.trials():
        wanted = {"kcs.weighting": {"family": "tanh"}, "reprojection": "sync"}
        if trial.record.values == wanted:
            file = opened.checkpoints(trial.number)[0].file
            folder = out / "ablation-poses" / trial_folder(trial.number, trial.record.key)
            values.append(mean_of_actions(Lifter.load(folder / file), poses))
    opened.close()
    assert len(values) == 2
    assert float(averages["Syn + wKCS"]["ours"]) == pytest.approx(sum(values) / 2, abs=2e-3)
    again = CliRunner().invoke(main, words("table5", poses, out))
    assert again.exit_code == 0, again.output
    assert "trial" not in again.output.split("| row |")[0], "nothing was trained again"


def mean_of_actions(model: Lifter, poses: Path) -> float:
    """P1 of a generator, from the definition."""
    data = model.config.data.model_copy(update={"poses": str(poses)})
    views = load_views(data, "test")
    with torch.no_grad():
        made = model.network().lift(views.keypoints, views.ray)
    distance = (made - views.poses).norm(dim=-1).mean(-1) * views.scale_mm
    actions = [distance[views.action == index].mean() for index in range(len(views.actions))]
    return float(torch.stack([value for value in actions if value.isfinite()]).mean())


@pytest.mark.timeout(300)
def test_killed_and_run_again(poses, tmp_path) -> None:
    """No finished cell is trained twice, whenever the program is killed."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "synrep.cli", *words("table5", poses, out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        patience = time.monotonic() + 120
        while finished(out) < 3 and time.monotonic() < patience:
            assert running.poll() is None, running.stdout and running.stdout.read()
            time.sleep(0.02)
        os.kill(running.pid, signal.SIGKILL)
    before = finished(out)
    assert 3 <= before < 8
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    opened = ledger(out)
    attempts = [trial.attempt for trial in opened.index.trials()]
    opened.close()
    assert len(attempts) == 8
    assert attempts[:before] == [1] * before
    assert (out / "table5.md").exists()


def finished(out: Path) -> int:
    """Trials that have ended for good."""
    try:
        opened = ledger(out)
    except LedgerError:  # the search is being made
        return 0
    count = sum(trial.ended for trial in opened.index.trials())
    opened.close()
    return count


def test_mistakes(poses, tmp_path) -> None:
    """A table without its poses, a wrong option, and other options for the same folder."""
    out = tmp_path / "out"
    call = CliRunner().invoke
    missing = call(main, words("table4", poses, out))
    assert missing.exit_code == 2
    assert "no row can be computed from the given poses" in missing.output
    assert "--mpi" in missing.output
    wrong = call(main, [*words("table5", poses, out), "-o", "iteration=5"])
    assert wrong.exit_code == 2
    assert "iteration" in wrong.output
    (tmp_path / "people.npz").write_bytes(b"")
    for what in ("figure5", "table5"):
        given = [*words(what, poses, out), "--keypoints", str(tmp_path / "people.npz")]
        idle = call(main, given)
        assert idle.exit_code == 2
        assert f"--keypoints: not used by {what} (omit it" in idle.output
    assert not out.exists()
    assert call(main, words("table1", poses, out, seeds=1)).exit_code == 0
    other = call(main, [*words("table2", poses, out, seeds=1), "-o", "iterations=50"])
    assert other.exit_code == 2
    assert "was created with other options" in other.output
    shared = call(main, words("table2", poses, out, seeds=1))
    assert shared.exit_code == 0, shared.output
    assert "trial 0" not in shared.output, "tables 1 and 2 share their trainings"


def test_noise_is_added_to_the_test_too(poses, tmp_path) -> None:
    """The rows of table 3 differ in the 2D poses of their test, as they say."""
    done = CliRunner().invoke(main, words("table3", poses, tmp_path / "out", seeds=1))
    assert done.exit_code == 0, done.output
    lines = csv.DictReader((tmp_path / "out" / "table3.csv").read_text().splitlines())
    ours = {
        line["row"]: float(line["ours"]) for line in lines if line["action"] == "mean of actions"
    }
    assert len(ours) == 13
    for sigma in (10, 15, 20):
        assert ours[f"GT + N(0, {sigma})"] > ours[f"GT + N(0, {sigma}), tested on GT"]
    assert DataConfig().noise_px == 0


def test_figures(poses, tmp_path) -> None:
    """Pictures of the test subjects, and of people of whom only 2D poses are known."""
    out = tmp_path / "out"
    first = CliRunner().invoke(main, words("figure5", poses, out, seeds=1))
    assert first.exit_code == 0, first.output
    views = load_views(DataConfig(poses=str(poses), cameras=2), "test")
    points = 500 + 80 * views.keypoints[:6].numpy()
    points[1, 3] = np.nan
    np.savez(tmp_path / "people.npz", keypoints=points, skeleton="human36m-17")
    missing = CliRunner().invoke(main, words("figure6", poses, out, seeds=1))
    assert missing.exit_code == 2
    assert "give --keypoints" in missing.output
    given = [*words("figure6", poses, out, seeds=1), "--keypoints", str(tmp_path / "people.npz")]
    second = CliRunner().invoke(main, given)
    assert second.exit_code == 0, second.output
    assert "trial 0" not in second.output, "both figures show the same training"
    for name, panels in (("figure5", 5), ("figure6", 3)):
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width == pytest.approx(370 * panels, abs=2)
            assert len(np.unique(np.asarray(picture.convert("L")))) > 20


def test_benchmark(poses, tmp_path) -> None:
    """References, baselines and the model's variants, each by its own trainer, in one table."""
    out = tmp_path / "out"
    done = CliRunner().invoke(main, words("benchmark", poses, out, seeds=1))
    assert done.exit_code == 0, done.output
    lines = csv.DictReader((out / "benchmark.csv").read_text().splitlines())
    ours = {
        (line["row"], line["measure"]): float(line["ours"])
        for line in lines
        if line["action"] == "mean of actions"
    }
    assert len(ours) == 18
    lines = csv.DictReader((out / "benchmark.csv").read_text().splitlines())
    seconds = {line["row"]: line["seconds a training"] for line in lines}
    opened = ledger(out, "benchmark-poses-kudo")
    (attempt,) = opened.index.trials()[0].record.attempts
    opened.close()
    assert 0 < attempt.ended - attempt.started < 120
    assert float(seconds["Kudo-like"]) == pytest.approx(attempt.ended - attempt.started, abs=1e-3)
    assert seconds["Mean depth"] == ""
    assert "seconds a training" in done.output
    assert ours["Perfect depth", "mpjpe_mm"] < 30 < ours["Ours", "mpjpe_mm"]
    assert ours["Ours, sized by bone length", "mpjpe_mm"] != ours["Ours", "mpjpe_mm"]
    names = {path.name for path in out.iterdir() if path.is_dir()}
    trainers = ("", "-supervised", "-repnet", "-kudo")
    assert {f"benchmark-poses{trainer}" for trainer in trainers} <= names
