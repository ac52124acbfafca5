"""What `synrep draw` shows: a lifted file, or a clip of a pose store as a model lifts it.

Axes: F frames, J joints, V views.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synrep.config import SCALES
from synrep.datasets import open_poses
from synrep.datasets.untrusted.npz import read_npz
from synrep.datasets.views import load_views
from synrep.errors import InputError
from synrep.evaluation.tables import predict, to_mm
from synrep.inference.lifter import Lifter
from synrep.skeleton import skeleton_by_name
from synrep.storage import Storage
from synrep.viz.plots import Scene, draw

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from synrep.config import DataConfig
    from synrep.datasets.store.store import Poses

FORMATS = (".png", ".gif", ".html")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which clip of a pose store is drawn: the first one that fits.

    Attributes:
        split: 'train', 'validation' or 'test'.
        poses: another pose store than the one the model was trained on.
        action: what is done.
        subject: who does it.
        camera: number of the camera, from 0.
    """

    split: str = "test"
    poses: str | None = None
    action: str | None = None
    subject: str | None = None
    camera: int = 0


def draw_scene(scene: Scene, out: Path) -> None:
    """Write a scene as the kind of file that `out` names: .png, .gif or .html.

    Raises:
        InputError: the kind is unknown.
    """
    check_format(out)
    if out.suffix == ".png":
        content = draw(scene)
    else:
        from synrep.viz.animation import gif, page  # noqa: PLC0415 - loads Pillow

        content = gif(scene) if out.suffix == ".gif" else page(scene)
    Storage.at(out.parent).write(out.name, content)


def check_format(out: Path) -> None:
    """Check that a file's kind can be drawn.

    Raises:
        InputError: it can't.
    """
    if out.suffix not in FORMATS:
        raise InputError(str(out), "unknown kind of file", "use one of " + ", ".join(FORMATS))


def cut(scene: Scene, start: int, count: int, fps: float | None = None) -> Scene:
    """At most `count` frames of a scene, from the frame numbered `start` on, at a speed if given.

    Raises:
        InputError: there is no such frame.
    """
    rows = [row for row, number in enumerate(scene.frames) if number >= start][:count]
    if not rows:
        raise InputError("--start", f"no frame {start}", f"the last one is {max(scene.frames)}")
    return replace(
        scene,
        keypoints=scene.keypoints[rows],
        predicted=scene.predicted[rows],
        true=None if scene.true is None else scene.true[rows],
        frames=[scene.frames[row] for row in rows],
        fps=fps or scene.fps,
    )


def lifted_scene(path: Path) -> Scene:
    """The poses in an npz file of `synrep lift`.

    Raises:
        InputError: it is another kind of file.
    """
    arrays = read_npz(path, objects=False)
    remedy = "give what `synrep lift --out poses.npz` wrote, or a trained model"
    for name in ("poses", "keypoints_px", "frames", "skeleton", "units", "scale"):
        if name not in arrays:
            raise InputError(str(path), f"it has no array {name!r}", remedy)
    skeleton = skeleton_by_name(str(arrays["skeleton"]))
    poses, keypoints, frames = arrays["poses"], arrays["keypoints_px"], arrays["frames"]
    shape = (frames.size, len(skeleton))
    fitting = frames.ndim == 1 and poses.shape == (*shape, 3) and keypoints.shape == (*shape, 2)
    if not fitting or frames.size == 0 or frames.dtype.kind not in "iu":
        raise InputError(str(path), "its arrays do not fit together", remedy)
    return Scene(
        skeleton=skeleton,
        keypoints=keypoints,
        predicted=poses,
        frames=frames.tolist(),
        units=str(arrays["units"]),
        note=f"scale: {arrays['scale']}" + _estimated(arrays),
    )


def _estimated(arrays: dict[str, Any]) -> str:
    """The joints that were estimated; files of earlier versions do not say it."""
    names = arrays.get("estimated", np.array([])).ravel().tolist()
    return f"; estimated: {', '.join(map(str, names))}" if names else ""


@torch.no_grad()
def model_scene(model: Path, choice: Choice) -> Scene:
    """A clip of a pose store: 2D input, what a model makes of it, and the truth.

    Args:
        model: folder of a training, exported folder or checkpoint file.
        choice: which clip, seen by which camera.

    Raises:
        InputError: the model or the poses can't be used, or nothing fits the choice.
    """
    trained = Lifter.load(model)
    data = trained.config.data
    if choice.poses is not None:
        data = data.model_copy(update={"poses": choice.poses})
    poses, keep, stride = _kept(data, choice.split)
    rows, camera = _rows(poses, keep, choice, data)
    views = load_views(data, choice.split).select(torch.from_numpy(rows + camera * len(keep)))
    scale = trained.config.evaluation.scale
    predicted = to_mm(predict(trained.network(), views), views, scale, trained.body)
    true = views.poses * views.scale_mm[:, None, None]
    clip = poses.take(keep[rows])
    # Views are in the order of their poses, camera by camera: these are the clip's.
    assert [views.actions[index] for index in views.action.tolist()] == clip.action.tolist()
    return Scene(
        skeleton=views.skeleton,
        keypoints=views.keypoints.numpy(),
        predicted=predicted.numpy(),
        true=true.numpy(),
        frames=clip.frame.tolist(),
        keypoint_units="radii",
        note=f"{clip.clip[0]} ({clip.subject[0]}, {clip.action[0]}), camera {choice.camera}; "
        + SCALES[scale],
        fps=poses.fps / stride,
    )


def _kept(data: DataConfig, split: str) -> tuple[Poses, NDArray[np.intp], int]:
    """The poses of a split, and the rows of those that its views show, in their order."""
    poses = open_poses(data.poses).read(split)
    stride = data.train_stride if split == "train" else data.test_stride
    return poses, np.flatnonzero(poses.frame % stride == 0), stride


def _rows(
    poses: Poses, keep: NDArray[np.intp], choice: Choice, data: DataConfig
) -> tuple[NDArray[np.intp], int]:
    """Positions in `keep` of the first clip that fits, and the block of views of its camera.

    The views of a store in world coordinates are one block for each virtual camera; in a store
    of recorded cameras, each pose has its own.
    """
    shown = poses.take(keep)
    fits = np.ones(len(shown), bool)
    for option, column in (("action", shown.action), ("subject", shown.subject)):
        wanted = getattr(choice, option)
        if wanted is not None:
            _known(f"--{option}", wanted, sorted(set(column.tolist())))
            fits &= column == wanted
    recorded = [] if shown.camera is None else sorted(set(shown.camera.tolist()))
    count = len(recorded) or data.cameras
    _known("--camera", choice.camera, list(range(count)))
    if shown.camera is not None:
        fits &= shown.camera == recorded[choice.camera]
    if not fits.any():
        raise InputError(
            "--action with --subject", "no clip fits all that was chosen", "leave one of them out"
        )
    clip = shown.clip[np.argmax(fits)]
    return np.flatnonzero(fits & (shown.clip == clip)), 0 if recorded else choice.camera


def _known(option: str, wanted: Any, there: list[Any]) -> None:
    if wanted not in there:
        raise InputError(
            option, f"there is no {wanted!r}", "there are " + ", ".join(map(str, there))
        )
