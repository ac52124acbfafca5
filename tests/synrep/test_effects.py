"""Fields that would have no effect are refused where they are set, and read where they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

import synrep
from synrep.cli.main import main
from synrep.config import TrainConfig, configure, ineffective, set_dotted
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.effects import NEEDS
from synrep.errors import InputError
from synrep.training.loop import Training
from synrep.training.run_folder import RunFolder
from tests.bits.__main__ import in_camera

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"loss.lambda_reprojection": 1.0, "reprojection": "none"}, {"reprojection": "separate"}),
    ({"optim.lr_reprojection": 1e-3, "reprojection": "none"}, {"reprojection": "sync"}),
    ({"reprojection_network.width": 8, "reprojection": "none"}, {"reprojection": "sync"}),
    ({"reprojection_network.blocks": 2, "reprojection": "none"}, {"reprojection": "sync"}),
    ({"generator.distance": 5.0}, {"generator.lift": "perspective"}),
    (
        {"critic.gp_weight": 1.0, "critic.lipschitz": "none"},
        {"critic.lipschitz": "gradient_penalty"},
    ),
    (
        {"critic.gp_inputs": "pose+features", "critic.lipschitz": "spectral_norm"},
        {"critic.lipschitz": "gradient_penalty"},
    ),
    (
        {"critic.gp_inputs": "pose+features", "critic.gp_weight": 0.0},
        {"critic.gp_weight": 1.0},
    ),
    ({"critic.clip": 0.1}, {"critic.lipschitz": "weight_clipping"}),
    ({"optim.decay_to": 0.5}, {"optim.decay": "linear"}),
    (
        {"kcs.floor": 0.2, "kcs.weighting": {"family": "uniform"}},
        {"kcs.weighting": {"family": "band"}},
    ),
    ({"data.noise_seed": 3}, {"data.noise_px": 1.0}),
    (
        {"guard.collapse_after": 3, "guard.collapse_ratio": 0.0},
        {"guard.collapse_ratio": 0.1},
    ),
]
"""Fields without an effect, and what gives them one."""


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """Dotted fields as a file has them."""
    content: dict[str, Any] = {}
    for name, value in fields.items():
        set_dotted(content, name, value)
    return content


def number(fields: dict[str, Any]) -> Iterator[str]:
    """As options of the command line."""
    for name, value in fields.items():
        yield from ("-o", f"{name}={json.dumps(value)}")


@pytest.mark.parametrize(("fields", "helped"), CASES)
def test_no_field_is_ignored(fields: dict[str, Any], helped: dict[str, Any]) -> None:
    """One that needs another is refused by name, and taken beside it."""
    name = next(iter(fields))
    with pytest.raises(InputError, match=rf"{name} has no effect here: it needs"):
        configure(fields)
    configure(fields, **helped)
    assert list(ineffective(TrainConfig.model_validate_json(json.dumps(nested(fields))))) == [name]


def test_all_rules_are_tried() -> None:
    """Those about the pose store have tests of their own."""
    assert {next(iter(fields)) for fields, _ in CASES} == NEEDS.keys() - {
        "data.cameras", "data.camera_seed", "data.real_2d"
    }  # fmt: skip


def test_the_command_and_its_file_are_checked(tmp_path: Path) -> None:
    """Before anything is trained."""
    fields, _ = CASES[0]
    words = ["train", "--out", str(tmp_path / "run")]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(nested(fields)))
    for given in (list(number(fields)), ["--config", str(file)]):
        result = CliRunner().invoke(main, words + given)
        assert result.exit_code == 2
        assert "loss.lambda_reprojection has no effect here" in result.output
    assert not (tmp_path / "run").exists()


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    """A training of an earlier version is resumed, exported, and taken as a base."""
    fields = {
        "iterations": 2, "reports": 2, "batch_size": 16, "data.cameras": 1,
        "generator.width": 8, "evaluation.views": 64, "generator.distance": 5.0,
    }  # fmt: skip
    old = TrainConfig.model_validate_json(json.dumps(nested(fields)))
    folder = RunFolder(tmp_path)
    folder.train(Training(old, threads=1), lambda *_: None)
    assert synrep.resume(tmp_path, iterations=4, threads=1).iteration == 4
    assert synrep.load_lifter(tmp_path).config.generator.distance == 5.0
    assert configure(old, seed=1).seed == 1
    with pytest.raises(InputError, match=r"optim\.decay_to"):
        configure(old, **{"optim.decay_to": 0.5})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with cameras of its own and detections."""
    folder = tmp_path_factory.mktemp("stores") / "recorded"
    content = description().model_dump(mode="json") | {
        "frame": "camera",
        "up": "-y",
        "cameras": {"c": {"focal_px": [1145.0, 1143.0], "centre_px": [512.0, 515.0]}},
    }
    about = type(description()).model_validate_json(json.dumps(content))
    write_store(folder, about, {k: in_camera(poses) for k, poses in generate(1, 1.0).items()})
    return folder


@pytest.mark.parametrize("name", ["data.cameras", "data.camera_seed"])
def test_virtual_cameras_need_a_store_without_cameras(
    name: str, recorded: Path, tmp_path: Path
) -> None:
    """They would not be used."""
    config = configure({name: 3, "data.poses": str(recorded)})
    with pytest.raises(InputError, match=rf"{name} has no effect here"):
        synrep.train(config, tmp_path / "run", threads=1)
    with pytest.raises(InputError, match=rf"{name} has no effect here"):
        synrep.train(config, threads=1)


def test_detections_need_a_store_that_has_them(recorded: Path) -> None:
    """Or noise, which also makes the input differ from the true projection."""
    world, camera = (synrep.open_poses(poses).header.effects for poses in ("synthetic", recorded))
    config = configure({"data.real_2d": "detected"})
    assert list(ineffective(config, world)) == ["data.real_2d"]
    assert not ineffective(config, camera)
    assert not ineffective(configure(config, **{"data.noise_px": 1.0}), world)
