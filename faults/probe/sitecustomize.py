"""What the fault matrix puts into other processes; Python imports it at their start.

Two things, each asked for by an environment variable, and neither changes what is computed:

- `FAULTS_CLOCK`, a file: while it exists, `time.time` is off by the seconds that it holds.
- `FAULTS_JOURNAL`, a file: the GAN's trainings keep a journal in it, as the scripted one does.
"""

from __future__ import annotations

import os
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def shift_clock(path: Path) -> None:
    """Have `time.time` obey a file."""
    true_time = time.time

    def shifted() -> float:
        try:
            return true_time() + float(path.read_text(encoding="utf-8") or 0)
        except FileNotFoundError:
            return true_time()

    time.time = shifted


def journal(path: str, seed: int, iteration: int, word: str) -> None:
    """Add a line, as `synrep_search.workers.scripted.Journal` does."""
    from synrep_search.workers.scripted import (  # noqa: PLC0415 - at the start it isn't wanted
        Journal,
    )

    Journal(path, seed).write(iteration, word)


def watch_gan(module: Any, path: str) -> None:
    """Have each training note its iterations."""
    iterate = module.Gan.iterate

    def iterate_and_note(self: Any, iteration: int) -> None:
        iterate(self, iteration)
        journal(path, self.config.seed, iteration + 1, "done")

    module.Gan.iterate = iterate_and_note


def watch_fused(module: Any, path: str) -> None:
    """Have each slice of a fused training note its iterations."""
    iterate = module.FusedGan.iterate

    def iterate_and_note(self: Any) -> None:
        iterate(self)
        for member in self.members:
            journal(path, member.config.seed, member.iteration, "done")

    module.FusedGan.iterate = iterate_and_note


def watch_state(module: Any, path: str) -> None:
    """Have each training note that its state is about to be saved."""
    assemble = module.assemble

    def note_and_assemble(progress: Any, *rest: Any) -> Any:
        journal(path, progress.config.seed, progress.iteration, "save")
        return assemble(progress, *rest)

    module.assemble = note_and_assemble


WATCHED: dict[str, Callable[[Any, str], None]] = {
    "synrep.training.step": watch_gan,
    "synrep.training.fused.step": watch_fused,
    "synrep.training.state": watch_state,
}


class Watcher(MetaPathFinder, Loader):
    """Lets a watched module be loaded as ever, and then adds to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._loaders: dict[str, Loader] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that another finder gives, with this object as its loader."""
        if fullname not in WATCHED or fullname in self._loaders:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                self._loaders[fullname] = spec.loader
                spec.loader = self
                return spec
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._loaders[spec.name].create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the module's own loader does, and then watch it."""
        self._loaders[module.__name__].exec_module(module)
        WATCHED[module.__name__](module, self._path)


if "FAULTS_CLOCK" in os.environ:
    shift_clock(Path(os.environ["FAULTS_CLOCK"]))
if "FAULTS_JOURNAL" in os.environ:
    sys.meta_path.insert(0, Watcher(os.environ["FAULTS_JOURNAL"]))
