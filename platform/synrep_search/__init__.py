"""Distributed search over synchronized reprojection GANs: Ray Tune, Optuna and MLflow.

What a program needs is here by name; each name loads what it needs when it is first used.
docs/guide/python.md has a complete example.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from synrep_search.api import SearchHandle, launch, open_search, resume
    from synrep_search.errors import LeaseHeld, LedgerError, LedgerLost, NoSearch, SpecError
    from synrep_search.search_file import SearchSpec, load_spec

__all__ = [
    "LeaseHeld",
    "LedgerError",
    "LedgerLost",
    "NoSearch",
    "SearchHandle",
    "SearchSpec",
    "SpecError",
    "launch",
    "load_spec",
    "open_search",
    "resume",
]

_HOMES = {
    "synrep_search.api": ("SearchHandle", "launch", "open_search", "resume"),
    "synrep_search.errors": ("LeaseHeld", "LedgerError", "LedgerLost", "NoSearch", "SpecError"),
    "synrep_search.search_file": ("SearchSpec", "load_spec"),
}
"""Modules, and the names that are taken from them."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
