"""A synchronized reprojection-based model for 3D human pose estimation, in PyTorch.

What a program needs is here by name; each name loads what it needs when it is first used.
docs/guide/python.md has a complete example.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from synrep.config import TrainConfig, configure
    from synrep.datasets import open_poses
    from synrep.errors import DamagedError, Diverged, InputError, SynrepError
    from synrep.inference.evaluate import evaluate
    from synrep.inference.export import export
    from synrep.inference.lift import Lifted
    from synrep.inference.lifter import Lifter, load_lifter
    from synrep.training.loop import Training
    from synrep.training.train import resume, train

__all__ = [
    "DamagedError",
    "Diverged",
    "InputError",
    "Lifted",
    "Lifter",
    "SynrepError",
    "TrainConfig",
    "Training",
    "configure",
    "evaluate",
    "export",
    "load_lifter",
    "open_poses",
    "resume",
    "train",
]

_HOMES = {
    "synrep.config": ("TrainConfig", "configure"),
    "synrep.datasets": ("open_poses",),
    "synrep.errors": ("DamagedError", "Diverged", "InputError", "SynrepError"),
    "synrep.inference.evaluate": ("evaluate",),
    "synrep.inference.export": ("export",),
    "synrep.inference.lift": ("Lifted",),
    "synrep.inference.lifter": ("Lifter", "load_lifter"),
    "synrep.training.loop": ("Training",),
    "synrep.training.train": ("resume", "train"),
}
"""Modules, and the names that are taken from them."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
