"""The steps of a launch and of a resume, which the command line and Python share."""

from __future__ import annotations

from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from synrep_search.errors import LedgerError, LedgerLost, NoSearch
from synrep_search.paths import SearchPaths, home_dir, names

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from synrep_search.durability.ledger import Ledger
    from synrep_search.search.loop import Display, Runner, Search
    from synrep_search.search_file import Overrides, SearchSource, SearchSpec
    from synrep_search.workers.on_ray.cluster import Cluster


def open_ledger(paths: SearchPaths) -> Ledger:
    """The ledger of a search.

    Raises:
        LedgerError: there is no such search, or its database can't be used.
    """
    url = paths.ledger_url()
    from synrep_search.durability.ledger import Ledger

    ledger = Ledger.open(url, paths.name)
    ledger.lease.typed = paths.typed
    return ledger


def find_search(name: str, home: str | os.PathLike[str] | None = None) -> SearchPaths:
    """The folder of a search that is to go on.

    Args:
        name: a search of the home, or the storage URI of one: then it is brought into the home from
            the copy there.
        home: folder of all searches; $SYNREP_HOME or ./searches if omitted.

    Raises:
        LedgerError: no search can be called so, or there is no copy.
        LeaseHeld: a driver writes copies still.
        InputError: the storage can't be reached.
    """
    known = home_dir(home)
    if "/" not in name:
        return SearchPaths(known, name)
    from synrep_search.durability.restore import restore_copy

    return restore_copy(name, known)


def refuse_existing(paths: SearchPaths) -> None:
    """See that the home has no search of this name, other than one whose launch was cut off.

    Raises:
        LedgerError: it has.
    """
    if paths.name not in names(paths.home):
        return
    from synrep_search.durability.ledger import EXISTS

    try:
        open_ledger(paths).close()
    except NoSearch:
        return
    raise LedgerError(EXISTS.format(name=paths.name, typed=paths.typed))


def create_search(spec: SearchSpec, paths: SearchPaths, cluster: Cluster | None) -> None:
    """Make the ledger of a new search; if that fails, nothing is left of it.

    Args:
        spec: of the search.
        paths: of the search.
        cluster: that it will run on, which must be there first; None if it runs without Ray.

    Raises:
        LedgerError: there is such a search, or the database can't be used.
        InputError: the poses, the storage or the cluster can't be used.
    """
    from synrep_search.provenance import provenance

    origin = provenance(spec)
    from synrep_search.durability.ledger import Ledger

    with paths.begun():
        refuse_existing(paths)  # again: another launch may have been faster
        paths.check_storage(spec)
        if cluster is not None:
            cluster.require(spec.resources.cpu, spec.resources.gpu)
        if spec.ledger:  # first: a search that is made can be found
            paths.note_ledger(spec)
        Ledger.create(paths.ledger_url(spec), spec, origin).close()


def change_search(
    paths: SearchPaths,
    trials: int | None,
    search: SearchSource | None,
    overrides: Overrides,
    *,
    accept: bool,
) -> bool:
    """Change a search before it goes on; whether nothing is left to be trained.

    Raises:
        LeaseHeld: a driver runs it.
        LedgerError: the changes were not accepted, or can't be made.
        SpecError: the changed search breaks rules.
    """
    from synrep_search.durability.restore import changed_spec
    from synrep_search.durability.study.storage import lost_as_error
    from synrep_search.provenance import data_fingerprint
    from synrep_search.search.heartbeat import renewed
    from synrep_search.search_file.samplers import Task, require

    with (
        lost_as_error(paths.typed),
        closing(open_ledger(paths)) as ledger,
        ledger.lease,
        renewed(ledger.lease),
    ):
        if search is not None:
            after = changed_spec(ledger.spec, search, overrides, accept=accept)
            if data_fingerprint(after) != ledger.provenance["data"]:
                raise LedgerError("the file names other poses: results on them can't be compared")
            ledger.replace_spec(after)
        if trials is not None:
            spec = ledger.spec
            require(spec.search.sampler, Task(spec.space, trials, spec.start_from))
            ledger.set_target(trials)
        return ledger.target_met


@contextmanager
def ray_cluster(address: str | None, *, local: bool) -> Iterator[Cluster | None]:
    """Ray, which starts while the search is made ready; None if it is to run without."""
    if local:
        yield None
        return
    from synrep_search.workers.on_ray.cluster import Cluster

    with closing(Cluster(address)) as cluster:
        yield cluster


def run_to_end(paths: SearchPaths, cluster: Cluster | None, display: Display) -> Search:
    """Run a search to its target or until it is stopped, through failures of a database server.

    Returns:
        The search as it ended, with its ledger open.

    Raises:
        LedgerLost: the ledger failed, and waiting does not help: it is a file, the search was about
            to stop, or whoever waited has had enough.
        LeaseHeld: another driver runs it.
    """
    from synrep_search.durability.restore import when_back
    from synrep_search.durability.study.storage import UNREACHABLE
    from synrep_search.search.driver import run_search

    ledger = open_ledger(paths)  # by nobody else: it is big, and comes anew if its database fails
    try:
        while True:
            try:
                return run_search(ledger, paths, _runner(cluster), display)
            except LedgerLost as lost:
                # What fails in a file, as a full disk, takes somebody to mend it.
                if ledger.is_file or lost.stopping:
                    raise
                display.say(f"{lost}; waiting for it")
                failure = str(lost)  # the error itself would hold the ledger
            try:
                ledger = when_back(ledger, display.say)
            except KeyboardInterrupt:
                raise LedgerLost(failure) from None
            display.say("the ledger is back")
    except BaseException:
        with suppress(*UNREACHABLE):
            ledger.close()
        raise


def _runner(cluster: Cluster | None) -> Runner:
    if cluster is None:
        from synrep_search.workers.local import run

        return run
    from synrep_search.workers.on_ray.runner import RayRunner

    return RayRunner(cluster)
