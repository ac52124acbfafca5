"""Cameras: the published numbers against another project's, and the files that hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synrep.datasets.human36m import Human36MOptions, read_human36m
from synrep.datasets.human36m.cameras import (
    find_cameras,
    published_cameras,
    read_cameras_h5,
    read_metadata,
    shared_intrinsics,
)
from synrep.datasets.human36m.protocol import CAMERAS, IMAGE_PX, SUBJECTS
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from pathlib import Path

PUBLISHED = published_cameras()
KEYS = [(subject, camera) for subject in SUBJECTS for camera in CAMERAS]
coordinates = st.floats(-1500, 1500)


def test_published_cameras_are_those_of_videopose3d(printed) -> None:
    """Rotations from quaternions, positions and lenses, as that project prints them."""
    assert set(PUBLISHED) == set(KEYS)
    compared = 0
    for subject, eyes in printed.items():
        for number, eye in enumerate(eyes):
            camera = PUBLISHED[subject, CAMERAS[number]]
            np.testing.assert_allclose(camera.rotation, eye.rotation, atol=1e-6)
            np.testing.assert_allclose(camera.position_mm, eye.position, atol=1e-3)
            np.testing.assert_allclose(camera.focal_px, eye.focal, atol=1e-3)
            np.testing.assert_allclose(camera.centre_px, eye.centre, atol=1e-3)
            np.testing.assert_allclose(camera.radial, eye.radial, atol=1e-7)
            np.testing.assert_allclose(camera.tangential, (eye.p1, eye.p2), atol=1e-9)
            compared += 1
    assert compared == 13


def test_published_cameras_look_at_the_middle() -> None:
    """A person in the middle of the room is upright in the middle of every image."""
    for subject, name in KEYS:
        camera = PUBLISHED[subject, name]
        seen = camera.to_camera(np.array([[0, 300, 900.0], [0, 300, 1600.0]]))
        assert (seen[:, 2] > 3000).all()
        pixels = camera.project(seen)
        assert np.abs(pixels[0] - np.array(IMAGE_PX[name]) / 2).max() < 160
        assert pixels[0, 1] - pixels[1, 1] > 100


@given(x=coordinates, y=coordinates, z=st.floats(0, 2000), key=st.sampled_from(KEYS))
def test_world_to_camera_and_back(x: float, y: float, z: float, key: tuple[str, str]) -> None:
    """The inverse leads back, and distances are kept."""
    world = np.array([[x, y, z], [0, 0, 0]])
    seen = PUBLISHED[key].to_camera(world)
    back = seen @ PUBLISHED[key].rotation + PUBLISHED[key].position_mm
    np.testing.assert_allclose(back, world, atol=1e-6)
    assert np.linalg.norm(seen[0] - seen[1]) == pytest.approx(np.linalg.norm(world[0]), abs=1e-6)


@given(x=coordinates, y=coordinates, z=st.floats(0, 2000), key=st.sampled_from(KEYS))
def test_two_conventions_of_distortion_agree(
    x: float, y: float, z: float, key: tuple[str, str]
) -> None:
    """Human3.6M's tangential pair, and VideoPose3D's with its numbers the other way round."""
    camera = PUBLISHED[key]
    seen = camera.to_camera(np.array([x, y, z]))
    plane = seen[:2] / seen[2]
    r2 = plane @ plane
    swapped = camera.tangential[::-1]
    factor = 1 + camera.radial @ np.array([r2, r2**2, r2**3]) + swapped @ plane
    theirs = camera.focal_px * (plane * factor + swapped * r2) + camera.centre_px
    np.testing.assert_allclose(camera.project(seen), theirs, atol=1e-9)


@pytest.mark.parametrize(
    ("writer", "reader"),
    [("write_metadata", read_metadata), ("write_cameras_h5", read_cameras_h5)],
)
def test_files_of_cameras(studio, writer: str, reader: Any) -> None:
    """Both files give the studio's cameras, for all seven subjects."""
    getattr(studio, writer)(studio.folder)
    (path,) = studio.folder.iterdir()
    cameras = reader(path)
    assert set(cameras) == set(KEYS)
    for (_, name), camera in cameras.items():
        eye = studio.eyes[CAMERAS.index(name)]
        np.testing.assert_allclose(camera.rotation, eye.rotation, atol=1e-12)
        np.testing.assert_allclose(camera.position_mm, eye.position)
        np.testing.assert_allclose(camera.tangential, (eye.p1, eye.p2))
        point = eye.position + eye.rotation[2] * 4000 + eye.rotation[0] * 700
        seen = camera.to_camera(point)
        np.testing.assert_allclose(seen, eye.see(point), atol=1e-9)
        np.testing.assert_allclose(camera.project(seen), eye.pixels(seen), atol=1e-9)
    assert find_cameras([studio.folder])[1] == f"cameras: {path}"
    assert find_cameras([studio.folder / "nowhere"])[1] == "cameras: the published numbers"


def test_damaged_metadata(tmp_path: Path) -> None:
    """No list, one number short, a word, another encoding."""
    path = tmp_path / "metadata.xml"
    for text in ("<a/>", f"<w0>[{'1 ' * 299}]</w0>", f"<w0>[{'1 ' * 299}nan]</w0>", "<w0>[x]</w0>"):
        path.write_text(text)
        with pytest.raises(DamagedError, match="remove it to use the published numbers"):
            read_metadata(path)
    path.write_bytes(b"\xff\xfe<w0>")
    with pytest.raises(DamagedError, match="its list w0 has 0 numbers instead of 300"):
        read_metadata(path)


def test_damaged_cameras_h5(studio) -> None:
    """A missing camera, no rotation, an unknown name, a cut file."""
    path = studio.folder / "cameras.h5"

    def fails(match: str, name: str, value: Any) -> None:
        studio.write_cameras_h5(studio.folder)
        with h5py.File(path, "a") as file:
            del file[name]
            if value is not None:
                file[name] = value
        with pytest.raises(DamagedError, match=match) as caught:
            read_cameras_h5(path)
        assert str(path) in str(caught.value)

    fails("subject9/camera3/R is not 9 numbers", "subject9/camera3", None)
    fails("subject1/camera1/f is not 2 numbers", "subject1/camera1/f", np.ones(3))
    fails("subject1/camera1/R is not a rotation", "subject1/camera1/R", np.ones((3, 3)))
    fails("Name is '99999999'", "subject1/camera1/Name", np.full((8, 1), ord("9")))
    fails("k is .*S1", "subject1/camera1/k", np.array([b"x"]))
    with h5py.File(path, "w") as file:
        file["other"] = np.zeros(3)
    with pytest.raises(DamagedError, match="it has no groups subject1/camera1"):
        read_cameras_h5(path)
    studio.write_cameras_h5(studio.folder)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DamagedError, match="not readable as HDF5"):
        read_cameras_h5(path)


def test_a_subject_without_cameras_is_named(studio) -> None:
    """cameras.h5 of some subjects, with poses of another."""
    studio.write_martinez()
    with h5py.File(studio.folder / "h36m" / "cameras.h5", "a") as file:
        del file["subject7"]
    with pytest.raises(InputError, match="there is no camera 54138969 of S7"):
        read_human36m(studio.folder, Human36MOptions())


def test_wrong_cameras_don_t_see_the_poses(studio) -> None:
    """Rotations that were not stored transposed, and lenses that differ between subjects."""
    studio.write_martinez()
    path = studio.folder / "h36m" / "cameras.h5"
    with h5py.File(path, "a") as file:
        for subject in file.values():
            for camera in subject.values():
                camera["R"][...] = camera["R"][:].T
    with pytest.raises(DamagedError, match="% of the poses are outside of the images of camera"):
        read_human36m(studio.folder, Human36MOptions())
    studio.write_cameras_h5(studio.folder / "h36m")
    with h5py.File(path, "a") as file:
        file["subject6/camera2/f"][...] = 900
    with pytest.raises(InputError, match="intrinsics of camera 55011271 of S6 differ"):
        read_human36m(studio.folder, Human36MOptions())


def test_headers_hold_four_lenses() -> None:
    """The store's cameras project as the recorded ones."""
    lenses = shared_intrinsics(PUBLISHED, "here")
    assert tuple(lenses) == CAMERAS
    assert lenses["58860488"].tangential == (-0.00075999932103, 0.00148438698386)
    assert lenses["54138969"].focal_px == (1145.04940459, 1143.78109572)
