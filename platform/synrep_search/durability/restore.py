"""Reopening a search: from its storage, with a changed file, or after a database failure."""

from __future__ import annotations

import time
import uuid
from contextlib import closing
from itertools import chain, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synrep.storage import Storage
from synrep_search.durability.backup import COPY_S
from synrep_search.durability.ledger import Ledger
from synrep_search.durability.recovery import recover
from synrep_search.durability.study.storage import UNREACHABLE
from synrep_search.errors import LeaseHeld, LedgerError, NoSearch
from synrep_search.paths import (
    LEDGER_FILE,
    NOTE_FILE,
    SearchPaths,
    names,
    sqlite_url,
    unusable,
)
from synrep_search.search_file import diff, load_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep_search.search_file import Overrides, SearchSource, SearchSpec


SILENT_S = 2 * COPY_S + 15.0
"""A driver that is alive updates its ledger copy within this time. It is more than two intervals,
because an object store may date an upload by its start, so that a slow upload looks older."""
POLL_S = 1.0


def restore_copy(uri: str, home: Path) -> SearchPaths:
    """Restore a search from its storage into a home: the ledger copy or the ledger note.

    The reports that a ledger copy lacks are recovered from the checkpoints, and the search keeps
    using the storage at `uri`. If a driver held the lease when the copy was made, the copy is
    first watched until that driver must be dead.

    Args:
        uri: storage of the search, `STORAGE/NAME`.
        home: the home to restore into.

    Returns:
        The paths of the search in `home`.

    Raises:
        LedgerError: the storage has no ledger of this name, or the home already has the search.
        LeaseHeld: a driver is still writing copies.
        InputError: the storage can't be accessed.
    """
    try:
        return _restored(Storage.at(uri.rstrip("/")), home)
    except OSError as error:
        raise unusable(uri, error) from None


def _restored(storage: Storage, home: Path) -> SearchPaths:
    location, mark, options = storage.uri.partition("?")
    parent, _, name = location.rpartition("/")
    paths = SearchPaths(home, name)
    if name in names(home):
        raise LedgerError(
            f"{home} already has a search {name!r}: resume it by name, or choose another --home"
        )
    with paths.begun():
        if storage.exists(NOTE_FILE):
            Storage.at(paths.folder).write(NOTE_FILE, storage.read(NOTE_FILE))
            Ledger.open(paths.ledger_url(), name).close()
        elif storage.exists(LEDGER_FILE):
            _take_over(storage, f"{parent}{mark}{options}", paths)
        else:
            missing = f"neither a ledger ({LEDGER_FILE}) nor {NOTE_FILE}"
            raise LedgerError(f"{storage.uri} contains {missing}")
    return paths


def _take_over(storage: Storage, parent: str, paths: SearchPaths) -> None:
    """Install a ledger copy in a home. The ledger file appears there as the last step.

    Args:
        storage: the search's storage.
        parent: URI of the storage that contains it, for the specification.
        paths: the paths of the search in the home.

    Raises:
        LeaseHeld: a driver is still writing copies.
    """
    written = storage.modified(LEDGER_FILE)
    with TemporaryDirectory(prefix=".restored-", dir=paths.folder) as staging:
        file, claimed = Path(staging, LEDGER_FILE), Path(staging, "claimed")
        file.write_bytes(storage.read(LEDGER_FILE))
        with closing(Ledger.open(sqlite_url(file), paths.name)) as ledger:
            if not ledger.lease.is_free():
                _await_silence(storage, written)
                ledger.lease.free()
            with ledger.lease:
                ledger.replace_spec(ledger.spec.model_copy(update={"storage": parent}))
                for trial in ledger.index.trials():
                    if not trial.ended:
                        recover(ledger, trial.number, storage)
                # This copy, with our lease, tells other drivers that the search is taken over,
                # including a previous one that was only suspended.
                ledger.backup(claimed)
                storage.write(LEDGER_FILE, claimed.read_bytes())
            ledger.backup(paths.ledger_file)


def _await_silence(storage: Storage, written: float) -> None:
    """Wait until the ledger copy is older than a driver that is alive would let it become.

    Its age is measured by the clock of the storage, since the clocks of machines may differ.

    Args:
        storage: the search's storage.
        written: modification time of the ledger copy that was read.

    Raises:
        LeaseHeld: the copy was updated in the meantime.
    """
    probe = f".{uuid.uuid4().hex[:8]}.now"
    while True:
        storage.write(probe, b"")
        try:
            silent_s = storage.modified(probe) - written
        finally:
            storage.delete(probe)
        if storage.modified(LEDGER_FILE) != written:
            raise LeaseHeld(
                f"{storage.uri} is in use: a driver has just written a copy of its ledger there; "
                "stop it first with `synrep-search stop` on its machine"
            )
        if silent_s > SILENT_S:
            return
        time.sleep(POLL_S)


def when_back(ledger: Ledger, say: Callable[[str], None]) -> Ledger:
    """Wait until a failed database works again, release the lease and reopen the ledger.

    Args:
        ledger: the ledger before the failure; it is closed.
        say: shows a line to the user: the reason of the failure, whenever it changes.

    Returns:
        The reopened ledger.

    Raises:
        NoSearch: the database works but no longer contains the search.
    """
    delays, shown = chain((1.0, 2.0, 4.0), repeat(5.0)), ""
    while True:
        try:
            ledger.lease.release()
            ledger.close()
            return Ledger.open(ledger.url, ledger.name)
        except NoSearch:
            raise
        except LedgerError as error:
            if str(error) != shown:
                say(shown := str(error))
        except UNREACHABLE:
            pass
        time.sleep(next(delays))


def changed_spec(
    before: SearchSpec, search: SearchSource, overrides: Overrides, *, accept: bool
) -> SearchSpec:
    """Return the specification of a changed search file.

    Args:
        before: the current specification of the search.
        search: the search file, or its content.
        overrides: settings given on the command line.
        accept: whether the user accepts changes.

    Raises:
        LedgerError: the specification differs and the changes were not accepted (the message lists
            them), or existing trials can't continue with a change: to the trainer, the objective,
            the ledger, the storage, or the training configuration.
    """
    after = _keep_old_default(before, load_spec(search, overrides, before.name))
    if _objective(after) != _objective(before):
        raise LedgerError(
            f"search {before.name!r} trains {before.trainer!r} to {before.search.direction} "
            f"{before.search.metric}; trainer and objective can't be changed: launch another "
            "search instead"
        )
    changes = diff(before, after)
    for line in changes:
        if _is_frozen(line.partition(":")[0], before):
            raise LedgerError(
                f"trials of search {before.name!r} can't continue with another value of {line}\n"
                "restore the old value, or launch another search with --name"
            )
    if changes and not accept:
        lines = "\n".join(f"  {line}" for line in changes)
        raise LedgerError(
            f"the file differs from the specification of search {before.name!r}:\n{lines}\n"
            "accept the changes with --accept-changes; existing trials keep their points, and "
            "ended trials are not run again"
        )
    return after


def _keep_old_default(before: SearchSpec, after: SearchSpec) -> SearchSpec:
    """Keep `data.sh_map: geometric`, its former default, in a search begun with it.

    A file that doesn't name the field has today's default, which the search can't continue with;
    it acts when keypoints are lifted, so that no result of the search depends on it.
    """
    data = after.train.get("data", {})
    former = before.train.get("data", {}).get("sh_map") == "geometric"
    if not former or data.get("sh_map") != "fitted":
        return after
    train = {**after.train, "data": {**data, "sh_map": "geometric"}}
    return after.model_copy(update={"train": train})


def _is_frozen(key: str, before: SearchSpec) -> bool:
    """Return whether a key can't change, because existing trials depend on it."""
    section, _, name = key.partition(".")
    if section != "train":
        return key in ("ledger", "storage")
    # Each trial has its own values of the searched names.
    changeable = ("iterations", "reports", *before.space.names)
    return not any(f"{name}.".startswith(f"{one}.") for one in changeable)


def _objective(spec: SearchSpec) -> tuple[str, str, str]:
    return spec.trainer, spec.search.direction, spec.search.metric
