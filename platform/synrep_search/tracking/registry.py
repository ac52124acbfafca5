"""Register the best generator as a model version that MLflow can load and serve."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from synrep_search.durability.outbox import Event

ALIAS = "champion"
CHECKPOINT_TAG, TIME_TAG = "synrep.checkpoint", "synrep.time_ms"
REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]
"""Packages needed to serve the model; neither this project nor torch is among them."""


def register(client: MlflowClient, name: str, run: str, event: Event) -> None:
    """Register an exported generator as a version of the model `name`.

    The alias is set to the newest champion, in whatever order the champions arrive. The call is
    idempotent: an existing version of the same run and checkpoint is reused.

    Args:
        client: client of the model registry.
        name: name of the registered model.
        run: id of the trial's MLflow run.
        event: the champion event; its payload has the `folder` of the export and the SHA-256 of
            the exported `checkpoint`.
    """
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    checkpoint = event.payload["checkpoint"]
    versions = list(client.search_model_versions(f"name = '{name}'"))
    if not any(_is_of(version, run, checkpoint) for version in versions):
        # One folder per checkpoint: a version's files never change, even if its trial continues.
        path = f"model/{checkpoint[:12]}"
        _upload(client, run, Path(event.payload["folder"]), path)
        tags = {
            CHECKPOINT_TAG: checkpoint,
            TIME_TAG: str(event.time_ms),
            "synrep.trial": str(event.trial),
        }
        source = f"{client.get_run(run).info.artifact_uri}/{path}"
        versions.append(client.create_model_version(name, source=source, run_id=run, tags=tags))
    newest = max(versions, key=lambda one: (int(one.tags.get(TIME_TAG, 0)), int(one.version)))
    client.set_registered_model_alias(name, ALIAS, newest.version)


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
