"""The best generators of a search, exported by a process of their own: the driver has no torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synrep.errors import InputError
from synrep_search.errors import LedgerError
from synrep_search.ledger.outbox import Event
from synrep_search.paths import trial_folder

if TYPE_CHECKING:
    from synrep.checkpoint import CheckpointRef
    from synrep_search.ledger.ledger import Ledger
    from synrep_search.ledger.records import Trial
    from synrep_search.paths import SearchPaths
    from synrep_search.search import View


def export_best(ledger: Ledger, paths: SearchPaths, view: View) -> None:
    """Export the best generators, hand them to MLflow, and put the very best into `best/`.

    Trainers other than `synrep` have no generator: nothing happens. Repeating it makes only what
    is missing.
    """
    if ledger.spec.trainer != "synrep":
        return
    put = ledger.outbox.put
    kept = ledger.index.best(ledger.spec.tracking.keep_best)
    for rank, trial in enumerate(kept):
        view.say(f"exporting the generator of trial {trial.number} ({rank + 1} of {len(kept)})")
        try:
            folder, ref = _export(ledger, paths, trial)
        except LedgerError as error:
            view.say(str(error))
            continue
        step = ref.iteration
        files = {"folder": str(folder), "to": "generator"}
        put(Event(trial=trial.number, kind="artifacts", step=step, payload=files))
        if rank == 0:
            champion = {"folder": str(folder), "checkpoint": ref.sha256, "trial": trial.number}
            put(Event(trial=trial.number, kind="champion", step=step, payload=champion))
            _replace(paths.best, folder)


def export_trial(ledger: Ledger, paths: SearchPaths, number: int | None, to: Path) -> int:
    """Export the generator of a trial, or of the best one, into a new folder.

    Returns:
        The trial's number.

    Raises:
        InputError: the folder exists.
        LedgerError: there is no such trial, or nothing to export yet.
    """
    if to.exists():
        raise InputError(str(to), "exists already", "remove it or name another folder")
    trial = ledger.index.first() if number is None else ledger.trial(number)
    if trial is None:
        raise LedgerError(f"search {ledger.name!r} has no report yet: there is nothing to export")
    folder, _ = _export(ledger, paths, trial)
    shutil.copytree(folder, to)
    return trial.number


def _export(ledger: Ledger, paths: SearchPaths, trial: Trial) -> tuple[Path, CheckpointRef]:
    """The exported generator of a trial's newest good checkpoint, made if there is none."""
    refs = ledger.checkpoints(trial.number)
    storage = paths.storage(ledger.spec).child(trial_folder(trial.number))
    problem = "it has no checkpoint yet"
    for ref in refs:
        folder = paths.exports / f"{trial.number:04d}-{ref.sha256[:12]}"
        if folder.exists():
            return folder, ref
        with TemporaryDirectory() as temporary:
            local = Path(temporary) / ref.file
            try:
                local.write_bytes(storage.read(ref.file))
            except FileNotFoundError:
                problem = f"checkpoint {ref.file} is missing"
                continue
            metrics = Path(temporary) / "metrics.json"
            metrics.write_text(json.dumps(_metrics(ledger, trial)), encoding="utf-8")
            words = ["export", str(local), "--to", str(folder), "--metrics", str(metrics)]
            done = subprocess.run(  # noqa: S603 - our own words, no shell
                [sys.executable, "-m", "synrep.cli", *words],
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode == 0:
            return folder, ref
        problem = (done.stderr or done.stdout).strip().splitlines()[-1]
    raise LedgerError(f"the generator of trial {trial.number} can't be exported: {problem}")


def _metrics(ledger: Ledger, trial: Trial) -> dict[str, Any]:
    """All metrics of the trial's best report, with its number and iteration."""
    reports = {
        event.step: event.payload["metrics"] for event in ledger.outbox.reports(trial.number)
    }
    at = trial.best_iteration
    return {"trial": trial.number, "iteration": at, **reports[at]}


def _replace(target: Path, source: Path) -> None:
    """Put a copy of a folder in the place of another, which is there until the last moment."""
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    shutil.copytree(source, fresh)
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)
    else:
        fresh.rename(target)
