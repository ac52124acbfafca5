"""Where MLflow keeps its runs: questions about the address that need no mlflow."""

from __future__ import annotations

from pathlib import Path

SQLITE = "sqlite:///"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for a server or another database."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def artifact_folder(file: Path) -> Path:
    """Where the artifacts of a SQLite store are: beside it, wherever a process was started."""
    return file.parent / "mlartifacts"
