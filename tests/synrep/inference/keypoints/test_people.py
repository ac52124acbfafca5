"""Several people in a video, and the numbers of its frames."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synrep.errors import InputError, InputWarning
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.inference.keypoints.numbering import frame_numbers, natural
from synrep.inference.keypoints.people import Person, follow
from synrep.keypoint_sets import COCO_17, OPENPOSE_25

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Body = Callable[..., NDArray[np.float64]]


def person(points: NDArray[np.float64], score: float = 1, track: str | None = None) -> Person:
    """One whose joints are all sure."""
    sure = np.ones((len(points), 1))
    return Person(points=np.concatenate([points, sure], 1), score=score, track=track)


def two(body: Body, frames: int = 4, *, track: bool = False) -> list[list[Person]]:
    """Two people who stand 700 pixels apart, in turns surer and first in the list."""
    left, right = body(COCO_17.joints, frames), body(COCO_17.joints, frames, shift=700)
    people = [
        [
            person(left[n], 1 + n % 2, "5" if track else None),
            person(right[n], 2 - n % 2, "8" if track else None),
        ]
        for n in range(frames)
    ]
    return [frame[:: 1 - 2 * (n % 2)] for n, frame in enumerate(people)]


def test_the_nearest_is_followed(body: Body) -> None:
    """Not the surest, nor the first of the list; that there are several is told."""
    for wanted, shift in ((None, 700), ("0", 0), ("1", 700)):
        said = "several people in frames 10, 20, 30, 40: number . of frame 10 .*--person"
        with pytest.warns(InputWarning, match=said) as caught:
            found = follow(two(body), (10, 20, 30, 40), wanted, "test")
        assert "jumped" not in str(caught[0].message)
        np.testing.assert_array_equal(found[..., :2], body(COCO_17.joints, 4, shift=shift))


def test_size_tells_people_apart(body: Body) -> None:
    """Somebody far behind who crosses is nearer in the picture, but much smaller."""
    near = body(COCO_17.joints, 2)
    far = (near - near.mean((0, 1))) * 0.15 + near.mean((0, 1))
    people = [[person(near[0], 2)], [person(far[1], 9), person(near[1] + 60, 1)]]
    with pytest.warns(InputWarning, match="several people in frame 1: number 0 of frame 0"):
        found = follow(people, (0, 1), None, "test")
    np.testing.assert_array_equal(found[1, :, :2], near[1] + 60)


def test_a_jump_is_told(body: Body) -> None:
    """Where nobody is near, the surest is taken; frames without anybody are gaps."""
    people = two(body, 6)
    people[2] = []
    people[4] = [person(body(COCO_17.joints, 1, shift=-600)[0])]
    with pytest.warns(InputWarning, match=r"jumped to somebody far away in frames 4, 5 \("):
        found = follow(people, range(6), None, "test")
    assert np.isnan(found[2]).all()
    alone = [[person(points)] for points in body(COCO_17.joints, 3)]
    alone[1] = [person(alone[1][0].points[:, :2] + 900)]
    with pytest.warns(InputWarning, match="test: the choice jumped .* in frames 1, 2 .*check that"):
        follow(alone, range(3), None, "test")


def test_tracks_are_followed(body: Body) -> None:
    """The one in most frames, or the one that is asked for; the frames that it lacks are told."""
    people = two(body, track=True)
    people[0] = people[0][1:]
    with pytest.warns(InputWarning, match="tracks 8, 5: 8 was taken, which is in 4 of 4 frames"):
        found = follow(people, range(4), None, "test")
    np.testing.assert_array_equal(found[..., :2], body(COCO_17.joints, 4, shift=700))
    with pytest.warns(InputWarning, match="5 was taken, .* 3 of 4 frames, not in frame 0"):
        found = follow(people, range(4), "5", "test")
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1:, :, :2], body(COCO_17.joints, 4)[1:])
    with pytest.raises(InputError, match=r"--person: test has no track '1' \(it has 8, 5\)"):
        follow(people, range(4), "1", "test")


def test_an_id_of_two_people_is_no_track(body: Body) -> None:
    """AlphaPose without tracking gives everybody the id 0: the nearest is followed."""
    people = [
        [Person(points=p.points, score=p.score, track="0") for p in frame] for frame in two(body)
    ]
    with pytest.warns(InputWarning, match="number 1 of frame 0 was followed"):
        found = follow(people, range(4), None, "test")
    np.testing.assert_array_equal(found[..., :2], body(COCO_17.joints, 4, shift=700))


@pytest.mark.parametrize("wanted", ["2", "x", "-1", "9" * 5000])
def test_nobody_of_that_number(body: Body, wanted: str) -> None:
    """The most people in a frame are told."""
    with pytest.raises(InputError, match=r"no frame has more than 2 people.*give 0 to 1"):
        follow(two(body), range(4), wanted, "test")


def test_one_person_in_all_frames_is_nothing_to_tell(body: Body) -> None:
    """Also where others have no joint, and with gaps."""
    empty = person(np.full((17, 2), np.nan))
    people = [[empty, person(points)] for points in body(COCO_17.joints, 3)]
    people[1] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        found = follow(people, range(3), None, "test")
    assert np.isfinite(found).all((1, 2)).tolist() == [True, False, True]


def write(path: Path, content: Any) -> Path:
    """A JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def openpose(points: NDArray[np.float64], track: int = -1) -> dict[str, Any]:
    """A person as OpenPose writes it."""
    flat = [value for x, y in points.tolist() for value in (x, y, 0.5)]
    return {"person_id": [track], "pose_keypoints_2d": flat}


@pytest.mark.parametrize("name", ["frame_{}_keypoints", "{}", "a7_{:03}", "v{:012}_kp2d", "{}.png"])
def test_files_number_the_frames(tmp_path: Path, body: Body, name: str) -> None:
    """In natural order, with their gaps; hidden files and others are no frames."""
    points = body(OPENPOSE_25.joints, 4)
    frames = (1, 2, 10, 100)
    for frame, place in zip(frames, points, strict=True):
        write(tmp_path / f"{name.format(frame)}.json", {"people": [openpose(place)]})
    (tmp_path / "._1.json").write_bytes(b"\0")
    (tmp_path / "notes.txt").write_text("x")
    found = read_keypoints(tmp_path)
    assert found.frames == frames
    np.testing.assert_array_equal(found.points_px, points)


def test_names_that_number_nothing_are_told(tmp_path: Path, body: Body) -> None:
    """Frames then count from 0, in natural order."""
    points = body(OPENPOSE_25.joints, 3)
    for name, place in zip(("a2", "a10", "b1"), points, strict=True):
        write(tmp_path / f"{name}.json", {"people": [openpose(place)]})
    with pytest.warns(InputWarning, match="do not number the frames: they count from 0"):
        found = read_keypoints(tmp_path)
    assert found.frames == (0, 1, 2)
    np.testing.assert_array_equal(found.points_px, points)


def test_people_from_files(tmp_path: Path, body: Body) -> None:
    """OpenPose's ids and AlphaPose's are tracks; images are numbered by their names."""
    points, other = body(OPENPOSE_25.joints, 2), body(OPENPOSE_25.joints, 2, shift=700)
    for n in range(2):
        people = [openpose(other[n], 4), openpose(points[n], 3)][:: 1 - 2 * n]
        write(tmp_path / "video" / f"{n + 7}.json", {"people": people})
    with pytest.warns(InputWarning, match="tracks 4, 3: 3 was taken"):
        found = read_keypoints(tmp_path / "video", person=3)
    assert found.frames == (7, 8)
    np.testing.assert_array_equal(found.points_px, points)
    coco = body(COCO_17.joints, 3)
    results = [
        {"image_id": f"frame{n}.jpg", "keypoints": person(coco[k]).points.ravel().tolist(),
         "score": 3, "box": [], "idx": k}
        for k, n in enumerate((3, 12, 4))
    ]  # fmt: skip
    with pytest.warns(InputWarning, match="tracks 0, 2, 1: 2 was taken, .* not in frames 3, 12"):
        found = read_keypoints(write(tmp_path / "alphapose-results.json", results), person="2")
    assert found.frames == (3, 4, 12)
    np.testing.assert_array_equal(found.points_px[1], coco[2])


def test_a_person_is_chosen_of_several_only(tmp_path: Path, body: Body) -> None:
    """A format with one person has no other."""
    path = write(tmp_path / "a.json", body(COCO_17.joints).tolist())
    with pytest.raises(InputError, match="--person: json files hold one person"):
        read_keypoints(path, "coco", person=0)


def test_numbers_in_names() -> None:
    """The last that differs; nothing where names differ in words, or numbers come twice."""
    assert frame_numbers(["cam1_001", "cam1_002"]) == [1, 2]
    assert frame_numbers(["2024_1_x3", "2024_2_x5"]) == [3, 5]
    assert frame_numbers(["frame_12_kp2d"]) == [12]
    assert frame_numbers(["GOPR0123"]) == [123]
    for names in (
        ["a1", "b2"],
        ["1", "01"],
        ["c1_1", "c2_1", "c1_2", "c2_2"],
        ["a"],
        [],
        ["9" * 30],
    ):
        assert frame_numbers(names) is None


@given(st.lists(st.integers(0, 10**17), unique=True, min_size=2))
def test_natural_order_is_that_of_numbers(numbers: list[int]) -> None:
    """And the numbers are read back."""
    names = sorted((f"f{number}_k" for number in numbers), key=natural)
    assert frame_numbers(names) == sorted(numbers)
