"""The best generator in MLflow: its files, the registered model, and MLflow's own commands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import onnxruntime
import pytest
from synrep_search.durability.outbox import Event
from synrep_search.tracking.client import open_client
from synrep_search.tracking.registry import register, standard
from synrep_search.tracking.ui import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

# MLflow's own code has type hints of which MLflow warns when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")

SMALL = """
trainer: synrep
data: {poses: synthetic}
train:
  {iterations: 2, reports: 1, batch_size: 16, generator.width: 16, critic.branch_width: 16,
   reprojection_network.width: 16, evaluation.views: 16}
space: {optim.lr_generator: {log: [1e-4, 1e-3]}}
search: {minimize: validation/mpjpe_mm, trials: 2}
"""


@pytest.fixture(scope="module")
def trained(server, tmp_path_factory: pytest.TempPathFactory, make_tracked) -> Any:
    """A finished search for the smallest generators there are."""
    tracked = make_tracked(tmp_path_factory.mktemp("home"), server.uri, SMALL)
    tracked.run()
    assert tracked.ledger.outbox.depth() == 0
    return tracked


@pytest.fixture
def lifted(trained) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, and the poses in millimetres that the exported model makes of them."""
    pixels = np.random.default_rng(0).normal(300, 50, (3, 17, 2)).astype(np.float32)
    session = onnxruntime.InferenceSession(trained.paths.best / "model.onnx")
    _, poses_mm = session.run(None, {"keypoints_px": pixels})
    return pixels, poses_mm


def test_the_best_generators_are_stored_with_their_runs(trained) -> None:
    """Safetensors, ONNX and JSON; what MLflow gives back is what was exported."""
    client = open_client(trained.uri)
    for number in (0, 1):
        run = trained.runs()[number].info.run_id
        files = {Path(file.path).name for file in client.list_artifacts(run, "generator")}
        assert files >= {"generator.safetensors", "model.onnx", "config.json", "metrics.json"}
    best = trained.ledger.index.first().number
    run = trained.runs()[best].info.run_id
    stored = Path(client.download_artifacts(run, "generator/model.onnx")).read_bytes()
    assert stored == (trained.paths.best / "model.onnx").read_bytes()
    numbers = json.loads((trained.paths.best / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["metrics"]["trial"] == best
    assert "exported trial 1 (" in trained.said


def test_the_champion_is_loaded_by_mlflow(trained, lifted) -> None:
    """`models:/NAME@champion` makes of pixels what the exported model makes of them."""
    pixels, poses_mm = lifted
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(trained.uri)
    try:
        model = mlflow.pyfunc.load_model(f"models:/{trained.ledger.name}@champion")
    finally:
        mlflow.set_tracking_uri(before)
    np.testing.assert_array_equal(model.predict(pixels)["pose_mm"], poses_mm)
    version = open_client(trained.uri).get_model_version_by_alias(trained.ledger.name, "champion")
    best = trained.ledger.index.first().number
    assert version.run_id == trained.runs()[best].info.run_id
    assert version.tags["synrep.trial"] == str(best)


def test_delivering_the_champion_again_makes_no_second_version(trained) -> None:
    """Nor does exporting a second time."""
    assert trained.deliver_again() == 0
    trained.run()
    client = open_client(trained.uri)
    assert len(client.search_model_versions(f"name = '{trained.ledger.name}'")) == 1


@pytest.fixture
def champion(trained, client: MlflowClient, tmp_path: Path) -> Callable[..., str]:
    """Function: registers an export as a search's champion of some value; name of the model."""
    run = trained.runs()[0].info.run_id

    def make(name: str, checkpoint: str, value: float, time_ms: int = 1, **measured: Any) -> str:
        folder = tmp_path / f"{checkpoint}-{value}"
        if not folder.exists():
            shutil.copytree(trained.paths.best, folder)
        numbers = {"metrics": {"validation/z_mm": value}}
        (folder / "metrics.json").write_text(json.dumps(numbers), encoding="utf-8")
        standard = {"metric": "validation/z_mm", "maximize": False, "group": "0a"} | measured
        payload = {"folder": str(folder), "checkpoint": checkpoint * 64} | standard
        event = Event(trial=0, kind="champion", step=1, payload=payload, time_ms=time_ms)
        return register(client, name, run, event)

    return make


def holder(client: MlflowClient, name: str) -> str:
    """First letter of the checkpoint that has the alias."""
    return str(client.get_model_version_by_alias(name, "champion").tags["synrep.checkpoint"][0])


@pytest.mark.parametrize("maximize", [False, True])
def test_the_best_champion_keeps_the_alias(
    champion: Callable[..., str], client: MlflowClient, maximize: object
) -> None:
    """In whatever order they arrive, e.g. a worse one later, or an old one a second time."""
    name, sign = f"order-{maximize}", -1 if maximize else 1
    for checkpoint, value, time_ms in (("a", 9, 1), ("c", 7, 3), ("b", 8, 4), ("a", 9, 1)):
        assert champion(name, checkpoint, sign * value, time_ms, maximize=maximize) == name
    assert len(client.search_model_versions(f"name = '{name}'")) == 3
    assert holder(client, name) == "c"


def test_a_search_of_the_same_name_takes_no_alias(
    champion: Callable[..., str], client: MlflowClient
) -> None:
    """If goal or poses differ, the values mean something else: it gets a model of its own."""
    assert champion("same", "a", 9) == "same"
    assert champion("same", "b", 1, group="1b") == "same-1b"
    assert champion("same", "d", 2, group="1b") == "same-1b"
    assert (holder(client, "same"), holder(client, "same-1b")) == ("a", "b")


def test_a_model_of_an_earlier_version_is_taken_over(
    champion: Callable[..., str], client: MlflowClient
) -> None:
    """Its versions do not say what they are worth."""
    client.create_registered_model("earlier")
    made = client.get_model_version_by_alias(champion("other", "b", 1), "champion")
    old = client.create_model_version("earlier", source=made.source, run_id=made.run_id).version
    client.set_registered_model_alias("earlier", "champion", old)
    assert champion("earlier", "a", 9) == "earlier"
    assert holder(client, "earlier") == "a"


def test_what_champions_are_measured_by(trained) -> None:
    """Goal, poses and evaluation, not where the poses are."""
    spec = trained.ledger.spec
    base = standard(spec, "f")["group"]
    train = dict(spec.train)
    train["data"] = train["data"] | {"poses": "elsewhere"}
    assert standard(spec.model_copy(update={"train": train}), "f")["group"] == base
    assert standard(spec, "g")["group"] != base
    train["evaluation"] = train["evaluation"] | {"scale": "constant"}
    assert standard(spec.model_copy(update={"train": train}), "f")["group"] != base
    search = spec.search.model_copy(update={"minimize": "validation/z_mm"})
    assert standard(spec.model_copy(update={"search": search}), "f")["group"] != base


def test_the_champion_is_served_by_mlflow(trained, lifted, tmp_path: Path, wait_for) -> None:
    """`mlflow models serve` answers pixels with poses; it needs neither torch nor a network."""
    pixels, poses_mm = lifted
    port = free_port(0)
    scripts = Path(sys.executable).parent  # MLflow looks for uvicorn on the path
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": trained.uri,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
    }
    words = [
        sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local",
        "--model-uri", f"models:/{trained.ledger.name}@champion",
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"{address}/ping")
        request = urllib.request.Request(
            f"{address}/invocations",
            data=json.dumps({"inputs": pixels.tolist()}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            predicted = json.load(answer)["predictions"]["pose_mm"]
    finally:
        process.terminate()
        process.wait(20)
    np.testing.assert_allclose(predicted, poses_mm, rtol=1e-5, atol=1e-3)


def test_artifacts_of_a_sqlite_store_are_shown_by_its_server(
    server, tmp_path: Path, make_tracked
) -> None:
    """Written without a server, then seen through one, as `synrep-search ui` starts it."""
    tracked = make_tracked(tmp_path, server.store)
    tracked.use_experiment("without a server")
    tracked.begin(0)
    tracked.export(0, config='{"a": 1}')
    tracked.put(0, "artifacts")
    assert tracked.deliver() == 0
    run = tracked.runs()[0].info.run_id
    assert (server.folder / "mlartifacts" / run / "artifacts/generator/config.json").exists()
    address = f"{server.uri}/get-artifact?run_uuid={run}&path=generator/config.json"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert json.load(answer) == {"a": 1}
