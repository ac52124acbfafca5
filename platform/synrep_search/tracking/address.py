"""Where MLflow keeps its runs: questions about the address that need no mlflow."""

from __future__ import annotations

import re
from pathlib import Path

SQLITE = "sqlite:///"
_PASSWORD = re.compile(r"(://[^/@\s]*?:)[^/@\s]*@")
_SECRET_OPTION = re.compile(
    r"([?&][^=&\s]*(?:password|passwd|token|secret|key)[^=&\s]*=)[^&\s]*", re.IGNORECASE
)


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for a server or another database."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def artifact_folder(file: Path) -> Path:
    """Where the artifacts of a SQLite store are: beside it, wherever a process was started."""
    return file.parent / "mlartifacts"


def masked(text: str) -> str:
    """A text that can be shown: passwords and tokens of the addresses in it are hidden."""
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))
