"""Coming back to a search: from the copy of its ledger, or with a changed file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synrep.storage import Storage
from synrep_search.errors import LedgerError
from synrep_search.paths import LEDGER_FILE, SearchPaths
from synrep_search.spec import diff, load_spec

if TYPE_CHECKING:
    from pathlib import Path

    from synrep_search.spec import SearchSpec


def restore_copy(uri: str, home: Path) -> SearchPaths:
    """Bring the ledger of a search from its storage into a home.

    Raises:
        LedgerError: there is no copy, or the home has a search of that name already.
    """
    storage = Storage.at(uri.rstrip("/"))
    name = uri.rstrip("/").rpartition("/")[2]
    paths = SearchPaths(home, name)
    if paths.ledger_file.exists():
        raise LedgerError(
            f"{home} has a search {name!r} already: resume it by its name, or choose another --home"
        )
    if not storage.exists(LEDGER_FILE):
        raise LedgerError(f"{uri} holds no copy of a ledger ({LEDGER_FILE})")
    Storage.at(paths.folder).write(LEDGER_FILE, storage.read(LEDGER_FILE))
    return paths


def changed_spec(
    before: SearchSpec, file: Path, overrides: tuple[str, ...], *, accept: bool
) -> SearchSpec:
    """The specification in a changed file.

    Raises:
        LedgerError: it differs and the changes were not accepted; the message lists them. Or it
            has another goal.
    """
    after = load_spec(file, overrides, before.name)
    if _aim(after) != _aim(before):
        raise LedgerError(
            f"search {before.name!r} trains {before.trainer!r} to {before.search.direction} "
            f"{before.search.metric}, and its trials were judged by that: launch another search "
            "for another goal"
        )
    changes = diff(before, after)
    if changes and not accept:
        lines = "\n".join(f"  {line}" for line in changes)
        raise LedgerError(
            f"the file differs from what search {before.name!r} was launched with:\n{lines}\n"
            "take the changes with --accept-changes; trials that exist keep their values"
        )
    return after


def _aim(spec: SearchSpec) -> tuple[str, str, str]:
    return spec.trainer, spec.search.direction, spec.search.metric
