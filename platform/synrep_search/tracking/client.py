"""Open an MLflow client with short time-outs; MLflow's defaults can block a call for minutes."""

from __future__ import annotations

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from synrep.storage import masked
from synrep_search.durability.database import cause_of
from synrep_search.paths import SQLITE, artifact_folder, sqlite_file
from synrep_search.tracking.store import Refused, half_made, make_ready

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
    from collections.abc import Callable

    from mlflow.entities import Experiment

logger = logging.getLogger(__name__)
logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
logging.getLogger("mlflow.store.model_registry").setLevel(logging.WARNING)

UNAVAILABLE = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
"""Codes of transient errors: the same call may succeed later."""


HALF_MADE = re.compile("already exists|no such (table|column)|duplicate column")
"""What SQLite says of migrations that begin where others ended."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def open_client(uri: str, say: Callable[[str], None] = logger.info) -> MlflowClient:
    """A client of a tracking server or database; a new SQLite store is made ready by the call.

    Args:
        uri: of the server or database.
        say: told that a SQLite store was moved.

    Raises:
        Refused: the database can't be used.
    """
    _go_straight(uri)
    file = sqlite_file(uri)
    try:
        if file is not None:
            make_ready(file, say)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        if file is not None:
            _remove_misnamed(uri, file)
        return client  # noqa: TRY300 - what follows is the failures'
    except SQLAlchemyError as error:  # also what migrations raise
        cause = cause_of(error)
        if file is not None and file.exists() and HALF_MADE.search(cause):
            cause = f"{cause}: {half_made(file)}"
        raise Refused(cause) from None


def _remove_misnamed(uri: str, file: Path) -> None:
    """Remove the empty folders that MLflow makes for a path whose `%` it does not decode."""
    made = Path(uri.removeprefix(SQLITE).partition("?")[0]).absolute()
    for folder in made.parents:
        if file.is_relative_to(folder):
            break
        with suppress(OSError):
            folder.rmdir()


def _go_straight(uri: str) -> None:
    """Use no proxy for a server on this machine, which a proxy elsewhere could not reach."""
    host = urlsplit(uri).hostname
    if host not in LOOPBACK:
        return
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if host not in known.split(",") and known != "*":
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, [known, host]))


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
