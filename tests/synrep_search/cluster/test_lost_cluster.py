"""A whole cluster is lost, with its files; another one elsewhere goes on from the storage."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from synrep_search.ledger.ledger import Ledger
from synrep_search.paths import SearchPaths

from tests.services.process import wait_until

from .conftest import PATIENCE_S, all_reports

if TYPE_CHECKING:
    from pathlib import Path

TRIALS, REPORTS, LENGTH = 4, 6, 720
SEARCH = f"""\
train:
  iterations: {LENGTH}
  reports: {REPORTS}
  batch_size: 32
  generator.width: 32
  generator.dropout: 0.1
  reprojection_network.width: 32
  critic.branch_width: 16
  evaluation.views: 256
space: {{loss.lambda_angle: {{log: [0.1, 10]}}}}
search: {{minimize: validation/mpjpe_mm, trials: {TRIALS}, sampler: {{random: {{seed: 7}}}}}}
resources: {{fuse: off}}
"""


@pytest.mark.timeout(600)
def test_another_cluster_goes_on_from_the_storage(place, tmp_path: Path) -> None:
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
        search.finish(search.begin("resume", search.uri, home=elsewhere, ray=new))

    ledger = Ledger.open(SearchPaths(elsewhere, search.name).ledger_url(), search.name)
    with closing(ledger):
        trials = ledger.index.trials()
        found = all_reports(ledger)
    for number, steps in place.alone(SEARCH).items():
        for step, (metrics, checkpoint) in steps.items():
            assert found[number][step][0] == metrics, (number, step)
            # A report that came back from a later checkpoint names none: its own was replaced.
            assert found[number][step][1] in (checkpoint, *[None] * (step < LENGTH))
    assert [trial.state for trial in trials] == ["completed"] * TRIALS
    after = checkpoints()
    kept = {key: when for key, when in before.items() if key in after}
    assert kept, "no checkpoint of before is left"
    assert {key: after[key] for key in kept} == kept, "a checkpoint was made a second time"
    assert {run.info.status for run in search.runs().values()} == {"FINISHED"}
