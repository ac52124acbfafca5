"""The best generators of a search, exported by a process of their own: the driver has no torch.

Run as a module, this file is that process: it reads jobs, and prints what became of each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import uuid
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import synrep
from synrep.errors import DamagedError, InputError, SynrepError
from synrep.training.checkpoint import load_checkpoint
from synrep_search.durability.outbox import Event, export_folder
from synrep_search.errors import LedgerError
from synrep_search.paths import trial_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synrep.inference.lifter import Lifter
    from synrep.training.checkpoint import CheckpointRef
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial
    from synrep_search.paths import SearchPaths


class Exported(NamedTuple):
    """The folder of a generator, made or not, and the checkpoint that it comes from."""

    folder: Path
    trial: int
    ref: CheckpointRef

    @property
    def made(self) -> bool:
        """Whether it is there; it is never there in part."""
        return self.folder.exists()


def export_best(ledger: Ledger, paths: SearchPaths, say: Callable[[str], None]) -> None:
    """Export the best generators, hand them to MLflow, and put the very best into `best/`.

    Trainers other than `synrep` have no generator: nothing happens. Repeating it makes only what
    is missing, which includes what a driver elsewhere told of and MLflow does not have.
    """
    if ledger.spec.trainer != "synrep":
        return
    put = ledger.outbox.put
    kept = ledger.index.best(ledger.spec.tracking.keep_best)
    found = _export(ledger, paths, [*kept, *_owed(ledger, paths, kept)], say)
    _forget_lost(ledger, paths, found, say)
    for folder, number, ref in found.values():
        files = {"folder": folder.name}
        put(Event(trial=number, kind="artifacts", step=ref.iteration, payload=files))
        if kept and number == kept[0].number:
            champion = files | {"checkpoint": ref.sha256}
            put(Event(trial=number, kind="champion", step=ref.iteration, payload=champion))
            _replace(paths.best, folder)
    ledger.outbox.exports = paths.exports


def _owed(ledger: Ledger, paths: SearchPaths, kept: Sequence[Trial]) -> list[Trial]:
    """Other trials whose generators MLflow was to get, and that can be exported again."""
    numbers = {event.trial for event in ledger.outbox.files() if _is_target(ledger, paths, event)}
    return [ledger.trial(number) for number in sorted(numbers - {trial.number for trial in kept})]


def _forget_lost(
    ledger: Ledger, paths: SearchPaths, found: dict[int, Exported], say: Callable[[str], None]
) -> None:
    """Forget what MLflow was to get, where it is not here and can't be made again."""
    for event in ledger.outbox.files():
        folder = export_folder(event, paths.exports)
        if folder is not None and folder.is_dir():
            continue
        made_of_another = event.trial in found or not _is_target(ledger, paths, event)
        # Else its storage may only be away: then it waits for the next driver.
        if made_of_another or _are_gone(ledger, paths, event.trial):
            name = event.payload.get("folder")
            say(f"{name!r} of trial {event.trial} can't be made again: MLflow does without it")
            ledger.outbox.forget([event.id])


def _are_gone(ledger: Ledger, paths: SearchPaths, number: int) -> bool:
    """Whether a trial's checkpoints were deleted: their storage answers, and has none of them."""
    folder = trial_folder(number, ledger.trial(number).record.key)
    try:
        storage = paths.storage(ledger.spec)
        local = storage.local_path
        if local is not None and not any((local / folder).parent.glob("*")):
            return False  # no trial's folder is there: a disk that is not mounted looks like this
        return not any(storage.exists(f"{folder}/{ref.file}") for ref in ledger.checkpoints(number))
    except OSError:
        return False


def _is_target(ledger: Ledger, paths: SearchPaths, event: Event) -> bool:
    """Whether an event names the export of a checkpoint that its trial has."""
    if event.trial not in ledger.index:
        return False
    folder = export_folder(event, paths.exports)
    return folder in [target.folder for target in _targets(ledger, paths, event.trial)]


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
    trial = _with_generator(ledger, number)
    said: list[str] = []
    found = _export(ledger, paths, [trial], said.append)
    if trial.number not in found:
        raise LedgerError(said[-1])
    _replace(to, found[trial.number].folder)
    return trial.number


def trial_lifter(ledger: Ledger, paths: SearchPaths, number: int | None = None) -> Lifter:
    """The generator of a trial, or of the best one: exported, or from its newest good checkpoint.

    Raises:
        LedgerError: there is no such trial, or no generator yet.
    """
    trial = _with_generator(ledger, number)
    problem = "it has no checkpoint yet"
    for folder, _, ref in _targets(ledger, paths, trial.number):
        try:
            if folder.exists():
                return synrep.load_lifter(folder)
            storage = paths.storage(ledger.spec).child(trial_folder(trial.number, trial.record.key))
            return synrep.Lifter.of(load_checkpoint(storage, ref), f"trial {trial.number}")
        except (DamagedError, OSError) as error:
            problem = str(error)
    raise LedgerError(f"the generator of trial {trial.number} can't be read: {problem}")


def _with_generator(ledger: Ledger, number: int | None) -> Trial:
    """A trial, or the best one, of a search that trains generators."""
    if ledger.spec.trainer != "synrep":
        raise LedgerError(f"search {ledger.name!r} trains no generator: there is nothing to export")
    trial = ledger.index.first() if number is None else ledger.trial(number)
    if trial is None:
        raise LedgerError(f"search {ledger.name!r} has no report yet: there is nothing to export")
    return trial


def _export(
    ledger: Ledger, paths: SearchPaths, trials: Sequence[Trial], say: Callable[[str], None]
) -> dict[int, Exported]:
    """The exported generators of trials, by number; one process makes all that are missing.

    Each is made from its trial's newest good checkpoint. What can't be made is said and left out.
    """
    wanted = {trial.number: _targets(ledger, paths, trial.number) for trial in trials}
    missing = [number for number, those in wanted.items() if not (those and those[0].made)]
    problems = dict.fromkeys(missing, "it has no checkpoint yet")
    with TemporaryDirectory() as temporary:
        jobs = []
        for number in missing:
            sources = list(_sources(ledger, paths, wanted[number], Path(temporary), problems))
            if sources:
                metrics = _metrics(ledger, ledger.trial(number))
                jobs.append({"trial": number, "sources": sources, "metrics": metrics})
        if jobs:
            listed = ", ".join(str(job["trial"]) for job in jobs)
            say(f"exporting the best generators (of trials {listed})")
            problems |= _run(jobs, Path(temporary) / "jobs.json", say)
    found = {}
    for number, those in wanted.items():
        made = next((one for one in those if one.made), None)
        if made is None:
            say(f"the generator of trial {number} can't be exported: {problems[number]}")
        else:
            found[number] = made
    return found


def _targets(ledger: Ledger, paths: SearchPaths, number: int) -> list[Exported]:
    """Where the generators in a trial's checkpoints go, the newest first."""
    return [
        Exported(paths.exports / f"{number:04d}-{ref.sha256[:12]}", number, ref)
        for ref in ledger.checkpoints(number)
    ]


def _sources(
    ledger: Ledger,
    paths: SearchPaths,
    targets: list[Exported],
    temporary: Path,
    problems: dict[int, str],
) -> Iterator[dict[str, str]]:
    """Fetch a trial's checkpoints from the storage, and say which goes where."""
    for target in targets:
        file = target.ref.file
        folder = trial_folder(target.trial, ledger.trial(target.trial).record.key)
        local = temporary / f"{target.trial:04d}-{file}"
        try:
            local.write_bytes(paths.storage(ledger.spec).child(folder).read(file))
        except FileNotFoundError:
            problems[target.trial] = f"checkpoint {file} is missing"
        except OSError as error:
            problems[target.trial] = f"checkpoint {file} can't be read: {error}"
        else:
            yield {"checkpoint": str(local), "folder": str(target.folder)}


def _run(jobs: list[dict[str, Any]], file: Path, say: Callable[[str], None]) -> dict[int, str]:
    """Run jobs in a process of their own; what was wrong with each trial, if anything."""
    file.write_text(json.dumps(jobs), encoding="utf-8")
    words = [sys.executable, "-m", "synrep_search.tracking.exports", str(file)]
    found: dict[int, str] = {}
    with (
        file.with_suffix(".log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True) as process,  # noqa: S603 - our own words, no shell
    ):
        for line in process.stdout or ():
            done = json.loads(line)
            found[done["trial"]] = done["problem"]
            if not done["problem"]:
                say(f"exported trial {done['trial']} ({len(found)} of {len(jobs)})")
        process.wait()
        log.seek(0)
        last = (log.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    return {job["trial"]: f"the export broke off: {last}" for job in jobs} | found


def main(file: Path) -> None:
    """The process: run the jobs of a file, and print one line of JSON for each."""
    for job in json.loads(file.read_text(encoding="utf-8")):
        problem = ""
        for source in job["sources"]:
            folder = Path(source["folder"])
            try:
                if not folder.exists():
                    with redirect_stdout(sys.stderr):
                        synrep.export(Path(source["checkpoint"]), folder, job["metrics"])
            except SynrepError as error:
                problem = str(error)
            else:
                problem = ""
                break
        print(json.dumps({"trial": job["trial"], "problem": problem}), flush=True)  # noqa: T201 - for `_run`


def _metrics(ledger: Ledger, trial: Trial) -> dict[str, Any]:
    """All metrics of the trial's best report, with its number and iteration."""
    reports = {
        event.step: event.payload["metrics"] for event in ledger.outbox.reports(trial.number)
    }
    at = trial.best_iteration
    return {"trial": trial.number, "iteration": at, **reports.get(at, {})}


def _replace(target: Path, source: Path) -> None:
    """Put a copy of a folder in the place of another, which is there until the last moment."""
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    shutil.copytree(source, fresh)
    if target.exists():
        old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)
    else:
        fresh.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
