"""`synrep lift`, as a user types it: what it tells, and how it is told what a file can't say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from synrep.cli.main import main
from synrep.config import GeneratorConfig, TrainConfig
from synrep.model.networks import Generator
from synrep.storage import Storage
from synrep.training.checkpoint import TrainingState, save_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def synrep(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint file with a small generator that never reported."""
    config = TrainConfig(generator=GeneratorConfig(width=16, blocks=1))
    torch.manual_seed(1)
    network = Generator(config.generator, config.data.joints)
    meta: dict[str, Any] = {"config": config.model_dump(mode="json"), "best": None}
    state = TrainingState(
        arrays={f"generator.{name}": value.numpy() for name, value in network.state_dict().items()},
        meta=meta | {"bone_length_sum_mm": 4000.0, "scale_mm": 500.0},
    )
    folder = tmp_path_factory.mktemp("model")
    return folder / save_checkpoint(Storage.at(folder), state, 0).file


STANDING = [
    *([800, 210], [811, 201], [790, 202], [826, 207], [776, 208], [866, 281], [735, 284]),
    *([892, 362], [716, 369], [884, 441], [741, 437], [839, 452], [762, 455], [850, 571]),
    *([748, 580], [846, 697], [757, 702]),
]
"""A person in COCO's joints, in pixels."""


NECKED = [
    STANDING[0],
    [800, 280],
    *(STANDING[joint] for joint in (6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)),
]
"""The same person in the joints of OpenPose's COCO model."""


def test_lift_tells_what_it_reads_otherwise(model: Path, tmp_path: Path) -> None:
    """On stderr, also if it is then refused; what is estimated stands in the output, too."""
    zeros = [*STANDING[:9], [0, 0], *STANDING[10:]]
    source, out = tmp_path / "zeros.json", tmp_path / "out.json"
    source.write_text(json.dumps([STANDING, zeros]))
    refused = synrep("lift", model, source, "--skeleton", "coco", "--out", out)
    assert refused.exit_code == 2
    said = f"Warning: {source}: 1 joints at (0, 0) taken as not detected: LWrist in frame 1"
    assert refused.stderr.splitlines()[0] == said
    assert "missing joints: frame 1: LWrist" in refused.stderr
    done = synrep("lift", model, source, "--skeleton", "coco", "--skip-missing", "--out", out)
    assert done.stderr.splitlines() == [
        said,
        "left out frame 1: no LWrist",
        "estimated joints, which the keypoints lack: Spine, Nose, Head",
    ]
    assert json.loads(out.read_text())["estimated"] == ["Spine", "Nose", "Head"]
    arrays = tmp_path / "out.npz"
    synrep("lift", model, source, "--skeleton", "coco", "--skip-missing", "--out", arrays)
    with np.load(arrays, allow_pickle=False) as file:
        assert file["estimated"].tolist() == ["Spine", "Nose", "Head"]
    drawn = synrep("draw", arrays, "--out", tmp_path / "out.png")
    assert "; estimated: Spine, Nose, Head" in drawn.output


@pytest.mark.parametrize(
    "size",
    [["--image-size", "1600", "900"], ["--image-size", "1600x900"], ["--image-size=1600X900"]],
)
def test_lift_takes_the_size_of_images(model: Path, tmp_path: Path, size: list[str]) -> None:
    """In two words or one; poses are those of the pixels."""
    pixels, source = tmp_path / "pixels.json", tmp_path / "fractions.json"
    pixels.write_text(json.dumps(STANDING))
    source.write_text(json.dumps([[x / 1600, y / 900] for x, y in STANDING]))
    poses = []
    for file, options in ((pixels, []), (source, size)):
        out = tmp_path / f"{file.stem}.out.json"
        done = synrep("lift", model, file, "--skeleton", "coco", *options, "--out", out)
        assert done.exit_code == 0, done.output
        poses.append(json.loads(out.read_text())["poses"])
    np.testing.assert_allclose(*poses, atol=0.01)
    refused = synrep("lift", model, source, "--skeleton", "coco", "--out", tmp_path / "x.json")
    assert refused.exit_code == 2
    assert "--image-size W H" in refused.stderr
    refused = synrep(
        *("lift", model, source, "--image-size", "1600", "--skeleton", "coco"),
        *("--out", tmp_path / "x.json"),
    )
    assert refused.exit_code == 2


def test_lift_chooses_a_person(model: Path, tmp_path: Path) -> None:
    """By track or number; a least confidence makes joints missing."""
    for frame in range(3):
        people = [
            {"person_id": [-1], "pose_keypoints_2d": [v for x, y in NECKED for v in (x + dx, y, c)]}
            for dx, c in ((0, 0.5), (900, 0.4 + 0.2 * (frame % 2)))
        ]
        (tmp_path / f"v_{frame}.json").write_text(json.dumps({"people": people}))
    out = tmp_path / "out" / "o.json"
    roots = []
    for options in ([], ["--person", "1"]):
        done = synrep("lift", model, tmp_path, *options, "--out", out)
        assert "several people in frames 0, 1, 2: number" in done.stderr
        roots.append([frame[0][0] for frame in json.loads(out.read_text())["keypoints_px"]])
    np.testing.assert_allclose(roots, [[800.5] * 3, [1700.5] * 3])
    options = ["--person", "1", "--min-confidence", "0.5", "--skip-missing"]
    done = synrep("lift", model, tmp_path, *options, "--out", out)
    assert json.loads(out.read_text())["frames"] == [1]
