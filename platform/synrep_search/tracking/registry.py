"""The best generator as a model version, loadable and servable by MLflow's own commands."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

ALIAS = "champion"
SOURCE_TAG = "synrep.checkpoint"
REQUIREMENTS = ["onnx", "onnxruntime", "numpy"]
"""What serving the model takes: not this project, and not torch."""


def register(client: MlflowClient, name: str, run: str, payload: dict[str, Any]) -> ModelVersion:
    """Make the generator exported to `payload['folder']` the champion of the model `name`.

    Repeating it changes nothing: the version of the same checkpoint is found again.
    """
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = _version_of(client, name, payload["checkpoint"])
    if version is None:
        _upload(client, run, Path(payload["folder"]))
        root = client.get_run(run).info.artifact_uri
        version = client.create_model_version(
            name,
            source=f"{root}/model",
            run_id=run,
            tags={SOURCE_TAG: payload["checkpoint"], "synrep.trial": str(payload["trial"])},
        )
    client.set_registered_model_alias(name, ALIAS, version.version)
    return version


def _version_of(client: MlflowClient, name: str, checkpoint: str) -> ModelVersion | None:
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(SOURCE_TAG) == checkpoint:
            return version
    return None


def _upload(client: MlflowClient, run: str, folder: Path) -> None:
    """Write the ONNX model in MLflow's format and store it with the run."""
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
        path = Path(temporary) / "model"
        mlflow.onnx.save_model(
            model, str(path), signature=signature, pip_requirements=list(REQUIREMENTS)
        )
        client.log_artifacts(run, str(path), "model")


def _shape(value: Any) -> list[int]:
    """Sizes of all axes but the batch."""
    return [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
