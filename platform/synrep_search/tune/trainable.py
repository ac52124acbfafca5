"""What runs in a trial's process. One process serves many trials, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Trainable

from synrep_search.trial import TrialJob, TrialRun

if TYPE_CHECKING:
    from synrep_search.trial import TrialReport

JOB, REPORT = "job", "report"
"""Keys of the only values that pass through Tune, both JSON texts: Tune keeps windows of
statistics for each number that it sees."""


class Attempt(Trainable):
    """An attempt of a trial as Tune sees it; checkpoints are ours, not Tune's."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the attempt that the job describes."""
        self.attempt = TrialRun(TrialJob.model_validate_json(config[JOB]))

    def step(self) -> dict[str, Any]:
        """Train to the next report."""
        report: TrialReport = self.attempt.advance()
        return {REPORT: report.model_dump_json(), "done": bool(report.ended)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over another attempt in this process, which has its libraries loaded already."""
        self.setup(new_config)
        return True
