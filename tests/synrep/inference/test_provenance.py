"""A model knows the poses and subjects that it has seen, and is not scored on them unawares."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import synrep
from synrep.cli.main import main
from synrep.config import DataConfig, EvaluationConfig, TrainConfig
from synrep.datasets.origin import Origin
from synrep.datasets.store.store import write_store
from synrep.datasets.synthetic.generate import description, generate
from synrep.errors import DamagedError, InputError
from synrep.storage import Storage
from synrep.training.checkpoint import read_checkpoint, save_checkpoint
from synrep.training.fused import FusedTraining
from synrep.training.loop import Training
from synrep.training.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.training.checkpoint import TrainingState


def command(*words: object) -> Result:
    """Run `synrep` in this process."""
    return CliRunner().invoke(main, list(map(str, words)))


def store(folder: Path, *, exchanged: bool = False, **about: Any) -> Path:
    """A store of synthetic people; with test and training subjects exchanged if wanted."""
    splits = generate(0, 1.0)
    if exchanged:
        splits["train"], splits["test"] = splits["test"], splits["train"]
    write_store(folder, description().model_copy(update=about), splits)
    return folder


def config(poses: Path, **fields: Any) -> TrainConfig:
    """A training that has seen almost nothing."""
    return TrainConfig(
        iterations=2,
        reports=1,
        batch_size=16,
        data=DataConfig(poses=str(poses), cameras=1),
        evaluation=EvaluationConfig(views=64),
        **fields,
    )


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    """A store."""
    return store(tmp_path / "poses", acknowledgement="Thank us.")


@pytest.fixture
def run(poses: Path, tmp_path: Path) -> Path:
    """The folder of a training on it."""
    synrep.train(config(poses), tmp_path / "run", threads=1)
    return tmp_path / "run"


def remake(poses: Path, **about: Any) -> None:
    """The store anew, at the same path, with test and train exchanged."""
    shutil.rmtree(poses)
    store(poses, exchanged=True, **{"acknowledgement": "Thank us."} | about)


def without_poses(state: TrainingState) -> TrainingState:
    """What an earlier version would have saved."""
    del state.meta["poses"], state.meta["goal"]
    return state


def test_checkpoint_export_and_scores_name_the_poses(
    run: Path, poses: Path, tmp_path: Path
) -> None:
    """All with the same fingerprint and subjects."""
    origin = Origin.of(synrep.open_poses(poses))
    assert origin.subjects["test"] == ("actor11", "actor12")
    assert len(origin.subjects["train"]) == 8
    state = read_checkpoint(RunFolder(run).newest())
    assert Origin.read(state.meta) == origin
    folder = synrep.export(run, tmp_path / "export")
    assert Origin.read(json.loads((folder / "config.json").read_text())) == origin
    assert synrep.load_lifter(folder).origin == origin
    found = json.loads(command("evaluate", folder, "--json").output)
    assert found["trained_poses"] == found["tested_poses"] == origin.model_dump(mode="json")
    assert found["seen_subjects"] == {"train": [], "validation": []}


def test_exchanged_subjects_are_refused(run: Path, poses: Path) -> None:
    """The store is remade at its path: what was trained on is no test, unless one insists."""
    remake(poses)
    result = command("evaluate", run)
    assert result.exit_code == 2
    assert "this model was trained on actor01, actor02" in result.output
    result = command("evaluate", run, "--allow-seen")
    assert result.exit_code == 0, result.output
    assert "NOT HELD OUT: this model was trained on actor01" in result.output
    result = command("evaluate", run, "--references", "--allow-seen")
    assert result.exit_code == 2
    assert "not those that this training began with" in result.output


def test_other_poses_are_not_gone_on_with(run: Path, poses: Path) -> None:
    """Alone or as a member of a fused training."""
    remake(poses)
    result = command("train", "--out", run, "--resume", "-o", "iterations=4")
    assert result.exit_code == 2
    assert "not those that this training began with" in result.output
    state = read_checkpoint(RunFolder(run).newest())
    with pytest.raises(InputError, match="not those that this training began with"):
        FusedTraining(1, threads=1).join(config(poses), state)


@pytest.mark.parametrize(
    ("about", "refused"),
    [
        ({"acknowledgement": "Thank us.", "name": "other"}, True),
        ({"acknowledgement": "", "name": "Synthetic"}, True),
        ({"acknowledgement": "", "name": "other"}, False),
        ({"acknowledgement": "Thank others."}, False),
    ],
)
def test_another_store_of_the_same_people(
    about: dict[str, str], refused: object, run: Path, tmp_path: Path
) -> None:
    """They are known by the acknowledgement or, without one, by the name of the data set."""
    other = store(tmp_path / "other", exchanged=True, **about)
    result = command("evaluate", run, "--poses", other)
    assert (result.exit_code == 2) is refused, result.output
    assert ("this model was trained on" in result.output) is refused


def test_subjects_that_chose_a_model_do_not_test_it(run: Path, tmp_path: Path) -> None:
    """As validation subjects they may score it, since that is what they are called."""
    splits = generate(0, 1.0)
    splits["test"], splits["validation"] = splits["validation"], splits["test"]
    about = description().model_copy(update={"acknowledgement": "Thank us."})
    write_store(tmp_path / "swapped", about, splits)
    result = command("evaluate", run, "--poses", tmp_path / "swapped")
    assert result.exit_code == 2
    assert "this model was selected on actor09, actor10" in result.output
    result = command("evaluate", run, "--split", "validation")
    assert result.exit_code == 0
    assert "this model was selected on actor09, actor10" in result.output


def test_models_of_earlier_versions_are_unknown(run: Path, poses: Path, tmp_path: Path) -> None:
    """They are read and resumed, with a warning, and stay unknown."""
    state = without_poses(read_checkpoint(RunFolder(run).newest()))
    shutil.rmtree(run / "checkpoints")
    save_checkpoint(Storage.at(run / "checkpoints"), state, 2)
    folder = synrep.export(run, tmp_path / "export")
    assert not {"poses", "goal"} & json.loads((folder / "config.json").read_text()).keys()
    remake(poses)
    for model in (run, folder):
        result = command("evaluate", model)
        assert result.exit_code == 0, result.output
        assert "whether it has seen these subjects is unknown" in result.output
    result = command("train", "--out", run, "--resume", "-o", "iterations=4")
    assert result.exit_code == 0, result.output
    assert "does not name its poses" in result.output
    assert "poses" not in read_checkpoint(RunFolder(run).newest()).meta


def test_a_score_of_some_views(run: Path) -> None:
    """A stride takes frames, a limit views; both are evenly spaced."""
    found = [
        json.loads(command("evaluate", run, "--json", *words).output)["model"]["views"]
        for words in ([], ["--stride", 4], ["--views", 100], ["--stride", 4, "--views", 7])
    ]
    assert found == [480, 120, 100, 7]


def test_references_learn_from_the_models_own_poses(run: Path, tmp_path: Path) -> None:
    """Also where the other store has nobody to train on; what is trained is told."""
    test = {"test": generate(1, 1.0)["test"]}
    about = description().model_copy(update={"name": "elsewhere"})
    write_store(tmp_path / "elsewhere", about, test)  # type: ignore[arg-type]
    result = command("evaluate", run, "--poses", tmp_path / "elsewhere", "--references")
    assert result.exit_code == 0, result.output
    assert "training the supervised reference on the CPU: 2 iterations" in result.output
    assert "mean depth, mean of frames" in result.output


def test_flat_poses_are_refused(tmp_path: Path) -> None:
    """No depth is right or wrong where all are equal."""
    splits = generate(0, 1.0)
    joints = splits["validation"].joints_mm.copy()
    joints[:] = joints[:1, :1]
    object.__setattr__(splits["validation"], "joints_mm", joints)
    with pytest.raises(InputError):
        write_store(tmp_path / "flat", description(), splits)
    views = Training(config(store(tmp_path / "poses")), threads=1).validation
    from synrep.training.loop import _spread  # noqa: PLC0415

    views.poses[..., 2] = 0
    with pytest.raises(InputError, match="flat"):
        _spread(views, "poses")


@pytest.mark.parametrize(
    "changes",
    [
        {"poses": 3},
        {"poses": {"name": "x"}},
        {"goal": 3},
        {"goal": {"metric": 3}},
        {"goal": {"metric": "a | b"}},
        {"goal": {"metric": "z_mm", "maximize": 2}},
        {"best": {"value": 1.0, "iteration": float("nan")}},
    ],
)
def test_a_checkpoint_that_describes_itself_wrongly_is_refused(
    changes: dict[str, Any], run: Path, tmp_path: Path
) -> None:
    """As one clear error."""
    state = read_checkpoint(RunFolder(run).newest())
    state.meta |= changes
    ref = save_checkpoint(Storage.at(tmp_path / "changed"), state, 2)
    with pytest.raises(DamagedError, match="not a checkpoint of a training"):
        synrep.load_lifter(tmp_path / "changed" / ref.file)
