"""Damaged or unsuitable files raise one clear error each; and the command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from synrep.cli.data import data
from synrep.datasets.human36m import Human36MOptions, read_human36m
from synrep.datasets.human36m.protocol import ACTIONS, action_of, recording_name
from synrep.datasets.store.store import PoseStore
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def fails(root: Path, match: str, place: object, kind: type[InputError] = DamagedError) -> None:
    """Check that reading raises one error that names the place."""
    with pytest.raises(kind, match=match) as caught:
        read_human36m(root, Human36MOptions())
    assert str(caught.value).startswith(str(place))


def test_units_are_checked(studio) -> None:
    """Millimetres for metres, and metres for millimetres."""
    root = studio.write_videopose3d(metres=1.0)
    place = f"{root / 'data_3d_h36m.npz'}, S1 "
    fails(root, r"read in metres, thighs are 4.3e\+05 mm long; people's are about 450", place)
    (root / "data_3d_h36m.npz").unlink()
    for key in studio.recordings:
        studio.recordings[key] = studio.recordings[key] / 1000
    fails(studio.write_official(), r"read in millimetres, thighs are 0.43 mm", root / "S1")


@pytest.mark.parametrize(
    ("axes", "match"),
    [
        ([0, 2, 1], r"heads are above hips along \+y, where Human3.6M's world has \+z up"),
        ([2, 1, 0], r"heads are above hips along \+x"),
        ([1, 0, 2], r"of the poses are outside of the images|left and right are swapped"),
    ],
)
def test_swapped_axes_are_seen(studio, axes: list[int], match: str, tmp_path: Path) -> None:
    """By where heads are; swapped horizontal axes mirror the poses, which the store refuses."""
    for key in studio.recordings:
        studio.recordings[key] = studio.recordings[key][..., axes]
    root = studio.write_videopose3d()
    result = invoke("--root", root, "--out", tmp_path / "store")
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=match):
        raise result.exception
    assert not (tmp_path / "store").exists()


def test_cut_and_foreign_files(studio) -> None:
    """Of each layout: the message names the file and what is wrong with it."""
    root = studio.write_videopose3d()
    path = root / "data_3d_h36m.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(root, "not a whole .npz file", path)
    np.savez(path, positions_2d=np.zeros(3))
    fails(root, "no dictionary 'positions_3d'", path)
    np.savez(path, positions_3d=np.array({"S1": {"Walking": np.zeros((4, 17, 3))}}, object))
    fails(root, r"shape \(4, 17, 3\) where \(frames, 32, 3\) is expected", f"{path}, S1 Walking")
    np.savez(path, positions_3d=np.array({"S1": {"Flying 1": np.zeros((4, 32, 3))}}, object))
    fails(root, "'Flying 1' is not a recording of Human3.6M", f"{path}, S1", InputError)
    path.unlink()

    studio.write_official()
    path = root / "S7" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf"
    whole = path.read_bytes()
    for content in (whole[:400], b"", b"not CDF at all"):
        path.write_bytes(content)
        fails(root, "not readable as CDF", path)
    path.write_bytes(whole)
    path.with_name("_ALL 1.cdf").write_bytes(b"")
    assert len(read_human36m(root, Human36MOptions())[1]) == 3


def test_cut_and_foreign_files_of_martinez(studio) -> None:
    """HDF5: cut off, another array, another shape, text, the same recording twice."""
    root = studio.write_martinez()
    path = root / "h36m" / "S7" / "MyPoses" / "3D_positions" / "Walking 1.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    fails(root, "not readable as HDF5", path)

    def write(name: str, value: Any) -> None:
        path.unlink()
        with h5py.File(path, "w") as file:
            file[name] = value

    write("positions", np.zeros((96, 4)))
    fails(root, "no array 3D_positions of 96 rows", path)
    write("3D_positions", np.zeros((4, 96)))
    fails(root, r"shape \(4, 96\) where \(96, frames\) is expected", path)
    write("3D_positions", "text")
    fails(root, "3D_positions is", path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file.create_dataset("3D_positions", (96, 10**9), "f8", chunks=(96, 1000))
    fails(root, r"3D_positions is \(96, 1000000000\)", path)
    path.write_bytes(whole)
    twin = path.with_name("Walking_1.h5")
    twin.write_bytes(whole)
    fails(root, "the same recording as", twin)


@pytest.mark.parametrize(
    ("writer", "package"), [("write_official", "cdflib"), ("write_martinez", "h5py")]
)
def test_a_missing_package_is_named(
    studio, writer: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages that only some layouts need come with an extra."""
    root = getattr(studio, writer)()
    monkeypatch.setitem(sys.modules, package, None)
    fails(root, f"needs the package {package} .*its extra 'data'", root, InputError)


@given(
    action=st.sampled_from(ACTIONS),
    number=st.integers(1, 9) | st.none(),
    gap=st.sampled_from("_ "),
)
def test_names_of_recordings(action: str, number: int | None, gap: str) -> None:
    """Every action is distinguished from others with the same prefix, with either separator."""
    text = action + ("" if number is None else f"{gap}{number}")
    name = recording_name(text, "here")
    assert action_of(name) == action
    assert name == action + ("" if number is None else f" {number}")
    assert recording_name(name, "here") == name


def test_names_of_the_first_subject_and_others() -> None:
    """S1's alternative names are replaced; unknown names are refused."""
    assert recording_name("TakingPhoto 1", "here") == "Photo 1"
    assert recording_name("WalkingDog", "here") == "WalkDog"
    assert action_of("SittingDown 1") == "SittingDown"
    assert action_of("WalkTogether") == "WalkTogether"
    for text in ("Sit", "SittingDownUp 1", "Walking 1 2", "walking", "Walking.54138969", ""):
        with pytest.raises(InputError, match=r"is not a recording of Human3\.6M"):
            recording_name(text, "here")


def test_options_are_checked() -> None:
    """A wrong value names the field."""
    with pytest.raises(InputError, match="keypoints"):
        Human36MOptions.checked(keypoints="openpose")


def invoke(*words: object) -> Result:
    """Run `synrep data prepare human36m`."""
    return CliRunner().invoke(data, ["prepare", "human36m", *(str(word) for word in words)])


def test_the_command_explains_itself() -> None:
    """Layouts, defaults and examples."""
    text = invoke("--help").output
    for word in ("data_3d_h36m.npz", "cameras.h5", "D3_Positions", "fps50", "[default: auto]"):
        assert word in text
    assert text.count("synrep data prepare human36m --root") == 2


def test_the_command_makes_a_store_that_verifies(studio, tmp_path: Path) -> None:
    """Notes go to stderr, the counts to stdout; the header says all that it must."""
    studio.frames = 30
    studio.__post_init__()
    root = studio.write_official()
    out = tmp_path / "store"
    result = invoke("--root", root, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith(f"layout official in {root}\ncameras: {root}/metadata.xml\n")
    store = PoseStore.open(out)
    assert (
        result.stdout
        == f"{out}: "
        + ", ".join(f"{split} {count}" for split, count in store.header.splits.items())
        + " poses\n"
    )
    header = store.header
    assert (header.frame, header.up, header.fps) == ("camera", "-y", 50)
    assert sorted(header.cameras) == ["54138969", "55011271", "58860488", "60457274"]
    assert header.cameras["55011271"].tangential == (-0.002, 0.0015)
    assert "may be passed on" in header.licence
    assert "Ionescu" in header.acknowledgement
    told = [check.name for check in store.verify() if check.status != "passed"]
    assert told == ["published counts"], "the studio has fewer recordings than Human3.6M"
    again = invoke("--root", root, "--out", out)
    assert isinstance(again.exception, InputError)
    assert "exists already" in str(again.exception)


def test_published_cameras_are_used_without_a_file(studio, printed, tmp_path: Path) -> None:
    """Poses of S9 before the cameras that VideoPose3D prints."""
    root = studio.write_videopose3d()
    (root / "metadata.xml").unlink()
    result = invoke("--root", root, "--out", tmp_path / "store", "--train-on-s8", "--drop-damaged")
    assert result.exit_code == 0, result.output
    assert "cameras: the published numbers\n" in result.stderr
    assert "damaged, left out: S9 Greeting\n" in result.stderr
    poses = PoseStore.open(tmp_path / "store").read("test")
    for number, camera in enumerate(("54138969", "55011271", "58860488", "60457274")):
        rows = poses.joints_mm[poses.clip == f"S9/WalkTogether 1.{camera}"]
        seen = printed["S9"][number].see(studio.recordings["S9", "WalkTogether 1"])
        np.testing.assert_allclose(rows, seen, atol=0.02)
