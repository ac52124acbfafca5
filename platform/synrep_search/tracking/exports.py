"""Export the generators of a search from their checkpoints in a separate process.

The driver never imports torch. Run as a module, this file is the export process: it reads a list of
jobs from standard input and prints the outcome of each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import uuid
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple

import synrep
from synrep.errors import DamagedError, InputError, SynrepError
from synrep.storage import Storage
from synrep.training.checkpoint import load_checkpoint
from synrep_search.durability.outbox import Event
from synrep_search.errors import LedgerError
from synrep_search.paths import trial_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from synrep.inference.lifter import Lifter
    from synrep.training.checkpoint import CheckpointRef
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import Trial
    from synrep_search.paths import SearchPaths


class Outcome(NamedTuple):
    """The outcome of exporting one generator.

    Attributes:
        folder: folder of the export; empty if the export failed.
        sha256: checksum of the exported checkpoint.
        problem: why the export failed.
        lasting: whether a retry is pointless: the trial has no checkpoint, or no intact one.
    """

    folder: str = ""
    sha256: str = ""
    problem: str = ""
    lasting: bool = False


class Exports:
    """The exported generators of a search; each is exported once, on first request.

    The driver requests exports at the end of the search, the delivery whenever it has a generator
    to upload. Each export uses the newest intact checkpoint of its trial and is written atomically.

    Args:
        ledger: ledger of the search.
        paths: paths of the search.
        say: called with one line for each export and, once, for each problem.
    """

    def __init__(self, ledger: Ledger, paths: SearchPaths, say: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._paths = paths
        self._say = say
        self._known: dict[int, Outcome] = {}
        self._one_at_a_time = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def keep_best(self) -> None:
        """Export the best generators, copy the very best to `best/`, and queue them for MLflow.

        Does nothing for trainers other than `synrep`, which have no generator. Repeated calls
        export only what is missing.
        """
        ledger = self._ledger
        if ledger.spec.trainer != "synrep":
            return
        kept = ledger.index.best(ledger.spec.tracking.keep_best)
        with ledger.outbox.together():
            for rank, trial in enumerate(kept):
                put, step = ledger.outbox.put, trial.iteration
                put(Event(trial=trial.number, kind="artifacts", step=step, payload={}))
                if rank == 0:
                    put(Event(trial=trial.number, kind="champion", step=step, payload={}))
        outcomes = self.make(trial.number for trial in kept)
        best = outcomes[kept[0].number].folder if kept else ""
        if best:
            _replace(self._paths.best, Path(best))

    def make(self, numbers: Iterable[int]) -> dict[int, Outcome]:
        """Export the generators of trials, all in one process; return the outcomes by number."""
        with self._one_at_a_time:
            prepared = {number: self._prepare(number) for number in numbers}
            outcomes = {n: one for n, one in prepared.items() if isinstance(one, Outcome)}
            jobs = [one for one in prepared.values() if not isinstance(one, Outcome)]
            if jobs:
                outcomes |= self._run(jobs)
            for number, outcome in outcomes.items():
                if outcome.problem and outcome != self._known.get(number):
                    self._say(
                        f"the generator of trial {number} can't be exported: {outcome.problem}"
                    )
            self._known |= outcomes
        return outcomes

    def stop(self) -> None:
        """Terminate the export process if it is running; its exports can be requested again."""
        if self._process is not None:
            self._process.terminate()

    def _prepare(self, number: int) -> Outcome | dict[str, Any]:
        """Return the outcome if a trial is exported already or can't be, else the export job."""
        known = self._known.get(number, Outcome())
        if known.folder and Path(known.folder).exists():
            return known
        try:
            refs = self._ledger.checkpoints(number)
            folders = [_folder(self._paths, number, ref) for ref in refs]
            if folders and folders[0].exists():
                return Outcome(str(folders[0]), refs[0].sha256)
            trial = self._ledger.trial(number)
            storage = self._paths.storage(self._ledger.spec)
            return {
                "trial": number,
                "storage": storage.uri,
                "checkpoints": storage.child(trial_folder(number, trial.record.key)).uri,
                "sources": [
                    {"file": ref.file, "sha256": ref.sha256, "folder": str(folder)}
                    for ref, folder in zip(refs, folders, strict=True)
                ],
                "reports": self._reports(number),
            }
        except (LedgerError, InputError) as error:
            return Outcome(problem=str(error), lasting=isinstance(error, LedgerError))

    def _reports(self, number: int) -> dict[int, dict[str, float]]:
        """The metrics of all reports of a trial, by iteration."""
        reports = self._ledger.outbox.reports(number)
        return {event.step: event.payload["metrics"] for event in reports}

    def _run(self, jobs: list[dict[str, Any]]) -> dict[int, Outcome]:
        """Run jobs in a separate process; return their outcomes by trial number."""
        listed = ", ".join(str(job["trial"]) for job in jobs)
        self._say(f"exporting the best generators (of trials {listed})")
        command = [sys.executable, "-m", "synrep_search.tracking.exports"]
        outcomes: dict[int, Outcome] = {}
        with TemporaryFile("w+") as job_file, TemporaryFile("w+") as log:
            json.dump(jobs, job_file)
            job_file.seek(0)
            with subprocess.Popen(  # noqa: S603 - a fixed command, no shell
                command, stdin=job_file, stdout=subprocess.PIPE, stderr=log, text=True
            ) as process:
                self._process = process
                for line in process.stdout or ():
                    number, outcome = json.loads(line)
                    outcomes[number] = Outcome(*outcome)
                    if outcomes[number].folder:
                        self._say(f"exported trial {number} ({len(outcomes)} of {len(jobs)})")
            log.seek(0)
            last = (log.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        broken = Outcome(problem=f"the export process failed: {last}")
        return {job["trial"]: broken for job in jobs} | outcomes


def export_trial(ledger: Ledger, paths: SearchPaths, number: int | None, to: Path) -> int:
    """Export the generator of a trial into a new folder.

    Args:
        ledger: ledger of the search.
        paths: paths of the search.
        number: number of the trial; None for the best one.
        to: the new folder.

    Returns:
        Number of the exported trial.

    Raises:
        InputError: the folder already exists.
        LedgerError: there is no such trial, or nothing to export yet.
    """
    if to.exists():
        raise InputError(str(to), "exists already", "remove it or name another folder")
    trial = _with_generator(ledger, number)
    said: list[str] = []
    folder = Exports(ledger, paths, said.append).make([trial.number])[trial.number].folder
    if not folder:
        raise LedgerError(said[-1])
    _replace(to, Path(folder))
    return trial.number


def trial_lifter(ledger: Ledger, paths: SearchPaths, number: int | None = None) -> Lifter:
    """Load the generator of a trial from its export or its newest intact checkpoint.

    Args:
        ledger: ledger of the search.
        paths: paths of the search.
        number: number of the trial; None for the best one.

    Raises:
        LedgerError: there is no such trial, or it has no generator yet.
    """
    trial = _with_generator(ledger, number)
    problem = "it has no checkpoint yet"
    for ref in ledger.checkpoints(trial.number):
        try:
            folder = _folder(paths, trial.number, ref)
            if folder.exists():
                return synrep.load_lifter(folder)
            storage = paths.storage(ledger.spec).child(trial_folder(trial.number, trial.record.key))
            return synrep.Lifter.of(load_checkpoint(storage, ref), f"trial {trial.number}")
        except (DamagedError, OSError) as error:
            problem = str(error)
    raise LedgerError(f"the generator of trial {trial.number} can't be read: {problem}")


def _with_generator(ledger: Ledger, number: int | None) -> Trial:
    """Return a trial (None: the best one) of a search that trains generators."""
    if ledger.spec.trainer != "synrep":
        raise LedgerError(f"search {ledger.name!r} trains no generator: there is nothing to export")
    trial = ledger.index.first() if number is None else ledger.trial(number)
    if trial is None:
        raise LedgerError(f"search {ledger.name!r} has no report yet: there is nothing to export")
    return trial


def _folder(paths: SearchPaths, number: int, ref: CheckpointRef) -> Path:
    """Return the folder to which the generator of a checkpoint is exported."""
    return paths.exports / f"{number:04d}-{ref.sha256[:12]}"


def main() -> None:
    """Run the export process: read jobs from standard input, print a line of JSON for each."""
    with TemporaryDirectory() as temporary:
        for job in json.load(sys.stdin):
            with redirect_stdout(sys.stderr):
                outcome = _export(job, Path(temporary))
            print(json.dumps([job["trial"], outcome]), flush=True)  # noqa: T201 - for `_run`


def _export(job: dict[str, Any], temporary: Path) -> Outcome:
    """Export a generator from the first of its checkpoints that is intact."""
    problem, lasting = "it has no checkpoint", True
    for source in job["sources"]:
        file, folder = source["file"], Path(source["folder"])
        try:
            if not folder.exists():
                checkpoint = temporary / file
                checkpoint.write_bytes(Storage.at(job["checkpoints"]).read(file))
                lifter = synrep.load_lifter(checkpoint)
                synrep.export(lifter, folder, _metrics(job, lifter.iteration))
        except FileNotFoundError:
            problem = f"checkpoint {file} is missing"
            lasting = lasting and _has_trials(Storage.at(job["storage"]))
        except SynrepError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - one failing trial must not block the others
            problem, lasting = f"checkpoint {file} can't be exported: {error}", False
        else:
            return Outcome(str(folder), source["sha256"])
    return Outcome(problem=problem, lasting=lasting)


def _has_trials(storage: Storage) -> bool:
    """Return whether a storage has the folder of any trial; an unmounted disk has none."""
    local = storage.local_path
    return local is None or any((local / "trials").glob("*"))


def _metrics(job: dict[str, Any], iteration: int) -> dict[str, Any]:
    """All metrics of the report at which the exported weights were saved, with the trial."""
    reports = job["reports"]  # their iterations are text, as JSON has it
    return {"trial": job["trial"], "iteration": iteration, **reports.get(str(iteration), {})}


def _replace(target: Path, source: Path) -> None:
    """Replace a folder with a copy of another; the old folder stays until the copy is complete."""
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
    main()
