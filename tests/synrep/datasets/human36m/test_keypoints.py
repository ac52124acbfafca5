"""Keypoints of detectors: which joints they are, which frames, and whether they fit the poses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest

from synrep.config import DataConfig
from synrep.datasets.human36m import Human36MOptions, read_human36m
from synrep.datasets.store.store import write_store
from synrep.datasets.views import load_views
from synrep.errors import DamagedError, InputError
from synrep.skeleton import HUMAN36M_17

if TYPE_CHECKING:
    from pathlib import Path

    from synrep.datasets.store.poses import Poses

IDS = ("54138969", "55011271", "58860488", "60457274")
CPN = "data_2d_h36m_cpn_ft_h36m_dbb.npz"
SH = "data_2d_h36m_sh_pt_mpii.npz"
H36M = {"layout_name": "h36m", "num_joints": 17,
        "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]}  # fmt: skip
MPII = {"num_joints": 16, "keypoints_symmetry": [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]}
H36M_16 = {"num_joints": 16, "keypoints_symmetry": [[4, 5, 6, 10, 11, 12], [3, 2, 1, 15, 14, 13]]}
# Human3.6M's number for each of MPII's 16; -1 is the chest, which Human3.6M lacks.
MPII_FROM_17 = (3, 2, 1, 4, 5, 6, 0, -1, 8, 10, 16, 15, 14, 11, 12, 13)


def read(folder: Path, keypoints: str, **options: Any) -> tuple[dict[Any, Poses], list[str]]:
    """Splits and notes."""
    chosen = Human36MOptions.checked(keypoints=keypoints, **options)
    _, splits, notes = read_human36m(folder, chosen)
    return splits, notes


def keypoints_of(poses: Poses, clip: str) -> Any:
    """The stored keypoints of a clip."""
    assert poses.keypoints_px is not None
    return poses.keypoints_px[poses.clip == clip]


def to_mpii(pixels: Any) -> Any:
    """(T, 16, 2) as a stacked hourglass finds it: its chest is between the shoulders."""
    points = pixels[:, np.array(MPII_FROM_17)]
    points[:, 7] = (pixels[:, 11] + pixels[:, 14]) / 2
    return points


def to_semgcn(pixels: Any) -> Any:
    """The same joints in the order in which SemGCN keeps them."""
    mpii = to_mpii(pixels)
    chest, others = mpii[:, 7], pixels[:, [0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]]
    return np.insert(others, 7, chest, axis=1)


def in_17(pixels: Any, nose: float = 0.24, head: float = 0.63) -> Any:
    """Return the joints expected by a rule of row 35: shares from upper neck to head top."""
    wanted = pixels.copy()
    wanted[:, 7] = (pixels[:, 0] + pixels[:, 8]) / 2
    for joint, share in ((9, nose), (10, head)):
        wanted[:, joint] = (1 - share) * pixels[:, 8] + share * pixels[:, 10]
    return wanted


def test_detections_are_stored_and_reach_the_views(
    studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17 joints, shifted by 3 px: views take them, the critic's real 2D stay projected."""
    monkeypatch.setenv("SYNREP_CACHE", str(tmp_path / "cache"))
    studio.write_videopose3d()
    shift = np.linspace(-3, 3, 34).reshape(17, 2)
    studio.write_2d(CPN, studio.views(lambda pixels: pixels + shift), H36M)
    about, splits, notes = read_human36m(studio.folder, Human36MOptions(keypoints="cpn"))
    assert f"keypoints: {studio.folder / CPN}" in notes
    _, pixels = studio.seen("S9", "Greeting", 1)
    found = keypoints_of(splits["test"], f"S9/Greeting.{IDS[1]}")
    np.testing.assert_allclose(found, pixels + shift, atol=1e-3)
    write_store(tmp_path / "store", about, splits)
    views = load_views(DataConfig(poses=str(tmp_path / "store")), "test")
    row = int(np.flatnonzero(splits["test"].clip == f"S9/Greeting.{IDS[1]}")[0])
    for points, wanted in (
        (views.keypoints, pixels[0] + shift),
        (views.real_keypoints, pixels[0]),
    ):
        wanted = wanted - wanted[0]  # noqa: PLW2901 - relative to the root
        radius = np.linalg.norm(wanted[1:], axis=-1).mean()
        assert np.abs(points[row].numpy() * radius - wanted).max() < 0.01


@pytest.mark.parametrize(("change", "metadata"), [(to_mpii, MPII), (to_semgcn, H36M_16)])
def test_both_orders_of_the_stacked_hourglass(studio, change: Any, metadata: Any) -> None:
    """One file name, two orders: the metadata tell them apart, 16 joints become 17."""
    studio.write_videopose3d()
    studio.write_2d(SH, studio.views(change), metadata)
    _, pixels = studio.seen("S1", "TakingPhoto 1", 3)
    for options, shares in (({}, (0.24, 0.63)), ({"sh_map": "geometric"}, (0.5, 1.0))):
        splits, notes = read(studio.folder, "sh", **options)
        found = keypoints_of(splits["train"], f"S1/Photo 1.{IDS[3]}")
        np.testing.assert_allclose(found, in_17(pixels, *shares), atol=1e-3)
        assert any(f"by the map {options.get('sh_map', 'fitted')!r}" in note for note in notes)


def test_the_fitted_map_finds_joints_of_the_measured_shares(studio) -> None:
    """Detections whose head top lies beyond Human3.6M's head: nose and head are met exactly."""

    def to_head_top(pixels: Any) -> Any:
        points = to_mpii(on_line(pixels))
        points[:, 9] = pixels[:, 8] + (pixels[:, 10] - pixels[:, 8]) / 0.63
        return points

    def on_line(pixels: Any) -> Any:
        wanted = pixels.copy()
        wanted[:, 7] = (pixels[:, 0] + pixels[:, 8]) / 2
        wanted[:, 9] = pixels[:, 8] + 0.24 / 0.63 * (pixels[:, 10] - pixels[:, 8])
        return wanted

    studio.write_videopose3d()
    studio.write_2d(SH, studio.views(to_head_top), MPII)
    wanted = on_line(studio.seen("S9", "Greeting", 1)[1])
    errors = {}
    for name in ("fitted", "geometric"):
        splits, _ = read(studio.folder, "sh", sh_map=name)
        found = keypoints_of(splits["test"], f"S9/Greeting.{IDS[1]}")
        errors[name] = np.abs(found - wanted).max()
    assert errors["fitted"] < 1e-3
    assert errors["geometric"] > 5


def test_a_map_of_mpii_needs_mpii_joints(studio) -> None:
    """The option is refused where it has no effect."""
    studio.write_videopose3d()
    with pytest.raises(InputError, match="--sh-map: has no effect on --keypoints gt"):
        read(studio.folder, "gt", sh_map="fitted")
    with pytest.raises(InputError, match="--train-on-s8: has no effect with --test-only"):
        read(studio.folder, "gt", test_only=True, train_on_s8=True)


def test_what_was_left_out_is_told_with_the_error(studio) -> None:
    """A detector that lacks S1, S5, S6 and S7: the error doesn't ask for poses that are there."""
    studio.write_videopose3d()
    views = studio.views()
    some = {key: value for key, value in views.items() if key[0] in ("S8", "S9", "S11")}
    studio.write_2d(CPN, some, H36M)
    with pytest.raises(
        InputError,
        match=r"no poses of S1 .* for the split train; no keypoints, left out: S1/.* "
        r"\(add their keypoints, or use --keypoints gt, or --test-only",
    ):
        read(studio.folder, "cpn")
    splits, notes = read(studio.folder, "cpn", test_only=True)
    assert list(splits) == ["test"]
    assert not any("no keypoints" in note for note in notes)


def test_sixteen_joints_of_other_detectors(studio) -> None:
    """Files of SemGCN and PoseAug lack the nose: it is put between thorax and head."""
    studio.write_videopose3d()
    studio.write_2d(CPN, studio.views(lambda pixels: np.delete(pixels, 9, axis=1)), H36M_16)
    splits, _ = read(studio.folder, "cpn")
    _, pixels = studio.seen("S8", "Walking 1", 0)
    wanted = pixels.copy()
    wanted[:, 9] = (pixels[:, 8] + pixels[:, 10]) / 2
    found = keypoints_of(splits["validation"], f"S8/Walking 1.{IDS[0]}")
    np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_coco_joints_of_detectron(studio) -> None:
    """The detector without fine-tuning has COCO's joints: limbs stay, the trunk is made."""

    def to_coco(pixels: Any) -> Any:
        limbs = pixels[:, [11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3]]
        return np.concatenate([np.repeat(pixels[:, 9:10], 5, axis=1), limbs], axis=1)

    studio.write_videopose3d()
    sides = [list(range(1, 17, 2)), list(range(2, 17, 2))]
    facts = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": sides}
    studio.write_2d("data_2d_h36m_detectron_pt_coco.npz", studio.views(to_coco), facts)
    _, pixels = studio.seen("S8", "Walking 1", 0)
    found = keypoints_of(
        read(studio.folder, "detectron")[0]["validation"], f"S8/Walking 1.{IDS[0]}"
    )
    limbs = HUMAN36M_17.indices("RKnee", "LFoot", "LElbow", "RWrist", "Nose")
    np.testing.assert_allclose(found[:, limbs], pixels[:, limbs], atol=1e-3)
    np.testing.assert_allclose(found[:, 8], (pixels[:, 11] + pixels[:, 14]) / 2, atol=1e-3)


@pytest.mark.parametrize(
    ("keypoints", "folder", "shares"),
    [
        ("sh", "StackedHourglass", (0.24, 0.63)),
        ("sh-ft", "StackedHourglassFineTuned240", (0.5, 1.0)),  # its head is Human3.6M's
    ],
)
def test_stacked_hourglass_files_of_martinez(
    studio, keypoints: str, folder: str, shares: tuple[float, float]
) -> None:
    """One HDF5 file a recording and camera, with underscores; a missing one is left out."""
    root = studio.write_martinez()
    for subject, name in studio.recordings:
        below = root / "h36m" / subject / folder
        below.mkdir(exist_ok=True)
        for number, camera in enumerate(IDS):
            if (subject, name, number) == ("S11", "Directions", 0):
                continue
            with h5py.File(below / f"{name.replace(' ', '_')}.{camera}.h5", "w") as file:
                file["poses"] = to_mpii(studio.seen(subject, name, number)[1])
    splits, notes = read(root, keypoints)
    assert f"no keypoints, left out: S11/Directions.{IDS[0]}" in notes
    assert f"S11/Directions.{IDS[0]}" not in splits["test"].clip
    found = keypoints_of(splits["test"], f"S11/Directions.{IDS[1]}")
    wanted = in_17(studio.seen("S11", "Directions", 1)[1], *shares)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    path = root / "h36m" / "S5" / folder / f"Walking_1.{IDS[2]}.h5"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(DamagedError, match="not readable as HDF5") as caught:
        read(root, keypoints)
    assert str(path) in str(caught.value)


def test_longer_shorter_and_missing_keypoints(studio) -> None:
    """Longer ones are cut with a note, missing ones left out with a note, shorter ones refused."""
    studio.write_videopose3d()
    views = studio.views()
    views["S5", "Walking 1"] = [
        np.concatenate([points, points[-1:] + 900]) for points in views["S5", "Walking 1"]
    ]
    del views["S11", "Directions"]
    views["S9", "Greeting"][2] = None
    studio.write_2d(CPN, views, H36M)
    splits, notes = read(studio.folder, "cpn")
    assert (
        "4 recordings have up to 1 more frames of keypoints than poses: cut to the poses' length"
        in notes
    )
    lost = ", ".join([f"S9/Greeting.{IDS[2]}", *(f"S11/Directions.{camera}" for camera in IDS[:3])])
    assert f"no keypoints, left out: {lost} and 1 more" in notes
    found = keypoints_of(splits["train"], f"S5/Walking 1.{IDS[0]}")
    np.testing.assert_allclose(found, studio.seen("S5", "Walking 1", 0)[1], atol=1e-3)
    assert f"S9/Greeting.{IDS[2]}" not in splits["test"].clip
    assert f"S9/Greeting.{IDS[3]}" in splits["test"].clip

    views["S7", "Walking 1"][1] = views["S7", "Walking 1"][1][:-1]
    studio.write_2d(CPN, views, H36M)
    message = rf"S7 Walking 1, camera {IDS[1]}: \d+ frames of keypoints for \d+ poses"
    with pytest.raises(DamagedError, match=message):
        read(studio.folder, "cpn")


def test_keypoints_that_don_t_fit_are_refused(studio) -> None:
    """Another order, exchanged sides, exchanged cameras, too few cameras, NaN, other shapes."""
    studio.write_videopose3d()

    def fails(match: str, views: Any, metadata: Any = H36M, file: str = CPN) -> None:
        studio.write_2d(file, views, metadata)
        with pytest.raises(InputError, match=match) as caught:
            read(studio.folder, "cpn" if file == CPN else "sh")
        assert str(studio.folder / file) in str(caught.value)

    order = np.random.default_rng(1).permutation(17)
    fails("the joints are in another order", studio.views(lambda p: p[:, order]))
    mirror = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13]
    fails("fit better with left and right exchanged", studio.views(lambda p: p[:, mirror]))
    fails("px off", {key: views[::-1] for key, views in studio.views().items()})
    fails("no list of 4 cameras", {key: views[:3] for key, views in studio.views().items()})
    fails("a keypoint is not a number", studio.views(lambda p: p * np.nan))
    fails("of shape", studio.views(lambda p: p[:, :16]))
    fails("nothing says which joints", studio.views(), None)
    fails("no known set", studio.views(), {"num_joints": 17, "keypoints_symmetry": [[1], [2]]})
    swapped = [6, 2, 1, 0, 3, 4, 5, 7, 8, 9, 13, 14, 15, 12, 11, 10]
    fails("in another order|exchanged", studio.views(lambda p: to_mpii(p)[:, swapped]), MPII, SH)


def test_missing_and_doubled_files(studio) -> None:
    """The error lists the files that were searched; two sets of the same detector are refused."""
    root = studio.write_martinez() / "h36m"
    with pytest.raises(InputError, match=r"no cpn keypoints; looked for data_2d_h36m_cpn_ft"):
        read(root, "cpn")
    with pytest.raises(InputError, match=r"sh_ft_h36m\.npz, S\*/StackedHourglassFineTuned240"):
        read(root, "sh-ft")
    (root / "S1" / "StackedHourglass").mkdir()
    (root / "S1" / "StackedHourglass" / f"Walking.{IDS[0]}.h5").touch()
    studio.write_2d(f"h36m/{SH}", studio.views(to_mpii), MPII)
    with pytest.raises(InputError, match="two sets of sh keypoints"):
        read(root, "sh")
    (root / SH).unlink()
    (root / "S1" / "StackedHourglass" / "Walking.123.h5").touch()
    with pytest.raises(InputError, match="unknown camera '123'"):
        read(root, "sh")


def test_projected_poses_are_compared(studio) -> None:
    """VideoPose3D's projections must agree with ours; those of other projects are ignored."""
    studio.write_videopose3d()
    gt = "data_2d_h36m_gt.npz"
    studio.write_2d(gt, studio.views(), H36M)
    splits, notes = read(studio.folder, "gt")
    assert f"compared with {studio.folder / gt}" in notes
    assert splits["test"].keypoints_px is None
    studio.write_2d(gt, studio.views(lambda pixels: pixels + 2), H36M)
    with pytest.raises(DamagedError, match=r"are 2\.83 px off the projected poses"):
        read(studio.folder, "gt")
    studio.write_2d(gt, studio.views(lambda pixels: np.delete(pixels, 9, axis=1)), H36M_16)
    assert any("human36m-16 joints of another project" in n for n in read(studio.folder, "gt")[1])
