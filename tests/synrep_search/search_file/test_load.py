"""Reading a whole search file: what comes out, and how fast."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel
from synrep_search.errors import SpecError
from synrep_search.search_file import SearchSpec, diff, load_spec, trial_config
from synrep_search.search_file.early_stopping import Asha
from synrep_search.search_file.samplers import RandomSampler, Tpe

from synrep.config import TrainConfig
from synrep.errors import InputError

FULL = """\
name: full
data: {poses: synthetic, noise_px: 2}
train: {iterations: 500, generator: {width: 64, blocks: 1}, kcs.weighting: {family: band}}
space:
  loss.lambda_angle: {log: [0.01, 10]}
  critic.steps: {choice: [1, 2, 3, 5]}
search:
  maximize: validation/z_mm
  trials: 12
  seed: 3
  sampler: {random: {seed: 5}}
  early_stopping: {asha: {grace: 0.25, reduction: 2}}
start_from: [paper, {critic.steps: 5}]
resources: {cpu: 2, gpu: 0.5, fuse: off, slots: 3}
budget: {hours: 1.5}
failures: {retries: 1}
storage: s3://bucket/searches
ledger: postgresql://user@db/synrep
tracking: {uri: "http://mlflow:5000", keep_best: 5, experiment: line}
"""
SMALL = "space: {loss.lambda_angle: {log: [0.01, 10]}}\n"


def test_every_section_arrives(write) -> None:
    """Each value of a file is found in the specification, and defaults fill the rest."""
    spec = load_spec(write(FULL))
    assert spec.name == "full"
    assert spec.train["generator"]["width"] == 64
    assert spec.train["generator"]["slope"] == 0.01
    assert spec.train["kcs"]["weighting"] == {"family": "band", "reach": 2}
    assert spec.train["data"]["noise_px"] == 2.0
    assert (spec.search.metric, spec.search.direction) == ("validation/z_mm", "maximize")
    assert (spec.search.trials, spec.search.seed) == (12, 3)
    assert spec.search.sampler == RandomSampler(seed=5)
    assert spec.search.early_stopping == Asha(grace=0.25, reduction=2)
    assert spec.start_from == (
        {"loss.lambda_angle": 1.0, "critic.steps": 1},
        {"loss.lambda_angle": 1.0, "critic.steps": 5},
    )
    assert (spec.resources.cpu, spec.resources.gpu, spec.resources.fuse) == (2.0, 0.5, "off")
    assert spec.resources.slots == 3
    assert (spec.budget.hours, spec.failures.retries) == (1.5, 1)
    assert spec.storage == "s3://bucket/searches"
    assert spec.ledger == "postgresql://user@db/synrep"
    assert spec.tracking.uri == "http://mlflow:5000"
    assert (spec.tracking.experiment, spec.tracking.keep_best) == ("line", 5)


def test_a_space_is_enough(write) -> None:
    """A file with nothing but a space is a search of the paper's model, named after the file."""
    spec = load_spec(write(SMALL, "folder/tiny.yaml"))
    assert spec.name == "tiny"
    assert TrainConfig.model_validate(spec.train) == TrainConfig()
    assert spec.search.metric == "validation/mpjpe_mm"
    assert spec.search.sampler == Tpe()
    assert spec.search.early_stopping is None
    assert spec.start_from == ()


def test_the_caller_may_name_the_search(write) -> None:
    """A name given by the caller wins over the file's, and has to keep the rule as well."""
    path = write(FULL)
    assert load_spec(path, name="other").name == "other"
    with pytest.raises(SpecError, match=r"--name: name: must be 1 to 64 letters"):
        load_spec(path, name="no/slash")


def test_the_specification_survives_json(write) -> None:
    """What the ledger stores as JSON comes back equal."""
    spec = load_spec(write(FULL))
    again = SearchSpec.model_validate_json(spec.model_dump_json())
    assert again == spec


def test_trial_config_holds_values_and_seed(write, draw) -> None:
    """A trial's configuration is complete, valid, and has every sampled value."""
    text = SMALL + "train: {batch_size: 32}\n"
    weighting = "{one_of: {tanh: {scale: {log: [0.5, 2]}}, free: {weights: {simplex: {size: 6}}}}}"
    spec = load_spec(write(text), [f"space.kcs.weighting={weighting}"])
    for seed in range(20):
        values = spec.space.sample(draw(seed))
        config = trial_config(spec, values, seed)
        assert TrainConfig.model_validate_json(json.dumps(config))
        assert config["seed"] == seed
        assert config["batch_size"] == 32
        assert config["loss"]["lambda_angle"] == values["loss.lambda_angle"]
        assert config["kcs"]["weighting"].items() >= values["kcs.weighting"].items()
    assert spec.train["seed"] == 0


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"loss.lamda": 1.0}, r"loss\.lamda: is not a field of the configuration"),
        ({"nothing.here": 1.0}, r"nothing\.here: is not a field of the configuration"),
        ({"critic.steps": 0}, r"critic\.steps: must be at least 1, got 0"),
    ],
)
def test_a_value_that_does_not_reach_the_trainer_is_an_error(write, values, rule) -> None:
    """A name that nobody reads, or a value that is refused, stops the trial before it trains."""
    with pytest.raises(InputError, match=rule):
        trial_config(load_spec(write(SMALL)), values, 0)


class Lenient(BaseModel):
    """A training configuration that, unlike `TrainConfig`, turns words into numbers."""

    seed: int = 0
    batch_size: int = 1


def test_a_value_that_the_trainer_changes_is_an_error(write, monkeypatch) -> None:
    """A value that arrives as another one would be credited with results that are not its own."""
    monkeypatch.setattr(sys.modules["synrep.config"], "TrainConfig", Lenient)
    spec = load_spec(write("space: {batch_size: {choice: [1, 8]}}"))
    assert trial_config(spec, {"batch_size": 8}, 5) == {"seed": 5, "batch_size": 8}
    with pytest.raises(InputError, match=r'^batch_size: the trainer holds 8 where "8" was sampled'):
        trial_config(spec, {"batch_size": "8"}, 5)


def test_diff_lists_what_changed(write) -> None:
    """A resume can show each changed key with both values, and nothing else."""
    before = load_spec(write(FULL))
    assert diff(before, before) == []
    overrides = [
        "search.trials=20",
        "space.critic.steps=null",
        "space.loss.lambda_angle={log: [0.1, 1]}",
        "space.kcs.floor={float: [0, 0.5]}",
        "train.generator.width=128",
        "start_from=[paper]",
    ]
    assert diff(before, load_spec(write(FULL), overrides)) == [
        "train.generator.width: 64 -> 128",
        "search.trials: 12 -> 20",
        "start_from.0.critic.steps: 1 -> not set",
        "start_from.1.loss.lambda_angle: 1.0 -> not set",
        "start_from.1.critic.steps: 5 -> not set",
        "space.loss.lambda_angle: log 0.01 .. 10.0 -> log 0.1 .. 1.0",
        "space.critic.steps: choice 1, 2, 3, 5 -> not set",
        "start_from.0.kcs.floor: not set -> 0.0",
        "space.kcs.floor: not set -> float 0.0 .. 0.5",
    ]


def test_diff_sees_what_is_shortened(write) -> None:
    """Two values that differ behind what a line shows of them are two."""
    one = load_spec(write(SMALL), [f"storage=/{'a' * 100}/b"])
    two = load_spec(write(SMALL), [f"storage=/{'a' * 100}/c"])
    assert len(diff(one, two)) == 1


def test_reading_is_light() -> None:
    """Reading a file loads none of the heavy packages and takes well under half a second."""
    program = textwrap.dedent("""
        import sys, time
        from synrep_search.search_file import load_spec
        load_spec(sys.argv[1])
        start = time.process_time()
        load_spec(sys.argv[1])
        print(time.process_time() - start)
        heavy = {"torch", "ray", "optuna", "mlflow", "pandas", "scipy", "matplotlib", "pyarrow"}
        print(sorted(heavy & set(sys.modules)))
    """)
    path = Path(__file__).parents[3] / "search_spaces" / "paper.yaml"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    seconds, heavy = done.stdout.splitlines()
    assert float(seconds) < 0.3
    assert heavy == "[]"


def test_poses_are_found_beside_the_file_then_in_the_working_directory(write, tmp_path) -> None:
    """A relative pose folder starts from its file; an override's from the working directory."""
    write("{}", "spaces/near/store.json")
    write("{}", "far/store.json")
    spec = load_spec(write(f"data: {{poses: near}}\n{SMALL}", "spaces/a.yaml"))
    assert spec.train["data"]["poses"] == str(tmp_path / "spaces" / "near")
    spec = load_spec(write(f"data: {{poses: far}}\n{SMALL}", "spaces/a.yaml"))
    assert spec.train["data"]["poses"] == str(tmp_path / "far")
    spec = load_spec(Path("spaces/a.yaml"), ["data.poses=spaces/near"])
    assert spec.train["data"]["poses"] == str(tmp_path / "spaces" / "near")


def test_relative_addresses_are_made_absolute(write, tmp_path) -> None:
    """Like poses: a resume from another folder finds what the launch has made."""
    text = f"{SMALL}storage: near\nledger: sqlite:///l.db?timeout=3\ntracking: {{uri: 'sqlite:///m.db'}}\n"
    path = write(text, "spaces/a.yaml")
    spec = load_spec(path)
    assert spec.storage == str(tmp_path / "near")
    assert spec.ledger == f"sqlite:///{tmp_path / 'l.db'}?timeout=3"
    assert spec.tracking.uri == f"sqlite:///{tmp_path / 'm.db'}"
    write("", "spaces/near/x")
    write("", "spaces/m.db")
    spec = load_spec(path)
    assert spec.storage == str(tmp_path / "spaces" / "near")
    assert spec.tracking.uri == f"sqlite:///{tmp_path / 'spaces' / 'm.db'}"
    assert load_spec(path, ["storage=near"]).storage == str(tmp_path / "near")
    assert load_spec(path, ["ledger=sqlite:////d/x.db"]).ledger == "sqlite:////d/x.db"


def test_poses_that_are_no_store_are_refused(write, refused, tmp_path) -> None:
    """A missing folder and a folder without a header are told apart, with the remedy."""
    (tmp_path / "empty").mkdir()
    for folder, rule in [
        ("nowhere", f"there is no folder {tmp_path / 'nowhere'}"),
        ("empty", f"{tmp_path / 'empty'} has no store.json"),
    ]:
        (problem,) = refused(f"{SMALL}data:\n  poses: {folder}\n")
        assert (problem.where, problem.path) == ("a.yaml:3", "data.poses")
        assert problem.rule.startswith(rule)
        assert "`synrep data`" in problem.rule
