"""`synrep`: train, stop, resume, evaluate, export, lift and draw, as a user types it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from synrep.cli.main import main
from synrep.skeleton import HUMAN36M_17
from synrep.training.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

SMALL = [
    "-o", "iterations=12", "-o", "reports=3", "-o", "batch_size=32", "-o", "generator.width=16",
    "-o", "reprojection_network.width=16", "-o", "critic.branch_width=8",
    "-o", "evaluation.views=100",
]  # fmt: skip


def synrep(*words: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small training."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    result = synrep("train", "--out", folder, "--threads", 1, *SMALL)
    assert result.exit_code == 0, result.output
    return folder


def test_train_writes_log_and_checkpoints(run_folder: Path) -> None:
    """One log line a report; the two newest checkpoints; nothing temporary."""
    log = [json.loads(line) for line in (run_folder / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in log] == [4, 8, 12]
    assert sorted(path.name[:8] for path in (run_folder / "checkpoints").iterdir()) == [
        "00000008",
        "00000012",
    ]
    assert {path.name for path in run_folder.iterdir()} == {
        "config.json",
        "log.jsonl",
        "checkpoints",
    }


def test_existing_training_is_not_overwritten(run_folder: Path) -> None:
    """The message says what to do, and nothing changes."""
    before = (run_folder / "log.jsonl").read_text()
    result = synrep("train", "--out", run_folder, *SMALL)
    assert result.exit_code == 2
    assert "already contains a training (resume it" in result.output
    assert (run_folder / "log.jsonl").read_text() == before


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """A training needs a new or an empty folder."""
    (tmp_path / "notes.txt").write_text("mine")
    result = synrep("train", "--out", tmp_path, *SMALL)
    assert result.exit_code == 2
    assert "is not empty (name a new folder)" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_damaged_run_folder_is_one_clear_error(run_folder: Path, tmp_path: Path) -> None:
    """The file that can't be read is named."""
    for name, content, message in (
        ("config.json", '{"seed": "x"}', "config.json: seed: Input should be a valid integer"),
        ("log.jsonl", "{", "log.jsonl: not a log"),
    ):
        copy = tmp_path / name
        shutil.copytree(run_folder, copy)
        (copy / name).write_text(content)
        result = synrep("train", "--out", copy, "--resume", "--threads", 1)
        assert result.exit_code == 2
        assert message in result.output


def test_resume_makes_a_training_longer(tmp_path: Path) -> None:
    """It ends as one of the new length, whose number goes into the folder; nothing else may."""
    out, whole, again = tmp_path / "short", tmp_path / "whole", ("--resume", "--threads", 1)
    assert synrep("train", "--out", out, "--threads", 1, *SMALL).exit_code == 0
    result = synrep("train", "--out", out, *again, "-o", "iterations=24")
    assert result.exit_code == 0, result.output
    made = synrep("train", "--out", whole, "--threads", 1, *SMALL, "-o", "iterations=24")
    assert made.exit_code == 0, made.output
    found, expected = (
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (out, whole)
    )
    assert [row["iteration"] for row in found] == [4, 8, 12, 16, 24]
    assert found[-1] == expected[-1]
    assert (out / "config.json").read_text() == (whole / "config.json").read_text()
    for options, message in (
        (["-o", "iterations=20"], "iterations: 20 is less than the 24 already done"),
        (["-o", "iterations=48", "-o", "seed=1"], "only -o iterations=N fits"),
        (["-o", "iterations=x"], "iterations: Input should be a valid integer"),
    ):
        refused = synrep("train", "--out", out, *again, *options)
        assert refused.exit_code == 2
        assert message in refused.output
    assert (out / "config.json").read_text() == (whole / "config.json").read_text()


def test_a_length_that_is_reached_is_kept(tmp_path: Path) -> None:
    """A training that was stopped on its way ends there, also for the next plain --resume."""
    assert synrep("train", "--out", tmp_path, "--threads", 1, *SMALL).exit_code == 0
    config = RunFolder(tmp_path).config().model_copy(update={"iterations": 24})
    (tmp_path / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
    log = (tmp_path / "log.jsonl").read_text()
    for options in (["-o", "iterations=12"], []):
        result = synrep("train", "--out", tmp_path, "--resume", "--threads", 1, *options)
        assert result.exit_code == 0, result.output
        assert RunFolder(tmp_path).config().iterations == 12
    assert (tmp_path / "log.jsonl").read_text() == log


def test_a_longer_training_decays_over_its_new_length(tmp_path: Path) -> None:
    """The learning rate of an iteration is that of the new configuration, larger than it was."""
    decay = ("-o", "optim.decay=linear", "-o", "optim.decay_to=0.1")
    assert synrep("train", "--out", tmp_path, "--threads", 1, *SMALL, *decay).exit_code == 0
    training = RunFolder(tmp_path).resume(device="cpu", threads=1, iterations=24)
    assert training.iteration == 12
    training.advance()
    assert training.iteration == 16
    rate = training.gan.optimisers["generator"].param_groups[0]["lr"]
    assert rate == pytest.approx(8e-5 * (1 - 0.9 * 15 / 24))


def test_divergence_is_no_mistake_of_the_user(tmp_path: Path) -> None:
    """Its exit code is 1, with one message."""
    options = (*SMALL, "-o", "guard.critic_limit=1e-9")
    result = synrep("train", "--out", tmp_path / "run", "--threads", 1, *options)
    assert result.exit_code == 1
    assert "Error: diverged at iteration 4: the critic exploded" in result.output
    assert not (tmp_path / "run").exists()


def test_reports_say_what_they_are_measured_with(tmp_path: Path) -> None:
    """Scale, alignment, joints, views and seed stand above the lines of a training."""
    result = synrep("train", "--out", tmp_path / "run", "--threads", 1, *SMALL, "-o", "reports=1")
    first = result.output.splitlines()[0]
    for word in ("GT-scaled", "similarity", "human36m-17", "100 views", "validation", "seed 0"):
        assert word in first
    assert "N-MPJPE" in result.output


def test_resume_uses_the_checkpoint_before_a_damaged_one(run_folder: Path) -> None:
    """A truncated newest checkpoint costs one report interval, and the log ends the same."""
    before = (run_folder / "log.jsonl").read_text()
    newest = max((run_folder / "checkpoints").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    result = synrep("train", "--out", run_folder, "--resume", "--threads", 1)
    assert result.exit_code == 0, result.output
    assert (run_folder / "log.jsonl").read_text() == before


def test_evaluate_prints_actions_averages_and_references(run_folder: Path) -> None:
    """The table names scale, alignment, joints, views and seed beside the millimetres."""
    result = synrep("evaluate", run_folder, "--references")
    assert result.exit_code == 0, result.output
    for word in ("walk", "mean of actions", "mean depth", "perfect depth", "supervised"):
        assert word in result.output
    for word in ("GT-scaled", "similarity", "human36m-17", "test subjects", "seed 0", "P2 rigid"):
        assert word in result.output.replace("\n", " ")


def test_evaluate_json_orders_the_references(run_folder: Path) -> None:
    """Perfect depth is better than mean depth on any data."""
    result = synrep("evaluate", run_folder, "--references", "--json", "--split", "validation")
    found = json.loads(result.stdout)
    error = {
        name: part["errors"]["mean of frames"]["mpjpe_mm"]
        for name, part in found.items()
        if isinstance(part, dict) and "errors" in part
    }
    assert error["perfect depth"] < error["mean depth"]
    assert found["split"] == "validation"


def test_export_and_lift(run_folder: Path, tmp_path: Path) -> None:
    """An exported generator lifts keypoints from a file."""
    exported = tmp_path / "exported"
    assert synrep("export", run_folder, "--to", exported).exit_code == 0
    keypoints = tmp_path / "keypoints.json"
    frame = [[100 + 7 * joint, 200 + 11 * (joint % 5)] for joint in range(17)]
    keypoints.write_text(json.dumps([frame, frame]))
    out = tmp_path / "poses.json"
    result = synrep("lift", exported, keypoints, "--skeleton", "human36m-17", "--out", out)
    assert result.exit_code == 0, result.output
    assert "2 poses" in result.output
    assert out.exists()


def test_lift_leaves_out_frames_and_says_so(run_folder: Path, tmp_path: Path) -> None:
    """A table with a gap is refused with frame and joint, or lifted without that frame."""
    names = (f"{joint}_{axis}" for joint in HUMAN36M_17.joints for axis in "xy")
    header = ",".join(["frame", *names])
    cells = [str(100 + 7 * n if n % 2 else 300 + 11 * (n % 5)) for n in range(34)]
    rows = [[str(number), *cells] for number in (5, 6, 7)]
    rows[1][-1] = ""
    table = tmp_path / "keypoints.csv"
    table.write_text("\n".join([header, *(",".join(row) for row in rows)]))
    out = tmp_path / "poses.csv"
    refused = synrep("lift", run_folder, table, "--out", out)
    assert refused.exit_code == 2
    assert "missing joints: frame 6: RWrist (fill them in, or leave" in refused.output
    assert not out.exists()
    result = synrep("lift", run_folder, table, "--out", out, "--skip-missing")
    assert result.exit_code == 0, result.output
    assert "left out frame 6: no RWrist" in result.stderr
    assert [line.split(",")[0] for line in out.read_text().splitlines()] == ["frame", "5", "7"]


def test_draw_models_and_lifted_files(run_folder: Path, tmp_path: Path) -> None:
    """A clip of the test subjects beside its truth, and poses that were lifted, in any kind."""
    clip = tmp_path / "clip.gif"
    result = synrep("draw", run_folder, "--action", "walk", "--frames", 3, "--out", clip)
    assert result.exit_code == 0, result.output
    assert f"{clip}: 3 frames; " in result.output
    assert "walk), camera 0; scaled by each frame's true xy-radius" in result.output
    with Image.open(clip) as picture:
        assert getattr(picture, "n_frames", 1) == 3
    keypoints = tmp_path / "keypoints.json"
    keypoints.write_text(json.dumps([[[9 + n * 7 % 90, n * 11 % 70] for n in range(17)]] * 2))
    poses = tmp_path / "poses.npz"
    lifted = synrep("lift", run_folder, keypoints, "--skeleton", "h36m", "--out", poses)
    assert lifted.exit_code == 0, lifted.output
    for name in ("poses.png", "poses.html"):
        result = synrep("draw", poses, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert "2 frames; scale: the bones add up to" in result.output
        assert (tmp_path / name).stat().st_size > 10_000


def test_draw_takes_no_clip_of_lifted_poses(tmp_path: Path) -> None:
    """Options that choose a clip of a store are refused by name; nothing is drawn."""
    poses, out = tmp_path / "poses.npz", tmp_path / "poses.png"
    poses.write_bytes(b"")
    result = synrep("draw", poses, "--out", out, "--action", "walk", "--camera", 0, "--start", 1)
    assert result.exit_code == 2
    assert "--action, --camera: for models alone" in result.output.replace("\n", " ")
    assert "--start" not in result.output.splitlines()[-1]
    for name in ("split", "poses", "subject"):
        result = synrep("draw", poses, "--out", out, f"--{name}", "test")
        assert result.exit_code == 2
        assert f"--{name}: for models alone" in result.output
    assert not out.exists()


def test_draw_refuses_what_it_cannot_show(run_folder: Path, tmp_path: Path) -> None:
    """One message; the kind of file is looked at first."""
    for options, message in (
        (["--out", tmp_path / "a.mp4"], "use one of .png, .gif, .html"),
        (["--out", tmp_path / "a.gif", "--action", "swim"], "there is no 'swim'"),
        (["--out", tmp_path / "a.gif", "--start", "99999"], "--start: no frame 99999"),
    ):
        result = synrep("draw", run_folder, *options)
        assert result.exit_code == 2
        assert message in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "generator.widht=3"], "unknown field, did you mean generator.width?"),
        (["-o", "lambda_angle=3"], "unknown field, did you mean loss.lambda_angle?"),
        (["-o", "iterations=many"], "iterations: Input should be a valid integer, got 'many'"),
        (["-o", "seed=1", "-o", "seed.value=2"], "seed.value: seed is set to 1"),
        (["-o", "data.camera_seed=-1"], "data.camera_seed"),
        (["-o", "data.noise_seed=-1"], "data.noise_seed"),
        (["-o", "batch_size=1000000"], "batch_size: 1000000 is more than"),
        (["--device", "toaster"], "device 'toaster'"),
        (["-o", "iterations"], "has no '='"),
        (["-o", "loss.lambda_angle=-1"], "loss.lambda_angle"),
        (["-o", "batch_size=1.5", "-o", "seed=-1"], "seed"),
        (["-o", "data.poses=/nowhere"], "/nowhere"),
    ],
)
def test_bad_options_leave_nothing_behind(options: list[str], message: str, tmp_path: Path) -> None:
    """One message, exit code 2, no folder."""
    result = synrep("train", "--out", tmp_path / "run", *SMALL, *options)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not JSON"), ("[1]", "no JSON object"), ('{"sede": 1}', "seed?")]
)
def test_bad_configuration_file(content: str, message: str, tmp_path: Path) -> None:
    """The file is named, with or without options beside it."""
    file = tmp_path / "config.json"
    file.write_text(content)
    for options in ([], ["-o", "iterations=2"]):
        result = synrep("train", "--out", tmp_path / "run", "--config", file, *options)
        assert result.exit_code == 2
        assert f"{file}" in result.output
        assert message in result.output


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": NaN}', '{"a": true}'])
def test_bad_metrics_are_not_exported(run_folder: Path, content: str, tmp_path: Path) -> None:
    """Metrics that go with an export are finite numbers by name."""
    file = tmp_path / "metrics.json"
    file.write_text(content)
    result = synrep("export", run_folder, "--to", tmp_path / "exported", "--metrics", file)
    assert result.exit_code == 2
    assert "metrics" in result.output
    assert not (tmp_path / "exported").exists()


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    """The operating system's reason, the path, no traceback."""
    (tmp_path / "file").write_text("")
    result = synrep("train", "--out", tmp_path / "file" / "run", "--threads", 1, *SMALL)
    assert result.exit_code == 2
    assert f"Error: {tmp_path / 'file'}" in result.output
    assert "Not a directory" in result.output


@pytest.mark.parametrize("command", ["", "train", "evaluate", "lift", "export", "draw", "data"])
def test_help_has_examples(command: str) -> None:
    """Every command shows how it is used."""
    result = synrep(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
