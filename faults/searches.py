"""The search files of the cells: small, and each trial's end depends on nothing but its number."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

SCRIPTED: dict[str, Any] = {
    "trainer": "scripted",
    "train": {"iterations": 48, "reports": 6, "sleep_s": 0.4},
    "space": {"x": {"float": [-1, 1]}, "y": {"float": [-1, 1]}},
    "search": {"minimize": "loss", "trials": 8, "sampler": {"random": {"seed": 5}}},
    "resources": {"cpu": 1, "slots": 3, "fuse": "off"},
}
SYNREP: dict[str, Any] = {
    "train": {
        "iterations": 400,
        "reports": 5,
        "batch_size": 32,
        "generator.width": 16,
        "generator.dropout": 0.1,
        "reprojection_network.width": 16,
        "critic.branch_width": 16,
        "evaluation.views": 128,
    },
    "space": {
        "loss.lambda_angle": {"log": [0.1, 10]},
        "optim.lr_generator": {"log": [1e-4, 1e-3]},
    },
    "search": {
        "minimize": "validation/mpjpe_mm",
        "trials": 4,
        "sampler": {"random": {"seed": 5}},
    },
    "resources": {"cpu": 1, "slots": 2, "fuse": "off"},
}
HALVING = {"early_stopping": {"asha": {"grace": 0.25, "reduction": 2}}}
FAILURES = {"retries": 6}
HANG_MINUTES = 0.5
"""Too short for the start of a GAN's process on a busy machine: only where it is waited for."""
LARGE = 1_000_000
"""Numbers in a scripted state that takes a while to be written."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The search of a cell, but for where things are kept.

    Attributes:
        sections: of the search file.
    """

    sections: dict[str, Any]

    @property
    def text(self) -> str:
        """The search file, which YAML reads as it is."""
        return json.dumps(self.sections, sort_keys=True)

    @property
    def trials(self) -> int:
        """Trials in all."""
        return int(self.sections["search"]["trials"])

    @property
    def iterations(self) -> int:
        """Length of a whole trial."""
        return int(self.sections["train"]["iterations"])

    @property
    def interval(self) -> int:
        """Iterations from one report to the next, and so from checkpoint to checkpoint."""
        train = self.sections["train"]
        return int(train["iterations"] // train["reports"])

    @property
    def together(self) -> int:
        """Trials that share a slot."""
        fuse = self.sections["resources"]["fuse"]
        return 1 if fuse == "off" else int(fuse)

    @property
    def reports(self) -> int:
        """Reports of a whole trial."""
        return int(self.sections["train"]["reports"])

    @property
    def rungs(self) -> set[int]:
        """Iterations of the reports at which trials are judged; all where none is."""
        length, step = self.reports * self.interval, self.interval
        if "early_stopping" not in self.sections["search"]:
            return set(range(step, length + 1, step))
        halving = self.sections["search"]["early_stopping"]["asha"]
        found, rung = set(), halving["grace"] * length
        while rung < length:
            found.add(-(-int(rung) // step) * step)
            rung *= halving["reduction"]
        return found

    def with_(self, **sections: dict[str, Any] | str) -> Plan:
        """The same with other values in some sections."""
        merged = dict(self.sections)
        for name, values in sections.items():
            before = merged.get(name, {})
            merged[name] = values if isinstance(values, str) else {**before, **values}
        return Plan(sections=merged)


def plan_of(fault: str, moment: str, trainer: str) -> Plan:
    """The search of a cell.

    At a rung there is one slot, so that the order of trials and with it all verdicts are the same
    in every run. Elsewhere nothing is stopped early, and slots work side by side.
    """
    scripted = trainer == "scripted"
    plan = Plan(sections=SCRIPTED if scripted else SYNREP)
    plan = plan.with_(failures=FAILURES, tracking={"keep_best": 0})
    if fault in ("trial-hangs", "trial-stopped"):
        plan = plan.with_(failures={"hang_minutes": HANG_MINUTES})
    if moment == "checkpointing" and scripted:
        plan = plan.with_(train={"state_size": LARGE, "save_s": 0.05})
    if scripted and fault.startswith(("node-", "mlflow-", "postgres-", "s3-")):
        plan = plan.with_(train={"sleep_s": 0.7})  # so that it outlasts what it waits for
    if fault == "two-drivers-by-uri":
        plan = plan.with_(train={"sleep_s": 4.0})  # so that it outlasts a look at its lease
    if moment == "at-a-rung":
        plan = plan.with_(search=HALVING, resources={"slots": 1})
        plan = plan.with_(train={"sleep_s": 0.25}) if scripted else plan
    if moment == "ending" and not scripted:
        plan = plan.with_(tracking={"keep_best": 1})
    if fault == "fused-slot-killed":
        plan = plan.with_(resources={"fuse": 2, "slots": 2})
    return plan
