"""Scores a trained model beside the references that give its number a meaning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import torch

from synrep.baselines.predict import CONFIGS, predict_poses
from synrep.baselines.references import mean_depth, perfect_depth, supervised
from synrep.config import TrainConfig
from synrep.datasets import open_poses
from synrep.datasets.origin import Origin
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError
from synrep.evaluation.tables import BodyScale, official_average, predict, score
from synrep.inference.lifter import Lifter, load_lifter
from synrep.training.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from synrep.baselines.config import AnyBaseline
    from synrep.datasets.store.header import Split
    from synrep.datasets.views import Views
    from synrep.inference.lifter import Model
    from synrep.training.checkpoint import TrainingState


@dataclass(frozen=True, kw_only=True)
class _Scorable:
    """The model, or a baseline, as far as scoring it needs.

    Attributes:
        name: of the trainer: 'synrep', or that of the baseline.
        config: of the training.
        predict: poses (V, J, 3) in radii of views.
        body: sizes of the training poses.
        best: see `Lifter.best`.
        origin: see `Lifter.origin`.
    """

    name: str
    config: TrainConfig | AnyBaseline
    predict: Callable[[Views], Tensor]
    body: BodyScale
    best: dict[str, float]
    origin: Origin | None


class Options(TypedDict, total=False):
    """Further options of `evaluate`.

    Attributes:
        allow_seen: also score subjects that the model was trained or selected on.
        stride: score every n-th frame only; that of the configuration if omitted.
        views: score at most so many views, evenly spaced; all if omitted.
        on_reference: called with the iterations done and to do while the supervised reference is
            trained.
    """

    allow_seen: bool
    stride: int | None
    views: int | None
    on_reference: Callable[[int, int], None]


def evaluate(
    model: Model,
    split: str = "test",
    *,
    poses: str | PathLike[str] | None = None,
    references: bool = False,
    **options: Unpack[Options],
) -> dict[str, Any]:
    """Score a model on subjects that it was not trained on, and the references if asked for.

    Args:
        model: the folder of a training, an exported folder, a checkpoint file, also of a baseline,
            or a training in memory.
        split: 'test' or 'validation'. Test subjects must be new to the model. Validation subjects
            may be those that have chosen it, but not those that it was trained on.
        poses: another pose store than the training's.
        references: also score mean depth, perfect depth and the supervised generator. These learn
            from the model's own training poses; the last is trained on the CPU, for as many
            iterations as the model was.
        options: see `Options`.

    Returns:
        'model' and each reference: see `synrep.evaluation.tables.score`; and what they were trained
        and tested on: 'trained_poses' and 'tested_poses' with fingerprint and subjects, the first
        None for models of earlier versions; 'seen_subjects', those scored that the model was
        trained or selected on; 'average', the row that counts on these poses.

    Raises:
        InputError: the model or the poses can't be used, it has seen subjects of them, or
            references to a baseline are wanted.
    """
    trained = _open(model)
    config = trained.config
    changes = {"poses": fspath(poses) if poses is not None else config.data.poses}
    stride = options.get("stride")
    data = config.data.model_copy(update=changes | ({"test_stride": stride} if stride else {}))
    store = open_poses(data.poses)
    views, tested = load_views(data, split), Origin.of(store)
    seen = _seen(trained.origin, tested, views.subjects)
    if not options.get("allow_seen"):
        _check_new(seen, split, data.poses)
    views = views.evenly_spaced(options.get("views") or len(views))
    with torch.no_grad():
        predictions = {"model": trained.predict(views)}
    if references:
        predictions |= _references(model, trained, views, options.get("on_reference"))
    with torch.no_grad():
        scores = {
            name: score(made, views, config.evaluation, trained.body)
            for name, made in predictions.items()
        }
    return {
        **scores,
        "trainer": trained.name,
        "trained_on": config.data.poses,
        "tested_on": data.poses,
        "trained_poses": trained.origin and trained.origin.model_dump(mode="json"),
        "tested_poses": tested.model_dump(mode="json"),
        "seen_subjects": seen,
        "average": official_average(store.header),
        "split": split,
        "seed": config.seed,
        "best_on_validation": trained.best,
    }


def _seen(origin: Origin | None, tested: Origin, subjects: list[str]) -> dict[str, list[str]]:
    """The scored subjects that a model has seen, by the split in which it has."""
    splits: tuple[Split, ...] = ("train", "validation")
    if origin is None:
        return {split: [] for split in splits}
    return {split: origin.seen(tested, subjects, (split,)) for split in splits}


def _check_new(seen: dict[str, list[str]], split: str, poses: str) -> None:
    """Raise if a model would be scored on subjects that it has seen.

    Subjects that have chosen it may score it as validation subjects, since the name says so.
    """
    used = [("trained", seen["train"])]
    if split == "test":
        used.append(("selected", seen["validation"]))
    for done, names in used:
        if names:
            remedy = "score other subjects; --allow-seen scores these, and says so"
            raise InputError(poses, f"this model was {done} on {', '.join(names)}", remedy)


def _references(
    model: Model,
    trained: _Scorable,
    views: Views,
    on_reference: Callable[[int, int], None] | None,
) -> dict[str, Tensor]:
    """Predictions of the references, which learn from the model's own training poses."""
    config = trained.config
    if not isinstance(config, TrainConfig):
        raise InputError(
            str(model),
            "is of a baseline, which is a reference itself",
            "leave out --references; `synrep reproduce benchmark` compares baselines with them",
        )
    if trained.origin is not None:
        trained.origin.check_same(Origin.of(open_poses(config.data.poses)))
    report, total = on_reference or (lambda _done, _total: None), config.iterations
    return {
        "mean depth": mean_depth(load_views(config.data, "train"), views),
        "perfect depth": perfect_depth(views),
        "supervised": supervised(config, views, lambda done: report(done, total)),
    }


def _open(model: Model) -> _Scorable:
    """A trained model, or the baseline in a checkpoint file."""
    if isinstance(model, str | PathLike) and Path(model).is_file():
        state = read_checkpoint(Path(model))
        if "baseline" in (state.meta.get("config") or {}):
            return _baseline(state, str(model))
        trained = Lifter.of(state, str(model))
    else:
        trained = load_lifter(model)
    network = trained.network()
    return _Scorable(
        name="synrep",
        config=trained.config,
        predict=lambda views: predict(network, views),
        body=trained.body,
        best=trained.best,
        origin=trained.origin,
    )


def _baseline(state: TrainingState, place: str) -> _Scorable:
    try:
        content, sizes = state.meta["config"], ("bone_length_sum_mm", "scale_mm")
        return _Scorable(
            name=content["baseline"],
            config=CONFIGS[content["baseline"]].model_validate_json(json.dumps(content)),
            predict=lambda views: predict_poses(state, views),
            body=BodyScale(**{name: state.meta[name] for name in sizes}),
            best=state.meta["best"] or {},
            origin=Origin.read(state.meta),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(place, f"not a checkpoint of this version: {error}") from None
