"""Register the best generator as a model version that MLflow can load and serve."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from synrep_search.durability.outbox import Event
    from synrep_search.search_file import SearchSpec

ALIAS = "champion"
CHECKPOINT_TAG, TIME_TAG = "synrep.checkpoint", "synrep.time_ms"
VALUE_TAG, GROUP_TAG = "synrep.value", "synrep.comparable"
REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]
"""Packages needed to serve the model; neither this project nor torch is among them."""


def standard(spec: SearchSpec, data: str) -> dict[str, Any]:
    """What a champion is measured by, as the payload of its event has it.

    Champions are comparable if goal, poses, and the settings of data and evaluation are equal.

    Args:
        spec: the search.
        data: fingerprint of its poses.
    """
    settings = {name: spec.train.get(name, {}) for name in ("data", "evaluation")}
    settings["data"] = {k: v for k, v in settings["data"].items() if k != "poses"}
    goal = [spec.search.direction, spec.search.metric]
    text = json.dumps([goal, data, settings], sort_keys=True)
    return {
        "metric": spec.search.metric,
        "maximize": spec.search.direction == "maximize",
        "group": hashlib.sha256(text.encode()).hexdigest()[:8],
    }


def register(client: MlflowClient, name: str, run: str, event: Event) -> str:
    """Make the generator exported to a folder a version of the model `name`.

    All versions of a model are comparable (see `standard`), and the alias goes to the best of them,
    in whatever order they arrive. If `name` has champions that are not comparable with this one, of
    another search of that name, this one becomes a version of `name-<hash of its standard>`.
    Repeating it changes nothing: the version of the same run and checkpoint is found again.

    Args:
        client: of the registry.
        name: of the search.
        run: of the trial.
        event: the champion's, with the folder of its export, the checkpoint of that, and the
            `standard` that it is measured by.

    Returns:
        The name of the model.
    """
    payload = event.payload
    name = _model(client, name, payload["group"])
    checkpoint, folder = payload["checkpoint"], Path(payload["folder"])
    versions = list(client.search_model_versions(f"name = '{name}'"))
    if not any(_is_of(version, run, checkpoint) for version in versions):
        # One folder per checkpoint: a version's files never change, even if its trial continues.
        path = f"model/{checkpoint[:12]}"
        _upload(client, run, folder, path)
        tags = {
            CHECKPOINT_TAG: checkpoint,
            TIME_TAG: str(event.time_ms),
            "synrep.trial": str(event.trial),
            "synrep.goal": payload["metric"],
        }
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        if payload["metric"] in metrics:
            tags[VALUE_TAG] = repr(float(metrics[payload["metric"]]))
        source = f"{client.get_run(run).info.artifact_uri}/{path}"
        versions.append(client.create_model_version(name, source=source, run_id=run, tags=tags))
    best = max(versions, key=lambda one: _rank(one, maximize=payload["maximize"]))
    client.set_registered_model_alias(name, ALIAS, best.version)
    return name


def _model(client: MlflowClient, name: str, group: str) -> str:
    """The name of the model whose versions are comparable; it is made if there is none.

    A model of an earlier version, which does not say what it is measured by, is taken over.
    """
    for candidate in (name, f"{name}-{group}"):
        try:
            client.create_registered_model(candidate, tags={GROUP_TAG: group})
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_registered_model(candidate).tags.get(GROUP_TAG)
            if found is None:
                client.set_registered_model_tag(candidate, GROUP_TAG, group)
            elif found != group:
                continue
        return candidate
    raise AssertionError("the second name holds the group")


def _rank(version: ModelVersion, *, maximize: bool) -> tuple[bool, float, int, int]:
    """Sort key: the best value last, of equal ones the newest; any value after none."""
    value = version.tags.get(VALUE_TAG)
    number = 0.0 if value is None else float(value) * (1 if maximize else -1)
    return value is not None, number, int(version.tags.get(TIME_TAG, 0)), int(version.version)


def _is_of(version: ModelVersion, run: str, checkpoint: str) -> bool:
    return bool(version.run_id == run and version.tags.get(CHECKPOINT_TAG) == checkpoint)


def _upload(client: MlflowClient, run: str, folder: Path, path: str) -> None:
    """Save the ONNX model in MLflow's format and upload it as an artifact of the run."""
    import mlflow.onnx  # noqa: PLC0415 - loads onnx, which only the champion needs
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import Schema, TensorSpec  # noqa: PLC0415

    model = onnx.load(folder / "model.onnx")
    single = np.dtype(np.float32)

    def schema(values: Any) -> Schema:
        return Schema([TensorSpec(single, (-1, *_shape(value)), value.name) for value in values])

    signature = ModelSignature(schema(model.graph.input), schema(model.graph.output))
    with TemporaryDirectory() as temporary:
        local = Path(temporary) / "model"
        mlflow.onnx.save_model(
            model,
            str(local),
            signature=signature,
            pip_requirements=list(REQUIREMENTS),
            save_as_external_data=False,  # a single file, like the export
            onnx_execution_providers=["CPUExecutionProvider"],  # available in every onnxruntime
        )
        client.log_artifacts(run, str(local), path)


def _shape(value: Any) -> list[int]:
    """Return the sizes of all axes except the batch axis."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
