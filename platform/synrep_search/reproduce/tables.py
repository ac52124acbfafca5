"""The rows of the paper's tables: the training run and the measurement of each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from synrep_search.reproduce import paper

if TYPE_CHECKING:
    from synrep_search.reproduce.paper import Printed

Role = Literal["poses", "detections", "mpi"]
"""Role of a pose store: ground-truth 2D poses, the same poses with detected 2D, or MPI-INF-3DHP."""
OPTIONS: dict[Role, str] = {"poses": "--poses", "detections": "--detections", "mpi": "--mpi"}
"""Command-line option of each role."""
PUBLISHED: dict[Role, str] = {
    "poses": "human36m",
    "detections": "human36m",
    "mpi": "mpi-inf-3dhp",
}
"""Prefixes of the names of the pose stores that the paper's values apply to."""

Scale = Literal["gt_xy", "nmpjpe", "bone_length", "constant"]
Measure = Literal["mpjpe_mm", "p_mpjpe_mm", "z_mm", "only_z_mm", "pck"]
MEASURES: dict[Measure, str] = {
    "mpjpe_mm": "P1, mm",
    "p_mpjpe_mm": "P2, mm",
    "z_mm": "P1 of the depths, mm",
    "only_z_mm": "P2 of the depths, mm",
    "pck": "3DPCK at 150 mm, %",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        label: label of the row, as in the paper.
        measure: the measure that is averaged.
        trained: role of the training poses.
        trainer: name of the trainer; empty for the reference predictor that `label` names.
        settings: training settings by dotted name; others are the paper's.
        tested: role of the test poses; by default the same as `trained`.
        test: data settings of the test that differ from those of the training.
        scale: scale of the predicted poses; by default that of the training's configuration.
        printed: values in the paper, if it has this row.
    """

    label: str
    measure: Measure
    trained: Role = "poses"
    trainer: str = "synrep"
    settings: dict[str, Any] = field(default_factory=dict)
    tested: Role | None = None
    test: dict[str, Any] = field(default_factory=dict)
    scale: Scale | None = None
    printed: Printed | None = None

    @property
    def roles(self) -> set[Role]:
        """Roles of the pose stores that the row needs."""
        return {self.trained, self.tested or self.trained}

    @property
    def conditions(self) -> tuple[Any, ...]:
        """Everything but the model that decides a score: only rows with equal ones are compared."""
        data = {k: v for part in (PAPER_SETTINGS, self.settings) for k, v in part.items()}
        tested = {k: v for k, v in data.items() if k.startswith("data.")}
        tested |= {f"data.{name}": value for name, value in self.test.items()}
        places = (self.measure, self.trained, self.tested or self.trained, self.scale or "")
        return (*places, *sorted(tested.items()))

    @property
    def search(self) -> tuple[Role, str]:
        """Key of the search that trains the row, among the searches of its table."""
        return self.trained, self.trainer


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the paper.

    Attributes:
        name: `table1` to `table5`, or `benchmark`.
        title: title of the table.
        rows: the rows in the paper's order.
        trainings: name prefix of its searches. Tables with the same prefix share their training
            runs.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    trainings: str

    def cells(self, role: Role, trainer: str = "synrep") -> list[dict[str, Any]]:
        """Return the distinct training settings for a pose store; all contain the same names."""
        all_of_them = [row.settings for row in self.rows if row.search == (role, trainer)]
        names = sorted({name for settings in all_of_them for name in settings})
        cells: list[dict[str, Any]] = []
        for settings in all_of_them:
            complete = {name: settings.get(name, PAPER_SETTINGS.get(name)) for name in names}
            if complete not in cells:
                cells.append(complete)
        return cells


MEAN_DEPTH, PERFECT_DEPTH = "Mean depth", "Perfect depth"
"""Labels of the reference predictors, which are not trained."""

KCS: dict[str, Any] = {"kcs.weighting": {"family": "uniform"}}
SEPARATE: dict[str, Any] = {"reprojection": "separate"}
REPNET: dict[str, Any] = {"learning_rate": 1e-3, "drops": 0, "kcs_width": 256}
"""With its published learning rate, RepNet needs more iterations than the other models. These
settings were the best of a few on validation subjects."""
PAPER_SETTINGS: dict[str, Any] = {
    "data.noise_px": 0.0,
    "generator.lift": "weak",
    "kcs.weighting": {"family": "tanh"},
    "optim.ema": 0.0,
    "reprojection": "sync",
}
"""The paper's value of each setting that a table varies."""


def _protocol(number: int) -> Table:
    """Return table 1 or 2: Human3.6M with protocol 1 or 2."""
    first = number == 1
    whole: Measure = "mpjpe_mm" if first else "p_mpjpe_mm"
    depths: Measure = "z_mm" if first else "only_z_mm"
    gt, both, clean, only_z = (
        (paper.GT_P1, paper.SH_SH_P1, paper.SH_GT_P1, paper.SH_SH_Z_P1)
        if first
        else (paper.GT_P2, paper.SH_SH_P2, paper.SH_GT_P2, paper.SH_SH_Z_P2)
    )
    return Table(
        name=f"table{number}",
        title=f"Protocol {number}",
        trainings="protocols",
        rows=(
            Row(label="Ours (GT)", measure=whole, printed=gt),
            Row(label="Ours (SH-SH)", measure=whole, trained="detections", printed=both),
            Row(
                label="Ours (SH-GT)",
                measure=whole,
                trained="detections",
                tested="poses",
                printed=clean,
            ),
            Row(label="Ours (SH-SH-z)", measure=depths, trained="detections", printed=only_z),
        ),
    )


def _noise() -> Table:
    """Return table 3: Gaussian noise on the 2D poses, in pixels."""
    rows = [Row(label="GT", measure="p_mpjpe_mm", printed=paper.GT_P2)]
    groups: list[tuple[str, Measure, dict[str, Any], dict[int, Printed]]] = [
        ("", "p_mpjpe_mm", {}, paper.NOISY),
        (", tested on GT", "p_mpjpe_mm", {"noise_px": 0.0}, paper.CLEAN_TEST),
        (", only z", "only_z_mm", {}, paper.ONLY_Z),
    ]
    for (kind, measure, test, printed), sigma in itertools.product(groups, (5, 10, 15, 20)):
        rows.append(
            Row(
                label=f"GT + N(0, {sigma}){kind}",
                measure=measure,
                settings={"data.noise_px": float(sigma)},
                test=test,
                printed=printed[sigma],
            )
        )
    title = "Noise of the detector, protocol 2"
    return Table(name="table3", title=title, rows=tuple(rows), trainings="noise")


def _mpi() -> Table:
    """Return table 4: MPI-INF-3DHP."""
    rows = (
        Row(label="Ours", measure="pck", trained="mpi", printed=paper.MPI_PCK),
        Row(label="Ours", measure="mpjpe_mm", trained="mpi", printed=paper.MPI_P1),
    )
    return Table(name="table4", title="MPI-INF-3DHP", rows=rows, trainings="whole")


def _ablation() -> Table:
    """Return table 5: separate or synchronous training, KCS with or without weights."""
    settings = {
        "Sep + KCS": SEPARATE | KCS,
        "Sep + wKCS": SEPARATE,
        "Syn + KCS": KCS,
        "Syn + wKCS": {},
    }
    columns: tuple[tuple[Role, Measure, int], ...] = (
        ("poses", "mpjpe_mm", 0),
        ("mpi", "pck", 1),
        ("mpi", "mpjpe_mm", 2),
    )
    rows = tuple(
        Row(
            label=label,
            measure=measure,
            trained=role,
            settings=of_row,
            printed=paper.ABLATION[label][column],
        )
        for role, measure, column in columns
        for label, of_row in settings.items()
    )
    return Table(name="table5", title="Ablation", rows=rows, trainings="ablation")


def _benchmark() -> Table:
    """Return a table that is not in the paper: references, baselines, and variants of the model."""
    methods: tuple[dict[str, Any], ...] = (
        {"label": MEAN_DEPTH, "trainer": ""},
        {"label": PERFECT_DEPTH, "trainer": ""},
        {"label": "Supervised", "trainer": "supervised"},
        {"label": "RepNet-like", "trainer": "repnet", "settings": REPNET},
        {"label": "Kudo-like", "trainer": "kudo"},
        {"label": "Ours, moving average", "settings": {"optim.ema": 0.999}},
        {"label": "Ours, perspective lift", "settings": {"generator.lift": "perspective"}},
        {"label": "Ours, sized by bone length", "scale": "bone_length"},
        {"label": "Ours, sized by one constant", "scale": "constant"},
        {"label": "Ours"},
    )
    measures: tuple[Measure, ...] = ("mpjpe_mm", "p_mpjpe_mm")
    rows = tuple(
        Row(measure=measure, **method)
        for measure, method in itertools.product(measures, methods)
        if measure == "mpjpe_mm" or "scale" not in method
    )
    return Table(name="benchmark", title="Open benchmark", rows=rows, trainings="benchmark")


TABLES = {
    table.name: table
    for table in (_protocol(1), _protocol(2), _noise(), _mpi(), _ablation(), _benchmark())
}
