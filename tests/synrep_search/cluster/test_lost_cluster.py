"""A whole cluster is lost, with its files; another one elsewhere goes on from the storage."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from synrep_search.durability.ledger import Ledger
from synrep_search.paths import SearchPaths

from tests.services.process import wait_until

from .conftest import LENGTH, PATIENCE_S, SEARCH, TRIALS, all_reports

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(600)
def test_another_cluster_goes_on_from_the_storage(place, alone, tmp_path: Path) -> None:
    """Head and driver die, home and nodes' folders are gone: the end is the same, bit for bit."""
    search = place.search(SEARCH, ledger=False)
    home, folder = tmp_path / "home", place.folder / "lost"
    prefix = f"searches/{search.name}/trials/"

    def checkpoints() -> dict[str, str]:
        listed = place.objects.client().list_objects_v2(Bucket="bucket", Prefix=prefix)
        files = [item for item in listed.get("Contents", ()) if item["Size"]]
        return {item["Key"]: str(item["LastModified"]) for item in files}

    with place.cluster(folder, 2, network="127.0.1") as lost:
        driver = search.begin("launch", str(search.file), "--yes", home=home, ray=lost)
        wait_until(
            lambda: len(checkpoints()) >= 5 or driver.poll() is not None, "files", PATIENCE_S
        )
        assert driver.poll() is None, search.output
        lost.kill_head()
        driver.kill()
        driver.wait()
    before = checkpoints()
    shutil.rmtree(home)
    shutil.rmtree(folder)

    elsewhere = tmp_path / "elsewhere"
    with place.cluster(place.folder / "new", 2, network="127.0.2") as new:
        assert new.address != lost.address
        driver = search.begin("resume", search.uri, home=elsewhere, ray=new)
        made_again = set()
        while driver.poll() is None:  # older ones are removed by and by
            made_again |= {
                key for key, when in checkpoints().items() if before.get(key, when) != when
            }
            time.sleep(0.2)
        search.finish(driver)

    assert_ends_as(alone, SearchPaths(elsewhere, search.name))
    assert not made_again
    assert {run.info.status for run in search.runs().values()} == {"FINISHED"}


def assert_ends_as(alone: dict[int, dict[int, Any]], paths: SearchPaths) -> None:
    """All trials are completed, with the reports that they have in an undisturbed search."""
    with closing(Ledger.open(paths.ledger_url(), paths.name)) as ledger:
        trials = ledger.index.trials()
        found = all_reports(ledger)
    assert [trial.state for trial in trials] == ["completed"] * TRIALS
    for number, steps in alone.items():
        for step, (metrics, checkpoint) in steps.items():
            again, ref = found[number][step]
            assert again == metrics, (number, step)
            # A report that came back from a later checkpoint names none: its own was replaced.
            assert ref == checkpoint or (ref is None and step < LENGTH), (number, step)
