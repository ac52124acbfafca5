"""Searches begun by revision 5ca5bee, before the code was laid out anew, are gone on with.

`old_search/` holds two homes as that revision left them, and what it made of them itself:
`begun` trains the model and was stopped by a signal, `scripted` follows a script and lost its
driver. Numbers, states, seeds and all that was done before are exact on any machine. A training's
floats differ between kinds of CPU by rounding, and so do, by a last digit, proposed parameters.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from synrep_search.cli import main

if TYPE_CHECKING:
    from mlflow.entities import Run

FOLDER = Path(__file__).parent / "old_search"
MADE_IN = "/tmp/synrep-fixture/home"
"""The home when the searches were begun; MLflow's database holds it as an absolute path."""
OPEN = ("waiting", "running")
"""States of trials that have not ended."""
INEXACT = {"value", "params"}
"""Fields of a trial that hold floats."""


def trained(values: Any) -> Any:
    """Equal but for a training's rounding on another kind of CPU: 1e-6 or so was measured."""
    return pytest.approx(values, rel=1e-4, abs=1e-5)


def drawn(values: Any) -> Any:
    """Equal but for the last digits of what a sampler draws."""
    return pytest.approx(values, rel=1e-9)


def unpack(archive: Path, folder: Path) -> Path:
    """The home in an archive, as if it had always been in this folder."""
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    home = folder / "home"
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            connection.execute(moved, (MADE_IN, str(home)))
    return home


def call(home: Path, *words: str) -> Result:
    """A command of `synrep-search` on a home."""
    return CliRunner().invoke(main, [*words, "--home", str(home)], catch_exceptions=False)


def asked(home: Path, *words: str) -> Any:
    """What a command prints as JSON, but for what depends on the clock and on the folder."""
    result = call(home, *words, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    for row in found if isinstance(found, list) else [found]:
        row.pop("seconds", None)
        if "tracking_uri" in row:
            row["tracking_uri"] = row["tracking_uri"].replace(str(home), "HOME")
    return found


def runs(home: Path) -> dict[str, dict[str, Any]]:
    """What MLflow holds of each run, by name; metrics as hexadecimal floats by step."""
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    found = client.search_runs(["1"], max_results=1000)
    return {run.info.run_name: _told(client, run) for run in found}


def _told(client: MlflowClient, run: Run) -> dict[str, Any]:
    keep = ("synrep.state", "synrep.seed", "synrep.trial", "synrep.cause", "synrep.id")
    return {
        "id": run.info.run_id,
        "status": run.info.status,
        "tags": {name: run.data.tags[name] for name in keep if name in run.data.tags},
        "params": dict(run.data.params),
        "metrics": {
            name: {
                str(row.step): row.value.hex()
                for row in client.get_metric_history(run.info.run_id, name)
            }
            for name in sorted(run.data.metrics)
        },
    }


def files(folder: Path) -> dict[str, str]:
    """Hashes of the files of an export that hold nothing but what was in the checkpoint."""
    names = ("config.json", "generator.safetensors", "metrics.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@dataclass(frozen=True, kw_only=True)
class Story:
    """What was seen of a search before it went on, and after.

    Attributes:
        name: of the search.
        home: where it is now.
        before: status, trials and MLflow's runs as they were unpacked.
        resumed: what `resume` said.
        after: the same as `before`, at the end.
        expected: `before` and `after` as the old revision has them.
    """

    name: str
    home: Path
    before: dict[str, Any]
    resumed: Result
    after: dict[str, Any]
    expected: dict[str, Any]


def seen(home: Path, name: str) -> dict[str, Any]:
    """How a search stands, by all commands that tell it, and in MLflow."""
    return {
        "list": asked(home, "list"),
        "status": asked(home, "status", name),
        "trials": asked(home, "status", name, "--trials"),
        "runs": runs(home),
    }


@pytest.fixture(scope="module", params=[("a", "begun"), ("b", "scripted")], ids=lambda p: p[1])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A search of the old revision, unpacked and resumed to its end."""
    letter, name = request.param
    home = unpack(FOLDER / f"search-{letter}.tar.xz", tmp_path_factory.mktemp("old"))
    before = seen(home, name)
    resumed = call(home, "resume", name, "--local")
    expected = json.loads((FOLDER / f"expected-{letter}.json").read_text(encoding="utf-8"))
    after = seen(home, name)
    return Story(
        name=name, home=home, before=before, resumed=resumed, after=after, expected=expected
    )


def numbers(values: dict[str, Any]) -> dict[str, float]:
    """The values that are floats."""
    return {name: value for name, value in values.items() if isinstance(value, float)}


def words(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are chosen, counted or missing."""
    return {name: value for name, value in values.items() if not isinstance(value, float)}


def exact(trial: dict[str, Any]) -> dict[str, Any]:
    """A trial without its floats."""
    fields = {name: value for name, value in trial.items() if name not in INEXACT}
    return fields | words(trial["params"])


def floats(history: dict[str, str]) -> dict[str, float]:
    """Values of a metric by step."""
    return {step: float.fromhex(value) for step, value in history.items()}


def test_it_is_found_as_it_was_left(story: Story) -> None:
    """List, status and trials, and MLflow's runs, say what they said in the old revision."""
    assert story.before == story.expected["before"]
    assert story.before["status"]["state"] == "interrupted"


def test_it_goes_on_to_its_end(story: Story) -> None:
    """Resuming ends well, with as many trials of each state and the same best one."""
    assert story.resumed.exit_code == 0, story.resumed.output
    found, wanted = dict(story.after["status"]), dict(story.expected["after"]["status"])
    best, other = found.pop("best"), wanted.pop("best")
    assert found == wanted
    assert best["number"] == other["number"]
    assert best["value"] == trained(other["value"])
    [listed] = story.after["list"]
    assert listed == story.after["status"]


def test_its_trials_end_as_they_would_have(story: Story) -> None:
    """Numbers, states, causes and attempts are equal, values and parameters but for rounding."""
    found, wanted = story.after["trials"], story.expected["after"]["trials"]
    assert [exact(trial) for trial in found] == [exact(trial) for trial in wanted]
    for trial, other in zip(found, wanted, strict=True):
        params, others = numbers(trial["params"]), numbers(other["params"])
        assert params == drawn(others), trial["number"]
        value, same = ({"value": one["value"]} for one in (trial, other))
        assert numbers(value) == trained(numbers(same)), trial["number"]


def test_what_had_ended_is_not_touched(story: Story) -> None:
    """A trial that had ended keeps every bit, in the ledger and in MLflow."""
    ended = [trial for trial in story.before["trials"] if trial["state"] not in OPEN]
    assert ended
    for trial in ended:
        assert story.after["trials"][trial["number"]] == trial
        name = f"{story.name}-{trial['number']:04d}"
        before, after = story.expected["before"]["runs"].get(name), story.after["runs"][name]
        if before is not None and before["status"] != "RUNNING":
            assert after == before


def test_mlflow_has_every_report(story: Story) -> None:
    """One run a trial, the old ones gone on with; the same states, seeds and steps of metrics."""
    found, wanted = story.after["runs"], story.expected["after"]["runs"]
    assert found.keys() == wanted.keys()
    for name, run in found.items():
        other = wanted[name]
        if name in story.before["runs"]:
            assert run["id"] == story.before["runs"][name]["id"]
        assert (run["status"], run["tags"]) == (other["status"], other["tags"]), name
        assert run["params"].keys() == other["params"].keys()
        assert run["metrics"].keys() == other["metrics"].keys(), name
        for metric, history in run["metrics"].items():
            same = floats(other["metrics"][metric])
            assert floats(history) == trained(same), (name, metric)


def test_an_old_checkpoint_is_exported(story: Story) -> None:
    """The best generators are; one that the old revision had trained to its end, bit for bit."""
    folder = story.home / story.name
    if "exports" not in story.expected:  # the script's trainings have no generator
        assert not (folder / "best").exists()
        return
    for name, hashes in story.expected["exports"].items():
        assert files(folder / "exports" / name) == hashes
    best = json.loads((folder / "best" / "config.json").read_text(encoding="utf-8"))
    wanted = story.expected["after"]["status"]["best"]["value"]
    assert best["best"]["value"] == trained(wanted)
