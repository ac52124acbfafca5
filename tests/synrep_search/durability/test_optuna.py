"""What Optuna's own programs find in a ledger: the studies in it are ordinary ones."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from tests.services.process import LOCALHOST, Server, free_port, wait_until
from tests.services.trials import begin_trial

if TYPE_CHECKING:
    from synrep_search.durability.ledger import Ledger
    from synrep_search.durability.records import StateName

SPACE = {
    "loss.lambda_angle": {"log": [0.01, 10]},
    "generator.dropout": {"float": [0, 0.5], "step": 0.1},
    "critic.steps": {"int": [1, 5]},
    "kcs.weighting": {"one_of": {"tanh": {"scale": {"log": [0.25, 4]}}, "uniform": {}}},
}
ENDS: list[tuple[StateName, TrialState]] = [
    ("completed", TrialState.COMPLETE),
    ("stopped_early", TrialState.PRUNED),
    ("diverged", TrialState.PRUNED),
    ("failed", TrialState.FAIL),
    ("completed", TrialState.COMPLETE),
    ("completed", TrialState.COMPLETE),
]


class Dashboard(Server):
    """optuna-dashboard on a database."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, "dashboard")
        self._url = url
        self._port = free_port()

    def command(self) -> list[str]:
        """Its program, beside our Python."""
        program = Path(sys.executable).parent / "optuna-dashboard"
        where = ["--host", LOCALHOST, "--port", str(self._port), "--server", "wsgiref"]
        return [str(program), self._url, *where]

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            self.get("meta")
        except OSError:
            return False
        return True

    def get(self, path: str) -> Any:
        """What its JSON API says."""
        url = f"http://{LOCALHOST}:{self._port}/api/{path}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.loads(answer.read())


def finished(ledgers, make_spec, make_report) -> Ledger:
    """The ledger of a search whose trials have ended in every way."""
    metric = "validation/mpjpe_mm"
    stopping = {"early_stopping": {"asha": {"grace": 0.3, "reduction": 2}}}
    search = {"minimize": metric, "trials": len(ENDS), "sampler": {"random": {"seed": 1}}}
    train = {"iterations": 9, "reports": 9}
    spec = make_spec(trainer="synrep", train=train, space=SPACE, search=search | stopping)
    ledger: Ledger = ledgers.create(spec)
    for number, (state, _) in enumerate(ENDS):
        trial = begin_trial(ledger)
        assert trial is not None
        for iteration in (3, 6, 9):
            report = make_report(trial, iteration, metrics={metric: 100.0 - iteration - number})
            ledger.report(report, None, "")
        ledger.end(number, state, "a cause")
    return ledger


def test_optuna_loads_the_study(ledgers, make_spec, make_report) -> None:
    """By `load_study`: states, values, parameters, distributions, and the best trial."""
    ledger = finished(ledgers, make_spec, make_report)
    storage = optuna.storages.RDBStorage(ledgers.url)
    study = optuna.load_study(study_name=ledger.name, storage=storage)
    found, first, direction = study.get_trials(), study.best_trial, study.direction
    storage.remove_session()
    storage.engine.dispose()
    assert [trial.state for trial in found] == [state for _, state in ENDS]
    for trial in found:
        assert trial.params == ledger.trial(trial.number).params
        assert set(trial.params) == set(trial.distributions)
        complete = trial.state is TrialState.COMPLETE
        assert trial.value == (91.0 - trial.number if complete else None)
        assert trial.intermediate_values[9] == 91.0 - trial.number
        assert trial.distributions["loss.lambda_angle"] == FloatDistribution(0.01, 10, log=True)
        assert trial.distributions["generator.dropout"] == FloatDistribution(0, 0.5, step=0.1)
        assert trial.distributions["critic.steps"] == IntDistribution(1, 5)
        family = CategoricalDistribution(("tanh", "uniform"))
        assert trial.distributions["kcs.weighting"] == family
        conditional = "kcs.weighting.tanh.scale" in trial.params
        assert conditional == (trial.params["kcs.weighting"] == "tanh")
    assert {trial.params["kcs.weighting"] for trial in found} == {"tanh", "uniform"}
    best = ledger.index.first()
    assert best is not None
    assert (first.number, first.value) == (best.number, best.value)
    assert direction.name == "MINIMIZE"


@pytest.mark.timeout(300)
def test_the_dashboard_shows_it(sqlite_ledgers, make_spec, make_report, tmp_path) -> None:
    """Optuna's dashboard lists the study with all of its trials, and changes nothing in it."""
    ledger = finished(sqlite_ledgers, make_spec, make_report)
    before = ledger._study.optuna.get_trials()
    with Dashboard(tmp_path / "dashboard", ledger.url) as dashboard:
        (summary,) = dashboard.get("studies")["study_summaries"]
        assert summary["study_name"] == ledger.name

        def trials() -> Any:  # it reads them in the background
            return dashboard.get(f"studies/{summary['study_id']}").get("trials")

        wait_until(lambda: len(trials() or ()) == len(ENDS), "the dashboard to read the trials")
        shown = trials()
    assert [trial["number"] for trial in shown] == list(range(len(ENDS)))
    words = {"Complete": TrialState.COMPLETE, "Pruned": TrialState.PRUNED, "Fail": TrialState.FAIL}
    assert [words[trial["state"]] for trial in shown] == [state for _, state in ENDS]
    values = {trial["number"]: trial["values"] for trial in shown if "values" in trial}
    assert values == {0: [91.0], 4: [87.0], 5: [86.0]}
    for trial, known in zip(shown, before, strict=True):
        assert {one["name"] for one in trial["params"]} == set(known.params)
    assert ledger._study.optuna.get_trials() == before
