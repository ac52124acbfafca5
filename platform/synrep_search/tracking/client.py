"""Open an MLflow client with short time-outs; MLflow's defaults can block a call for minutes."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from synrep.storage import masked
from synrep_search.paths import artifact_folder, sqlite_file

# mlflow reads these when it is imported or called; the user's own settings take precedence.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
# The delivery retries itself: if the response to a request that created a run is lost, a blind
# retry would create a second run.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
# Otherwise MLflow looks up every run that ends, to print its URL.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

if TYPE_CHECKING:
    from mlflow.entities import Experiment

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.model_registry").setLevel(logging.WARNING)

UNAVAILABLE = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
"""Codes of transient errors: the same call may succeed later."""


class Refused(Exception):  # noqa: N818 - reads like the message that the delivery prints
    """MLflow accepts nothing of this search until the user solves a problem."""


def open_client(uri: str) -> MlflowClient:
    """Return a client of a tracking server or database; create the file of a new SQLite store."""
    file = sqlite_file(uri)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            # Several drivers and MLflow's UI share this file; with WAL, readers never wait for a
            # writer.
            connection.execute("PRAGMA journal_mode=WAL")
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of the experiment with this name; create the experiment if it is missing.

    Raises:
        Refused: the experiment was deleted.
    """
    experiment: Experiment | None = client.get_experiment_by_name(name)
    if experiment is None:
        file = sqlite_file(uri)
        location = None if file is None else artifact_folder(file).as_uri()
        try:
            return client.create_experiment(name, artifact_location=location)
        except MlflowException:
            experiment = client.get_experiment_by_name(name)  # another driver was faster
            if experiment is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise Refused(
            f"the experiment {name!r} was deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )
    return experiment.experiment_id


def is_refusal(error: MlflowException) -> bool:
    """Return whether the error is permanent: the server would reject every retry, too."""
    return error.error_code in {"INVALID_PARAMETER_VALUE", "INVALID_STATE"}


def reason(error: Exception) -> str:
    """Return the first line of an error message, with secrets masked."""
    lines = str(error).strip().splitlines()
    return masked(lines[0] if lines else type(error).__name__)[:300]
