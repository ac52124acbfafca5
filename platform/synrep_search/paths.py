"""File layout of a home and its searches.

HOME/
  mlflow.db, mlartifacts/       MLflow store of all searches, unless a tracking server is given
  NAME/
    search.json                 the ledger note: URL of the ledger, if it is in another database
    ledger.sqlite               the ledger, otherwise
    trials/0007-9f86d081/       checkpoints of trial 7, unless a separate storage is given
    best/                       export of the best generator
    exports/0007-9f86d081884c/  export of another kept generator, by trial and checkpoint
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from synrep.errors import InputError
from synrep.storage import Storage
from synrep_search.errors import LedgerError
from synrep_search.locks import exclusive
from synrep_search.search_file.model import LEDGER_URL, NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synrep_search.search_file import SearchSpec

SQLITE = "sqlite:///"
LEDGER_FILE, NOTE_FILE = "ledger.sqlite", "search.json"


def home_dir(given: str | os.PathLike[str] | None = None) -> Path:
    """Return the home: `given` if set, else $SYNREP_HOME, else ./searches."""
    return Path(given or os.environ.get("SYNREP_HOME") or "searches").absolute()


class SearchPaths:
    """The paths of one search.

    Args:
        home: the home of the search.
        name: name of the search.

    Raises:
        LedgerError: `name` is not a valid name of a search.
    """

    def __init__(self, home: Path, name: str) -> None:
        if not NAME.fullmatch(name):
            raise LedgerError(f"{name!r} is not a valid name of a search")
        self.home = home
        self.name = name
        self.folder = home / name
        self.best = self.folder / "best"
        self.exports = self.folder / "exports"

    @property
    def ledger_file(self) -> Path:
        """File of the ledger, if the ledger is a SQLite file."""
        return self.folder / LEDGER_FILE

    @property
    def typed(self) -> str:
        """Arguments that identify the search on a command line: name, and a non-default home."""
        if self.home == home_dir():
            return self.name
        return f"{self.name} --home {shlex.quote(str(self.home))}"

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Create the folder of a new search, and remove it if the launch inside the block fails.

        Another launch under this name waits meanwhile.

        Raises:
            LedgerError: the home can't be written.
        """
        new_home = not self.home.exists()
        try:
            with self._alone():
                note, new = self.folder / NOTE_FILE, not self.folder.exists()
                had_note = note.exists()
                self.folder.mkdir(exist_ok=True)
                try:
                    yield
                except BaseException:
                    if not had_note:
                        note.unlink(missing_ok=True)
                    if new:
                        shutil.rmtree(self.folder, ignore_errors=True)
                    raise
        except BaseException:
            if new_home:
                with suppress(OSError):  # another launch uses it
                    self.home.rmdir()
            raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Make sure that no other launch makes a search of this name."""
        lock = exclusive(self.home / f".{self.name}.lock")
        try:
            lock.__enter__()
        except OSError as error:
            raise LedgerError(
                f"the home {self.home} can't be written ({error.strerror or error}): name another "
                "folder by --home or $SYNREP_HOME"
            ) from None
        with ExitStack() as stack:
            stack.push(lock)
            yield

    def ledger_url(self, spec: SearchSpec | None = None) -> str:
        """Return the database URL of the ledger.

        Args:
            spec: specification of a new search; for an existing search, None: the URL is then
                read from its ledger note, if it has one.

        Raises:
            LedgerError: the home has no such search, or its ledger note is invalid.
        """
        if spec is not None:
            return spec.ledger or sqlite_url(self.ledger_file)
        note = self.folder / NOTE_FILE
        if note.exists():
            return _read_note(note)
        if not self.ledger_file.exists():
            existing = ", ".join(names(self.home)) or "none"
            raise LedgerError(f"no search {self.name!r} in {self.home} (there are: {existing})")
        return sqlite_url(self.ledger_file)

    def check_storage(self, spec: SearchSpec) -> None:
        """Check that a separate storage can be used for this new search.

        Raises:
            LedgerError: the storage already contains a search of this name.
            InputError: the storage can't be used.
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
                f"{storage.uri} already contains a search: resume it with `synrep-search resume "
                f"{storage.uri}`, or launch under another name with --name"
            )

    def is_here(self, storage: Storage) -> bool:
        """Return whether a storage is the folder of this search, after resolving links."""
        path = storage.local_path
        return path is not None and path.resolve() == self.folder.resolve()

    def note_ledger(self, spec: SearchSpec) -> None:
        """Write the ledger note, with the URL of a ledger that is not in this folder."""
        Storage.at(self.folder).write(NOTE_FILE, json.dumps({"ledger": spec.ledger}).encode())

    def share_note(self, spec: SearchSpec) -> None:
        """Copy the ledger note, if any, to the search's storage, for drivers on other machines."""
        folder, storage = Storage.at(self.folder), self.storage(spec)
        if folder.exists(NOTE_FILE) and not storage.exists(NOTE_FILE):
            storage.write(NOTE_FILE, folder.read(NOTE_FILE))

    def storage(self, spec: SearchSpec) -> Storage:
        """Return the storage of the search's checkpoints.

        Raises:
            InputError: the storage can't be accessed.
        """
        if not spec.storage:
            return Storage.at(self.folder)
        try:
            return Storage.at(spec.storage).child(self.name)
        except OSError as error:
            raise unusable(spec.storage, error) from None

    def tracking_uri(self, spec: SearchSpec) -> str:
        """Return the MLflow tracking URI: the one in the specification, or the home's own store."""
        return spec.tracking.uri or sqlite_url(self.home / "mlflow.db")


def unusable(uri: str, error: OSError) -> InputError:
    """Return the error to raise for a storage that can't be accessed or fails."""
    rule = f"can't be used: {str(error).strip() or type(error).__name__}"
    return InputError(f"storage {uri}", rule, "fix the cause, then try again")


def _read_note(note: Path) -> str:
    """Return the ledger URL in a ledger note, or raise LedgerError."""
    try:
        url = json.loads(note.read_text(encoding="utf-8"))["ledger"]
    except (OSError, ValueError, KeyError, TypeError):
        url = None
    if not isinstance(url, str) or not LEDGER_URL.fullmatch(url):
        raise LedgerError(f"{note} contains no valid ledger URL: correct it, or remove it")
    return url


def trial_folder(number: int, key: str) -> str:
    """Return the folder of a trial's checkpoints within the search's storage.

    Args:
        number: number of the trial.
        key: hash of its parameters and seed. A search restored from an older ledger copy may
            create a different trial with this number, which must not find these checkpoints.
    """
    return f"trials/{number:04d}-{key[:8]}"


def names(home: Path) -> list[str]:
    """Return the names of the searches in a home, sorted."""
    if not home.is_dir():
        return []
    return sorted(
        path.name
        for path in home.iterdir()
        if (path / LEDGER_FILE).exists() or (path / NOTE_FILE).exists()
    )


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None for a server or another database."""
    if not uri.startswith(SQLITE):
        return None
    return Path(unquote(uri.removeprefix(SQLITE).partition("?")[0])).absolute()


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite file.

    SQLAlchemy cuts a path at `?` and decodes `%`, and Optuna fills in what stands in braces.
    """
    return SQLITE + re.sub("[%?{}]", lambda found: f"%{ord(found[0]):02X}", str(file))


def artifact_folder(file: Path) -> Path:
    """Return the artifact folder of a SQLite store, which is next to its file."""
    return file.parent / "mlartifacts"
