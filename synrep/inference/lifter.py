"""A trained generator, read from a checkpoint or an export, ready to lift poses.

Axes: N poses, J joints.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from synrep.config import TrainConfig
from synrep.datasets.normalise import normalise_2d
from synrep.datasets.origin import Origin
from synrep.datasets.untrusted.json_text import parse_json
from synrep.datasets.views import model_skeleton
from synrep.errors import DamagedError, InputError
from synrep.evaluation.tables import BodyScale
from synrep.inference.keypoints.keypoints import keypoints_of
from synrep.inference.lift import lift
from synrep.model.networks import Generator
from synrep.skeleton import HUMAN36M_17
from synrep.training.checkpoint import read_checkpoint
from synrep.training.loop import Training
from synrep.training.protocol import Goal
from synrep.training.run_folder import model_path

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

    from synrep.inference.keypoints.checks import ImageSize
    from synrep.inference.lift import How, Lifted
    from synrep.skeleton import Skeleton
    from synrep.training.checkpoint import TrainingState

    Model: TypeAlias = "str | os.PathLike[str] | Training | Lifter"
    """A trained model: the folder of a training, an exported folder, a checkpoint file, a training
    in memory, or a lifter."""

FORMAT = "synrep-generator/1"
"""Names the layout of an exported folder's config.json."""

WEIGHTS_FILE = "generator.safetensors"
CONFIG_FILE = "config.json"
LARGEST_MM = 1e6
"""No body is so large."""
CHUNK = 8192
"""Poses lifted at once: bounds memory, not the result."""


@dataclass(frozen=True, kw_only=True)
class Lifter:
    """A generator with what is needed to use it on new 2D poses.

    Attributes:
        config: of its training.
        weights: state of the network by name, the best of the training on validation subjects.
        body: sizes of the training poses.
        best: value and iteration of the report at which it was best; empty if none was made.
        origin: the poses that it was trained on; None if an earlier version made it.
        goal: what it is the best by; None if an earlier version made it, where it is P1.
        iteration: iterations that these weights were trained for; 0 where an export does not say.
    """

    config: TrainConfig
    weights: dict[str, np.ndarray]
    body: BodyScale
    best: dict[str, float]
    origin: Origin | None = None
    goal: Goal | None = None
    iteration: int = 0

    @classmethod
    def load(cls, source: Path) -> Lifter:
        """Read a checkpoint file, an exported folder, or the newest checkpoint of a run folder.

        All are verified by their checksums.

        Raises:
            InputError: there is no such file or folder, or it belongs to another version.
            DamagedError: the content is altered, truncated or something else.
        """
        if not source.exists():
            raise InputError(
                str(source), "no such checkpoint or export", "give a .safetensors file or a folder"
            )
        source = model_path(source)
        if source.is_dir():
            return _read_export(source)
        return cls.of(read_checkpoint(source), str(source))

    @classmethod
    def of(cls, state: TrainingState, place: str) -> Lifter:
        """The generator of a training's state.

        Args:
            state: from a checkpoint.
            place: where it is from, for messages.

        Raises:
            InputError: it belongs to another version.
            DamagedError: it is no state of a training.
        """
        try:
            best = _best(state.meta)
            config = TrainConfig.model_validate_json(json.dumps(state.meta["config"]))
            last = "average." if config.optim.ema else "generator."
            return cls(
                config=config,
                weights=_below(state.arrays, "best.generator." if best else last),
                body=_body(state.meta),
                best=best,
                origin=Origin.read(state.meta),
                goal=_goal(state.meta),
                iteration=_iteration(state.meta),
            )
        except KeyError as error:
            raise DamagedError(place, f"not a checkpoint of a training: no {error}") from None
        except TypeError as error:
            raise DamagedError(place, f"not a checkpoint of a training: {error}") from None
        except ValidationError as error:
            raise _outdated(place, error) from None

    @property
    def skeleton(self) -> Skeleton:
        """Joints of the poses that go in and come out."""
        return model_skeleton(self.config.data)

    def network(self) -> Generator:
        """The network with its weights, in evaluation mode.

        Raises:
            InputError: the weights do not fit the configuration.
        """
        config, joints = self.config.generator, len(self.skeleton)
        # Told before a network is built that the file only claims to hold.
        least = config.width * (2 * joints + 2 * config.blocks * config.width)
        if least > sum(value.size for value in self.weights.values()):
            rule = f"weights and configuration differ: width {config.width}, blocks {config.blocks}"
            raise InputError("generator", rule)
        network = Generator(config, joints)
        try:
            network.load_state_dict({k: torch.tensor(v) for k, v in self.weights.items()})
        except RuntimeError as error:
            raise InputError("generator", f"weights and configuration differ: {error}") from None
        return network.eval()

    @cached_property
    def _network(self) -> Generator:
        return self.network()

    def lift(
        self,
        keypoints_px: ArrayLike,
        *,
        skeleton: str = HUMAN36M_17.name,
        image_size: ImageSize | None = None,
        min_confidence: float = 0.0,
        **how: Unpack[How],
    ) -> Lifted:
        """Lift the 2D joints of one person to 3D poses.

        Args:
            keypoints_px: (N, J, 2) pixels of an image of any size, x right and y down, or (N, J, 3)
                with a confidence. A joint is missing where a coordinate is NaN or infinite, where
                it is at (0, 0), or where its confidence is 0. One pose may come without the first
                axis.
            skeleton: name of the J joints, in their order, such as human36m-17, coco-17 or
                openpose-25: one of `synrep.keypoint_sets.KEYPOINT_SETS`. Sets other than the
                model's own are converted.
            image_size: width and height in pixels, for coordinates that are fractions of them,
                from 0 to 1 or from -1 to 1.
            min_confidence: joints whose confidence is below are missing.
            how: `scale`, `height_mm` and `skip_missing_joints`, as in `synrep.inference.lift.lift`.
                By default poses are in mm, their bones as long in sum as those of the training
                poses on average, and a missing joint is an error.

        Returns:
            `poses` (N, J, 3) relative to the first joint, the hip, in the camera frame (x right, y
            down, z away); `units` and `scale` say what a number of them means. Their joints are
            those of `skeleton`, the model's; `estimated` names those that the keypoints lack and
            others stand in for.

        Warns:
            InputWarning: joints at (0, 0) were taken as missing, or the keypoints are hardly those
                of `skeleton`.

        Raises:
            InputError: the array does not fit the joints, coordinates are normalised without
                `image_size`, a joint that is needed is missing, or the options contradict each
                other.
        """
        keypoints = keypoints_of(
            keypoints_px,
            skeleton,
            "keypoints",
            image_size=image_size,
            min_confidence=min_confidence,
        )
        return lift(self, keypoints, **how)

    @torch.no_grad()
    def lift_radii(self, keypoints_px: NDArray[np.float64]) -> NDArray[np.float32]:
        """Root-relative poses (N, J, 3) in radii, camera frame, of 2D poses (N, J, 2) in pixels."""
        scale_ref = self.config.data.scale_ref
        keypoints = torch.from_numpy(normalise_2d(keypoints_px, scale_ref)[0]).float()
        network = self._network
        starts = range(0, len(keypoints), CHUNK)
        poses = [network.lift(keypoints[start : start + CHUNK]) for start in starts]
        return np.asarray(torch.cat(poses).numpy(), dtype=np.float32)

    def describe(self) -> dict[str, Any]:
        """The content of config.json, without the checksum of the weights."""
        known: dict[str, Any] = {}
        if self.origin is not None:
            known["poses"] = self.origin.model_dump(mode="json")
        if self.goal is not None:
            known["goal"] = asdict(self.goal)
        return {
            "format": FORMAT,
            "skeleton": self.skeleton.name,
            "joints": list(self.skeleton.joints),
            "bone_length_sum_mm": self.body.bone_length_sum_mm,
            "scale_mm": self.body.scale_mm,
            "best": self.best,
            "train": self.config.model_dump(mode="json"),
            **known,
        }


def load_lifter(model: Model) -> Lifter:
    """The generator of a trained model, ready to lift poses: the best on validation subjects.

    Args:
        model: the folder of a training, an exported folder, a checkpoint file, or a training in
            memory.

    Raises:
        InputError: there is no such file or folder, or it belongs to another version.
        DamagedError: the content is altered, truncated or something else.
    """
    if isinstance(model, Lifter):
        return model
    if isinstance(model, Training):
        return Lifter.of(model.state(), "this training")
    return Lifter.load(Path(model))


def _read_export(folder: Path) -> Lifter:
    place = folder / CONFIG_FILE
    try:
        if not place.is_file() or not (folder / WEIGHTS_FILE).is_file():  # a device never ends
            raise FileNotFoundError
        header = parse_json(place.read_text(encoding="utf-8"))
        content = (folder / WEIGHTS_FILE).read_bytes()
    except OSError:
        rule = f"no exported generator: it needs {CONFIG_FILE} and {WEIGHTS_FILE}"
        remedy = "give a folder of `synrep train` or `synrep export`"
        raise InputError(str(folder), rule, remedy) from None
    except ValueError as error:
        raise DamagedError(str(place), f"not JSON: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DamagedError(str(place), f"its format is not {FORMAT}")
    if hashlib.sha256(content).hexdigest() != header.get("sha256"):
        raise DamagedError(str(folder / WEIGHTS_FILE), "the weights do not match their checksum")
    try:
        return Lifter(
            config=TrainConfig.model_validate_json(json.dumps(header["train"])),
            weights=load(content),
            body=_body(header),
            best=_best(header),
            origin=Origin.read(header),
            goal=_goal(header),
            iteration=_iteration(header),
        )
    except (KeyError, TypeError, SafetensorError) as error:
        raise DamagedError(str(folder), f"not an exported generator: {error}") from None
    except ValidationError as error:
        raise _outdated(str(place), error) from None


def _outdated(place: str, error: ValidationError) -> InputError:
    fields = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
    if "baseline" in fields:
        rule = "is the training of a baseline, which synrep evaluate alone can use"
        return InputError(place, rule, "give a training of the model itself")
    return InputError(place, f"made by another version: {fields}", "use the version that made it")


def _below(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    found = {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }
    if not found:
        raise KeyError(prefix)
    return found


def _body(meta: dict[str, Any]) -> BodyScale:
    sizes = {name: meta[name] for name in ("bone_length_sum_mm", "scale_mm")}
    for name, value in sizes.items():
        if not isinstance(value, int | float) or not 0 < value < LARGEST_MM:
            raise TypeError(f"its {name} is {value!r:.50}")
    return BodyScale(**sizes)


def _goal(meta: dict[str, Any]) -> Goal | None:
    """What the generator is the best by, if it says so."""
    content = meta.get("goal")
    if content is None:
        return None
    goal = Goal(**content)
    metric, maximize = goal.metric, goal.maximize
    if not isinstance(metric, str) or not metric.isidentifier() or not isinstance(maximize, bool):
        raise TypeError(f"its goal is {content!r:.50}")
    return goal


def _iteration(meta: dict[str, Any]) -> int:
    """Iterations that the best generator was trained for, or the last one if there is no best."""
    found = _best(meta).get("iteration", meta.get("iteration", 0))
    if not isinstance(found, int):
        raise TypeError(f"its iteration is {found!r:.50}")
    return found


def _best(meta: dict[str, Any]) -> dict[str, float]:
    best = meta["best"] or {}
    if not isinstance(best, dict) or not all(isinstance(v, int | float) for v in best.values()):
        raise TypeError(f"its best result is {best!r:.50}")
    return best
