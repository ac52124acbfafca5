"""A trained generator as a folder that needs nothing of this project to be used.

The folder holds the weights, the configuration, the same model as ONNX and as TorchScript, which
take raw pixels, the numbers that describe it, and a README that says what they mean.
Axes: B batch, J joints.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
import tempfile
import warnings
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import torch
from safetensors.numpy import save
from torch import Tensor, nn

from synrep import __version__
from synrep.config import SCALES
from synrep.errors import InputError
from synrep.inference.lifter import CONFIG_FILE, WEIGHTS_FILE, load_lifter
from synrep.training.protocol import MPJPE

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from synrep.inference.lifter import Lifter, Model

ONNX_FILE = "model.onnx"
TORCHSCRIPT_FILE = "model.torchscript.pt"
METRICS_FILE = "metrics.json"
README_FILE = "README.md"
INPUT = "keypoints_px"
OUTPUTS = ("pose_radii", "pose_mm")


class PixelsToPose(nn.Module):
    """What the exported models compute: normalisation, lifting and scaling in one graph.

    Args:
        trained: the generator and the sizes of the training poses.
    """

    def __init__(self, trained: Lifter) -> None:
        super().__init__()
        self.generator = trained.network()
        self.skeleton = trained.skeleton
        self.root_mean_square = trained.config.data.scale_ref == "xy_fro"
        self.body = trained.body

    def forward(self, keypoints_px: Tensor) -> tuple[Tensor, Tensor]:
        """Root-relative poses, both (B, J, 3) and in the camera frame, of pixels (B, J, 2).

        The first is in radii (section 3.5 of the paper), the second in millimetres, scaled so that
        the bones of every pose add up to what they do on average in the training poses (row 3).
        A pose with all joints in one point has no size; it is taken as it is.
        """
        centred = keypoints_px - keypoints_px[:, :1]
        squared = centred[:, 1:].square().sum(-1)
        size = squared.mean(-1).sqrt() if self.root_mean_square else squared.sqrt().mean(-1)
        size = torch.where(size > 0, size, 1.0)
        radii = self.generator.lift(centred / size[:, None, None])
        return radii, radii * self.body.bone_scale(radii, self.skeleton)[:, None, None]


def export(
    model: Model, folder: str | os.PathLike[str], metrics: Mapping[str, float] | None = None
) -> Path:
    """Write the best generator of a training into a new folder, whole or not at all.

    Args:
        model: the folder of a training, a checkpoint file or a training in memory; its best
            generator is taken.
        folder: where to; must not exist.
        metrics: further numbers of this generator, written to metrics.json and the README.

    Returns:
        The folder.

    Raises:
        InputError: the folder exists, the model can't be used, or a metric is no number.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(str(folder), "exists already", "remove it or name another folder")
    for name, value in (metrics or {}).items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
            raise InputError(f"metrics: {name}", f"{value!r} is not a finite number")
    trained = load_lifter(model)
    numbers = _numbers(trained, metrics or {})
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        weights = save(trained.weights)
        (temporary / WEIGHTS_FILE).write_bytes(weights)
        checksum = {"sha256": hashlib.sha256(weights).hexdigest()}
        _write_json(temporary / CONFIG_FILE, trained.describe() | checksum)
        _write_json(temporary / METRICS_FILE, numbers)
        (temporary / ONNX_FILE).write_bytes(onnx_model(trained).SerializeToString())
        (temporary / TORCHSCRIPT_FILE).write_bytes(torchscript_model(trained))
        (temporary / README_FILE).write_text(_readme(trained, numbers), encoding="utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def onnx_model(trained: Lifter) -> onnx.ModelProto:
    """The ONNX model of `PixelsToPose`, for any batch size, with the joint names as metadata."""
    quiet = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it reports every optional package that is not installed
    try:
        with warnings.catch_warnings():
            # PyTorch's exporter calls functions that PyTorch itself has deprecated.
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.onnx.export(
                PixelsToPose(trained).eval(),
                (_example(trained),),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: torch.export.Dim("batch")}},
                external_data=False,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, _properties(trained))
    onnx.checker.check_model(model)
    return model


def torchscript_model(trained: Lifter) -> bytes:
    """A TorchScript file of `PixelsToPose`, for any batch size, with the joint names inside.

    PyTorch has deprecated TorchScript in favour of `torch.export`, but still writes and reads it,
    and programs in C++ and on phones load it without Python.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # What the tracer takes for constants are constants: bones and sizes of the training poses.
        jit: Any = torch.jit  # its tracer is not annotated
        warnings.simplefilter("ignore", jit.TracerWarning)
        model = PixelsToPose(trained).eval().requires_grad_(requires_grad=False)
        traced = jit.trace(model, (_example(trained),))
        names = {name: text.encode() for name, text in _properties(trained).items()}
        jit.save(traced, buffer, _extra_files=names)
    return buffer.getvalue()


def _example(trained: Lifter) -> Tensor:
    return torch.arange(2.0 * 2 * len(trained.skeleton)).view(2, -1, 2)


def _properties(trained: Lifter) -> dict[str, str]:
    """What a user of a model file alone must know."""
    return {
        "skeleton": trained.skeleton.name,
        "joints": ",".join(trained.skeleton.joints),
        "frame": "camera: x right, y down, z away; relative to the first joint",
    }


def _numbers(trained: Lifter, metrics: Mapping[str, float]) -> dict[str, Any]:
    evaluation = trained.config.evaluation
    return {
        "scale": evaluation.scale,
        "alignment": evaluation.alignment,
        "skeleton": trained.skeleton.name,
        "validation_views": trained.config.evaluation.views,
        "seed": trained.config.seed,
        "best": trained.best,
        "metrics": dict(metrics),
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


ALIGNMENTS = {
    "similarity": "P-MPJPE aligns with rotation, translation and scale, never with a mirror image",
    "rigid": "P-MPJPE aligns with rotation and translation, without scale or mirror image",
}

LIFTS = {
    "weak": "x and y are copied from the 2D pose, in use as in training",
    "perspective": "trained and scored with the ray of the true root, i.e. with a calibrated "
    "camera and a known\n  2D root; the models here and `synrep lift` have none and take 0, the "
    "optical axis, so the errors\n  above are not theirs",
}


def _readme(trained: Lifter, numbers: dict[str, Any]) -> str:
    return f"""\
# Pose generator

Lifts 2D keypoints of one person to a 3D pose. Made by synrep {__version__}.

{_meaning(trained, numbers)}

{_use(trained)}

## Files

- `{WEIGHTS_FILE}`: the network's weights.
- `{CONFIG_FILE}`: the whole training configuration, joint names, checksum of the weights.
- `{ONNX_FILE}`, `{TORCHSCRIPT_FILE}`: pixels in, poses out, any number of frames.
- `{METRICS_FILE}`: the numbers above.

## Licence

The software that made this is under the Apache License 2.0. The weights were learnt from poses
whose own terms may limit what they can be used for: see the `licence` of their `store.json`.
"""


def _use(trained: Lifter) -> str:
    """How the README says poses are lifted, and what goes in and comes out."""
    joints = len(trained.skeleton)
    return f"""\
## Use

    synrep lift THIS_FOLDER keypoints.json --skeleton {trained.skeleton.name} --out poses.json

or without this project:

    import numpy, onnxruntime
    session = onnxruntime.InferenceSession("{ONNX_FILE}")
    keypoints_px = numpy.zeros((1, {joints}, 2), numpy.float32)  # frames, joints, (x, y)
    pose_radii, pose_mm = session.run(None, {{"{INPUT}": keypoints_px}})

or with PyTorch alone, also in C++:

    import torch
    model = torch.jit.load("{TORCHSCRIPT_FILE}")
    pose_radii, pose_mm = model(torch.zeros(1, {joints}, 2))

- `{INPUT}`: pixels of an image of any size, y down; every joint is needed.
- `pose_radii`: relative to the first joint, in the camera frame (x right, y down, z away), in units
  of the pose's mean 2D radius.
- `pose_mm`: the same pose, scaled so that its bones add up to
  {trained.body.bone_length_sum_mm:.0f} mm, the mean of the training poses: right for people of
  that size only.
- Joints: {", ".join(trained.skeleton.joints)}."""


def _meaning(trained: Lifter, numbers: dict[str, Any]) -> str:
    """The README's numbers with all that qualifies them."""
    config, scale = trained.config, trained.config.evaluation.scale
    truth = ", which takes the truth: not known in use" if scale in {"gt_xy", "nmpjpe"} else ""
    rows = dict(numbers["metrics"])
    if trained.best:
        goal = trained.goal or MPJPE
        rows[f"best validation/{goal.metric}"] = trained.best["value"]
        rows["at iteration"] = trained.best["iteration"]
    subjects = (
        "the validation subjects, which also chose this generator"
        if trained.best
        else "each report; nobody was held out, so this is the last generator, chosen by nothing"
    )
    table = "\n".join(f"| {name} | {value:.6g} |" for name, value in rows.items())
    return f"""\
## Numbers

| number | value |
|---|---|
{table or "| none reported yet | |"}

- Scale `{scale}`: {SCALES[scale]}{truth}.
- Alignment `{config.evaluation.alignment}`: {ALIGNMENTS[config.evaluation.alignment]}.
- Poses: `{Path(config.data.poses).name}`, {config.data.input_2d} 2D input with
  {config.data.noise_px:g} px of noise, joints {trained.skeleton.name}, seed {config.seed}; at most
  {config.evaluation.views} views of {subjects}.
- Lift `{config.generator.lift}`: {LIFTS[config.generator.lift]}."""
