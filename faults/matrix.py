"""The cells of the matrix: which fault, at which moment, on which trainer; and what is left out.

A cell is one search in which a fault is injected some times. A combination that is left out has
its reason here, and `--list` and the document show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOMENTS = {
    "starting": "a driver is on its way: from its first second to the first attempt it begins",
    "mid-trial": "some trial is between two reports",
    "at-a-rung": "some trial has just reached an iteration at which early stopping judges it",
    "checkpointing": "some trial has been asked for its state, which is about to be written",
    "delivering": "MLflow has taken some events of the outbox, and others wait",
    "ending": "one trial is left and in its last stretch, or the last one has just ended",
}
TRAINERS = ("scripted", "synrep")

NOT_STARTING = "there is nothing to hit before the first attempt"
NOT_DELIVERING = "slots have no part in it: as mid-trial"
SAME_GAN = "it hits no trial's process, so the trainer makes no difference: see mid-trial"
SLOW_GAN = "a cluster is lost whole, whatever trains: see mid-trial"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault.

    Attributes:
        what: what is done, in words.
        moments: number of injections in a scripted search, by moment.
        gan: the same for the GAN.
        left_out: moments without a meaning, and why.
        gan_left_out: why the GAN's moments are fewer, where they are.
        intervals: checkpoint intervals that an interruption may cost a trial.
    """

    what: str
    moments: dict[str, int]
    gan: dict[str, int]
    left_out: dict[str, str] = field(default_factory=dict)
    gan_left_out: str = ""
    intervals: int = 1


def _all(count: int) -> dict[str, int]:
    return dict.fromkeys(MOMENTS, count)


def _some(count: int, *moments: str) -> dict[str, int]:
    return dict.fromkeys(moments, count)


_IN_SLOTS = ("mid-trial", "at-a-rung", "checkpointing", "ending")
_OF_SLOTS = {"starting": NOT_STARTING, "delivering": NOT_DELIVERING}
_SERVICE = ("starting", "mid-trial", "delivering", "ending")
_OF_SERVICE = {
    "at-a-rung": "no trial waits for it: as mid-trial",
    "checkpointing": "no trial waits for it: as mid-trial",
}
_RESUMED = {
    moment: "it shows at the next resume alone, whenever that was interrupted: see mid-trial"
    for moment in MOMENTS
    if moment != "mid-trial"
}
_STORAGE = ("starting", "mid-trial", "checkpointing", "ending")
_OF_STORAGE = {
    "at-a-rung": "what is written at a rung is a checkpoint: see checkpointing",
    "delivering": "delivery uses MLflow and the ledger: see there",
}

FAULTS: dict[str, Fault] = {
    "driver-kill-9": Fault(what="the driver gets SIGKILL; `resume`", moments=_all(3), gan=_all(2)),
    "driver-sigterm": Fault(
        what="the driver gets SIGTERM and ends; `resume`",
        moments=_all(2),
        gan=_all(2),
        intervals=0,
    ),
    "driver-sigint-twice": Fault(
        what="the driver gets SIGINT twice within a second; `resume`",
        moments=_all(2),
        gan=_some(2, "mid-trial", "checkpointing", "ending"),
        gan_left_out="the first signal is as SIGTERM, the second does not touch the slots",
        intervals=0,
    ),
    "trial-killed": Fault(
        what="the process of a slot with one trial gets SIGKILL",
        moments=_some(4, *_IN_SLOTS),
        gan=_some(2, *_IN_SLOTS),
        left_out=_OF_SLOTS,
    ),
    "fused-slot-killed": Fault(
        what="the process of a slot with two trials gets SIGKILL; the GAN's are fused",
        moments=_some(2, "mid-trial", "checkpointing", "ending"),
        gan=_some(2, "mid-trial", "checkpointing", "ending"),
        left_out=_OF_SLOTS | {"at-a-rung": "two trials in a slot have no order of verdicts"},
    ),
    "trial-hangs": Fault(
        what="an iteration never comes back (in Python, where other threads go on)",
        moments=_some(1, "mid-trial"),
        gan={},
        left_out={m: "a training hangs in an iteration" for m in MOMENTS if m != "mid-trial"},
        gan_left_out="what hangs is what the script makes hang",
    ),
    "trial-stopped": Fault(
        what="the process of a slot gets SIGSTOP, and stays so",
        moments=_some(1, "mid-trial"),
        gan=_some(1, "mid-trial"),
        left_out={m: "as mid-trial" for m in MOMENTS if m != "mid-trial"},
    ),
    "node-killed": Fault(
        what="a worker node gets SIGKILL with all of its processes; another one joins",
        moments=_some(2, "starting", *_IN_SLOTS),
        gan=_some(2, "mid-trial", "checkpointing"),
        left_out={"delivering": NOT_DELIVERING},
        gan_left_out="as trial-killed, which has all moments",
    ),
    "head-killed": Fault(
        what="the head node gets SIGKILL; the driver ends; a new cluster; `resume`",
        moments=_some(1, "starting", "mid-trial", "at-a-rung", "checkpointing", "delivering"),
        gan=_some(1, "mid-trial"),
        left_out={"ending": "no trial is left that needs it: see mid-trial"},
        gan_left_out=SLOW_GAN,
    ),
    "mlflow-down": Fault(
        what="the MLflow server gets SIGKILL, and comes back after some seconds",
        moments=_some(2, *_SERVICE),
        gan=_some(1, "ending"),
        left_out=_OF_SERVICE,
        gan_left_out=SAME_GAN,
    ),
    "mlflow-slow": Fault(
        what="every answer of MLflow takes a second longer",
        moments=_some(2, *_SERVICE),
        gan=_some(1, "ending"),
        left_out=_OF_SERVICE,
        gan_left_out=SAME_GAN,
    ),
    "mlflow-errors": Fault(
        what="MLflow answers every request with status 503 for some seconds",
        moments=_some(2, *_SERVICE),
        gan=_some(1, "ending"),
        left_out=_OF_SERVICE,
        gan_left_out=SAME_GAN,
    ),
    "postgres-restarted": Fault(
        what="the ledger's PostgreSQL is killed, and is back after some seconds",
        moments=_all(2),
        gan=_some(2, "mid-trial"),
        gan_left_out=SAME_GAN,
    ),
    "s3-down": Fault(
        what="the checkpoints' S3 store refuses connections for some seconds",
        moments=_some(2, *_STORAGE),
        gan=_some(1, "checkpointing"),
        left_out=_OF_STORAGE,
        gan_left_out="checkpoints of both trainers take one way",
    ),
    "s3-slow": Fault(
        what="every answer of the S3 store takes a second longer",
        moments=_some(2, *_STORAGE),
        gan=_some(1, "checkpointing"),
        left_out=_OF_STORAGE,
        gan_left_out="checkpoints of both trainers take one way",
    ),
    "s3-errors": Fault(
        what="the S3 store answers every request with status 503 for some seconds",
        moments=_some(2, *_STORAGE),
        gan=_some(1, "checkpointing"),
        left_out=_OF_STORAGE,
        gan_left_out="checkpoints of both trainers take one way",
    ),
    "s3-away": Fault(
        what="the S3 store refuses connections for so long that trials are deferred",
        moments=_some(1, "mid-trial"),
        gan={},
        left_out={m: "trials wait at their next checkpoint" for m in MOMENTS if m != "mid-trial"},
        gan_left_out="checkpoints of both trainers take one way",
    ),
    "disk-full": Fault(
        what="the disk of home and checkpoints fills up; the driver ends; room; `resume`",
        moments=_some(2, "mid-trial", "checkpointing", "ending"),
        gan=_some(1, "checkpointing"),
        left_out={
            "starting": "a launch that fails leaves nothing: tests of the command line",
            "at-a-rung": "as checkpointing",
            "delivering": "as mid-trial",
        },
        gan_left_out="checkpoints of both trainers take one way",
    ),
    "clock-jumps": Fault(
        what="the driver's clock jumps an hour ahead, later an hour back",
        moments=_some(2, "mid-trial", "at-a-rung", "delivering", "ending"),
        gan=_some(2, "mid-trial"),
        left_out={
            "starting": "nothing was timed yet: as mid-trial",
            "checkpointing": "slots have clocks of their own: as mid-trial",
        },
        gan_left_out=SAME_GAN,
    ),
    "checkpoint-truncated": Fault(
        what="SIGKILL for the driver; a newest checkpoint loses its second half; `resume`",
        moments=_some(2, "mid-trial"),
        gan=_some(1, "mid-trial"),
        left_out=_RESUMED,
        intervals=2,
    ),
    "checkpoint-flipped": Fault(
        what="SIGKILL for the driver; one bit of a newest checkpoint flips; `resume`",
        moments=_some(2, "mid-trial"),
        gan=_some(1, "mid-trial"),
        left_out=_RESUMED,
        intervals=2,
    ),
    "checkpoint-missing": Fault(
        what="SIGKILL for the driver; a newest checkpoint vanishes; `resume`",
        moments=_some(2, "mid-trial"),
        gan=_some(1, "mid-trial"),
        left_out=_RESUMED,
        intervals=2,
    ),
    "moved-from-s3": Fault(
        what="SIGKILL for the driver; its home vanishes; `resume s3://.../NAME` in another home",
        moments=_some(2, *_STORAGE, "delivering"),
        gan=_some(1, "mid-trial"),
        left_out={"at-a-rung": "as mid-trial"},
        gan_left_out="the ledger's copy is the same whatever is trained",
    ),
    "moved-from-folder": Fault(
        what="the same with a shared folder as storage",
        moments=_some(2, "mid-trial"),
        gan=_some(1, "mid-trial"),
        left_out={m: "see moved-from-s3" for m in MOMENTS if m != "mid-trial"},
    ),
    "two-drivers": Fault(
        what="`resume` and `launch` of a search that runs: both are refused",
        moments=_some(2, "starting", "mid-trial", "ending"),
        gan=_some(2, "mid-trial"),
        left_out=dict.fromkeys(("at-a-rung", "checkpointing", "delivering"), "as mid-trial"),
        gan_left_out=SAME_GAN,
    ),
    "two-drivers-by-uri": Fault(
        what="`resume s3://.../NAME`, in another home, of a search that runs: it is refused",
        moments=_some(1, "mid-trial"),
        gan={},
        left_out={m: "see two-drivers" for m in MOMENTS if m != "mid-trial"},
        gan_left_out=SAME_GAN,
    ),
    "stale-lease": Fault(
        what="a driver is stopped for 40 s; another takes over; the first one wakes up",
        moments=_some(1, "mid-trial"),
        gan={},
        left_out={m: "as mid-trial" for m in MOMENTS if m != "mid-trial"},
        gan_left_out="drivers are alike",
    ),
}

FAST = (
    "driver-kill-9/mid-trial/scripted",
    "driver-sigterm/checkpointing/scripted",
    "trial-killed/at-a-rung/scripted",
    "node-killed/mid-trial/scripted",
    "mlflow-down/delivering/scripted",
    "postgres-restarted/mid-trial/scripted",
    "s3-errors/checkpointing/scripted",
    "fused-slot-killed/mid-trial/synrep",
)
"""A sample of each kind, for the tests."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One search with faults."""

    fault: str
    moment: str
    trainer: str
    count: int

    @property
    def id(self) -> str:
        """Names the cell."""
        return f"{self.fault}/{self.moment}/{self.trainer}"


def cells(*wanted: str) -> list[Cell]:
    """The cells below any `FAULT[/MOMENT[/TRAINER]]`; all of them if none is given."""
    found = [
        Cell(fault=name, moment=moment, trainer=trainer, count=counts[moment])
        for name, fault in FAULTS.items()
        for trainer, counts in zip(TRAINERS, (fault.moments, fault.gan), strict=True)
        for moment in MOMENTS
        if moment in counts
    ]
    below = tuple(f"{name}/" for name in wanted)
    return [cell for cell in found if not below or f"{cell.id}/".startswith(below)]


def fast() -> list[Cell]:
    """The cells of `FAST`."""
    return [cell for cell in cells() if cell.id in FAST]
