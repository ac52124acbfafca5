"""Numbers as lines and tables for a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synrep.config import TrainConfig
    from synrep.views import Views

COLUMNS = {
    "mpjpe_mm": "P1",
    "p_mpjpe_mm": "P2",
    "rigid_mpjpe_mm": "P2 rigid",
    "n_mpjpe_mm": "N-MPJPE",
    "z_mm": "-z",
    "only_z_mm": "only z",
}
SCALES = {
    "gt_xy": "scaled by each frame's true xy-radius (GT-scaled)",
    "nmpjpe": "each prediction scaled by its best factor",
    "bone_length": "scaled to the training poses' bone lengths",
    "constant": "scaled by one constant",
}


def qualify(config: TrainConfig, views: Views, split: str) -> str:
    """What the reports of a training are measured with: one line above them."""
    evaluation = config.evaluation
    return _caption(
        {
            "scale": evaluation.scale,
            "alignment": evaluation.alignment,
            "skeleton": views.skeleton.name,
            "views": len(views),
        },
        split,
        config.seed,
    )


def _caption(part: Mapping[str, Any], split: str, seed: int) -> str:
    return (
        f"mm; {SCALES[part['scale']]}; P2 after {part['alignment']} alignment; "
        f"{part['skeleton']}; {part['views']} views of the {split} subjects; seed {seed}"
    )


def report_line(iteration: int, metrics: Mapping[str, float]) -> str:
    """One line for a report of a training."""
    return (
        f"{iteration:>8} iterations  validation P1 {metrics['validation/mpjpe_mm']:6.1f} mm"
        f"  P2 {metrics['validation/p_mpjpe_mm']:6.1f} mm"
        f"  N-MPJPE {metrics['validation/n_mpjpe_mm']:6.1f} mm"
        f"  critic {metrics['train/critic_loss']:+.3f}"
        f"  L_angle {metrics['train/angle_loss']:.4f}"
    )


def evaluation_table(found: Mapping[str, Any]) -> str:
    """The model's errors by action, and the averages of model and references."""
    model = found["model"]
    caption = _caption(model, found["split"], found["seed"])
    table = Table(caption=caption, caption_justify="left")
    table.add_column("")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for action, row in model["errors"].items():
        if action == "mean of actions":
            table.add_section()
        table.add_row(action, *(f"{row[name]:.1f}" for name in COLUMNS))
    table.add_section()
    for name, part in found.items():
        if name != "model" and isinstance(part, dict) and "errors" in part:
            row = part["errors"]["mean of frames"]
            table.add_row(f"{name}, mean of frames", *(f"{row[column]:.1f}" for column in COLUMNS))
    console = Console(file=(text := io.StringIO()), width=110)
    console.print(table)
    return text.getvalue()
