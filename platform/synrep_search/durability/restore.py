"""Coming back to a search: from its storage, with a changed file, or when its database is back."""

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
from synrep_search.paths import LEDGER_FILE, NOTE_FILE, SearchPaths, names, unusable
from synrep_search.search_file import diff, load_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from synrep_search.search_file import SearchSpec


SILENT_S = 2 * COPY_S + 15.0
"""A driver that lives has copied its ledger by then. A store may date a copy by its beginning: one
that takes long looks twice as old when the next appears."""
LOOK_S = 1.0


def restore_copy(uri: str, home: Path) -> SearchPaths:
    """Bring a search from its storage into a home: its ledger, or the note where that is.

    A copied ledger also gets back the reports that it lacks, from the checkpoints, and goes on
    with the storage that it was found in. If it was in use when it was copied, it is watched for a
    while first.

    Raises:
        LedgerError: there is no copy, it is of another name, or the home has such a search.
        LeaseHeld: a driver writes copies still.
        InputError: the storage can't be reached.
    """
    try:
        return _restored(Storage.at(uri.rstrip("/")), home)
    except OSError as error:
        raise unusable(uri, error) from None


def _restored(storage: Storage, home: Path) -> SearchPaths:
    place, mark, options = storage.uri.partition("?")
    folder, _, name = place.rpartition("/")
    paths = SearchPaths(home, name)
    if name in names(home):
        raise LedgerError(
            f"{home} has a search {name!r} already: resume it by its name, or choose another --home"
        )
    with paths.begun():
        if storage.exists(NOTE_FILE):
            Storage.at(paths.folder).write(NOTE_FILE, storage.read(NOTE_FILE))
            Ledger.open(paths.ledger_url(), name).close()
        elif storage.exists(LEDGER_FILE):
            _take_over(storage, f"{folder}{mark}{options}", paths)
        else:
            rule = f"holds neither a ledger ({LEDGER_FILE}) nor {NOTE_FILE}"
            raise LedgerError(f"{storage.uri} {rule}")
    return paths


def _take_over(storage: Storage, place: str, paths: SearchPaths) -> None:
    """Bring a copied ledger into a home; it gets its name there when all of that is done.

    Args:
        storage: of the search.
        place: where that lies.
        paths: of the search, on this machine.
    """
    written = storage.modified(LEDGER_FILE)
    with TemporaryDirectory(prefix=".restored-", dir=paths.folder) as staging:
        file, claimed = Path(staging, LEDGER_FILE), Path(staging, "claimed")
        file.write_bytes(storage.read(LEDGER_FILE))
        with closing(Ledger.open(f"sqlite:///{file}", paths.name)) as ledger:
            if not ledger.lease.is_free():
                _await_silence(storage, written)
                ledger.lease.free()
            with ledger.lease:
                ledger.replace_spec(ledger.spec.model_copy(update={"storage": place}))
                for trial in ledger.index.trials():
                    if not trial.ended:
                        recover(ledger, trial.number, storage)
                # Whoever else wants it, or wakes up and had it, sees that it is taken.
                ledger.backup(claimed)
                storage.write(LEDGER_FILE, claimed.read_bytes())
            ledger.backup(paths.ledger_file)


def _await_silence(storage: Storage, written: float) -> None:
    """Return when the copy of a ledger is older than a living driver would let it become.

    Ages go by the storage's own clock: that of the driver may differ from ours.

    Args:
        storage: of the search.
        written: when the copy was written that was read.

    Raises:
        LeaseHeld: it was written anew.
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
                "end that one first, by `synrep-search stop` on its machine"
            )
        if silent_s > SILENT_S:
            return
        time.sleep(LOOK_S)


def when_back(ledger: Ledger, say: Callable[[str], None]) -> Ledger:
    """A search whose database failed, read anew as soon as it works; its lease is given back.

    Args:
        ledger: the search, as it was.
        say: told why the database does not work, if that changes.

    Raises:
        NoSearch: the database works, and the search is not in it any more.
    """
    pauses, told = chain((1.0, 2.0, 4.0), repeat(5.0)), ""
    while True:
        try:
            ledger.lease.release()
            ledger.close()
            return Ledger.open(ledger.url, ledger.name)
        except NoSearch:
            raise
        except LedgerError as error:
            if str(error) != told:
                say(told := str(error))
        except UNREACHABLE:
            pass
        time.sleep(next(pauses))


def changed_spec(
    before: SearchSpec, file: Path, overrides: tuple[str, ...], *, accept: bool
) -> SearchSpec:
    """The specification in a changed file.

    Raises:
        LedgerError: it differs and the changes were not accepted; the message lists them. Or it
            changes what the trials there are can't go on with: goal, addresses, what is trained.
    """
    after = load_spec(file, overrides, before.name)
    if _aim(after) != _aim(before):
        raise LedgerError(
            f"search {before.name!r} trains {before.trainer!r} to {before.search.direction} "
            f"{before.search.metric}, and its trials were judged by that: launch another search "
            "for another goal"
        )
    changes = diff(before, after)
    for line in changes:
        if _is_settled(line.partition(":")[0], before):
            raise LedgerError(
                f"the trials of search {before.name!r} can't go on with another value of {line}\n"
                "give it its old value, or launch another search with --name"
            )
    if changes and not accept:
        lines = "\n".join(f"  {line}" for line in changes)
        raise LedgerError(
            f"the file differs from what search {before.name!r} was launched with:\n{lines}\n"
            "take the changes with --accept-changes; trials that exist keep their points, and "
            "those that have ended are not run again"
        )
    return after


def _is_settled(key: str, before: SearchSpec) -> bool:
    """Whether a key must stay as it was at the launch: a trial takes its checkpoints with it."""
    section, _, name = key.partition(".")
    if section != "train":
        return key in ("ledger", "storage")
    # Trials hold their own values of what was searched.
    free = ("iterations", "reports", *before.space.names)
    return not any(f"{name}.".startswith(f"{one}.") for one in free)


def _aim(spec: SearchSpec) -> tuple[str, str, str]:
    return spec.trainer, spec.search.direction, spec.search.metric
