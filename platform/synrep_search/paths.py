"""Every path of a search, spelled in one place.

HOME/
  mlflow.db, mlartifacts/     runs of all searches in this home, unless a tracking server is named
  NAME/
    search.json               where the ledger is, if not here
    ledger.sqlite
    trials/0007-9f86d081/     checkpoints of trial 7, unless a storage is named
    best/                     the best generator, exported
    exports/0007-9f86d081884c/  a generator that is kept, by trial and checkpoint
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from synrep.errors import InputError
from synrep.storage import Storage
from synrep_search.errors import LedgerError
from synrep_search.search_file.model import LEDGER_URL, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synrep_search.search_file import SearchSpec

SQLITE = "sqlite:///"
LEDGER_FILE, NOTE_FILE = "ledger.sqlite", "search.json"


def home_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder of all searches: as given, $SYNREP_HOME, or ./searches."""
    return Path(given or os.environ.get("SYNREP_HOME") or "searches").absolute()


class SearchPaths:
    """The folder of one search.

    Args:
        home: of all searches.
        name: of this one.

    Raises:
        LedgerError: no search can be called so.
    """

    def __init__(self, home: Path, name: str) -> None:
        if not NAME.fullmatch(name):
            raise LedgerError(f"{name!r} is not the name of a search")
        self.home = home
        self.name = name
        self.folder = home / name
        self.best = self.folder / "best"
        self.exports = self.folder / "exports"

    @property
    def ledger_file(self) -> Path:
        """The SQLite ledger, if it is one."""
        return self.folder / LEDGER_FILE

    @property
    def typed(self) -> str:
        """What a shell command needs to find the search: its name, and a home that is not usual."""
        if self.home == home_dir():
            return self.name
        return f"{self.name} --home {shlex.quote(str(self.home))}"

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder of a new search; if its launch fails inside, nothing is left of it."""
        note = self.folder / NOTE_FILE
        made = [path for path in (self.folder, self.home) if not path.exists()]
        noted = note.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except BaseException:
            if not noted:
                note.unlink(missing_ok=True)
            for path in made:
                shutil.rmtree(path, ignore_errors=True)
            raise

    def ledger_url(self, spec: SearchSpec | None = None) -> str:
        """Database of the ledger: as the specification says, or as it was noted at the launch.

        Raises:
            LedgerError: there is no such search here.
        """
        if spec is not None:
            return spec.ledger or f"sqlite:///{self.ledger_file}"
        note = self.folder / NOTE_FILE
        if note.exists():
            return _noted(note)
        if not self.ledger_file.exists():
            known = ", ".join(names(self.home)) or "none"
            raise LedgerError(f"no search {self.name!r} in {self.home} (there are: {known})")
        return f"sqlite:///{self.ledger_file}"

    def check_storage(self, spec: SearchSpec) -> None:
        """See that a storage elsewhere is free for this search.

        Raises:
            LedgerError: it holds a search of that name.
            InputError: it can't be used.
        """
        storage = self.storage(spec)
        if self.is_here(storage):
            return
        try:
            taken = storage.exists(LEDGER_FILE) or storage.exists(NOTE_FILE)
        except OSError as error:
            raise unusable(storage.uri, error) from None
        if taken:
            raise LedgerError(
                f"{storage.uri} holds a search already: go on with it by `synrep-search resume "
                f"{storage.uri}`, or launch under another name with --name"
            )

    def is_here(self, storage: Storage) -> bool:
        """Whether a storage is this folder, by whatever links it is reached."""
        place = storage.local_path
        return place is not None and place.resolve() == self.folder.resolve()

    def note_ledger(self, spec: SearchSpec) -> None:
        """Remember a ledger that is not in this folder."""
        Storage.at(self.folder).write(NOTE_FILE, json.dumps({"ledger": spec.ledger}).encode())

    def share_note(self, spec: SearchSpec) -> None:
        """Put that note into the search's storage, where there is one, for other machines."""
        here, storage = Storage.at(self.folder), self.storage(spec)
        if here.exists(NOTE_FILE) and not storage.exists(NOTE_FILE):
            storage.write(NOTE_FILE, here.read(NOTE_FILE))

    def storage(self, spec: SearchSpec) -> Storage:
        """Where checkpoints go.

        Raises:
            InputError: it can't be reached.
        """
        if not spec.storage:
            return Storage.at(self.folder)
        try:
            return Storage.at(spec.storage).child(self.name)
        except OSError as error:
            raise unusable(spec.storage, error) from None

    def tracking_uri(self, spec: SearchSpec) -> str:
        """MLflow's store: as the specification says, or the home's own."""
        return spec.tracking.uri or f"sqlite:///{self.home / 'mlflow.db'}"


def unusable(uri: str, error: OSError) -> InputError:
    """The error of a storage that can't be reached, or does not do what it should."""
    rule = f"can't be used: {str(error).strip() or type(error).__name__}"
    return InputError(f"storage {uri}", rule, "see to it, then try again")


def _noted(note: Path) -> str:
    """The address in a note."""
    try:
        url = json.loads(note.read_text(encoding="utf-8"))["ledger"]
    except (OSError, ValueError, KeyError, TypeError):
        url = None
    if not isinstance(url, str) or not LEDGER_URL.fullmatch(url):
        raise LedgerError(f"{note} does not say where the ledger is: write it anew, or remove it")
    return url


def trial_folder(number: int, key: str) -> str:
    """Folder of a trial's checkpoints within the search's storage.

    Args:
        number: of the trial.
        key: of its parameters and seed: a search that lost its last moments may make another trial
            of that number, which must not meet these files.
    """
    return f"trials/{number:04d}-{key[:8]}"


def names(home: Path) -> list[str]:
    """Names of the searches in a home."""
    if not home.is_dir():
        return []
    return sorted(
        path.name
        for path in home.iterdir()
        if (path / LEDGER_FILE).exists() or (path / NOTE_FILE).exists()
    )


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for a server or another database."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def artifact_folder(file: Path) -> Path:
    """Where the artifacts of a SQLite store are: beside it, wherever a process was started."""
    return file.parent / "mlartifacts"
