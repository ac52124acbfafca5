"""A studio with four cameras and people who turn and walk in it, and writers of every layout.

Everything is computed here: cameras are placed by quaternions as VideoPose3D prints them or by a
look-at rule, and projection is written out term by term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cdflib.cdfwrite
import h5py
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

IDS = ("54138969", "55011271", "58860488", "60457274")
AT_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
H36M_SIDES = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
MPII_SIDES = [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]
# Facing +x, left is +y, up is +z, in Human3.6M's order of 17.
PERSON = np.array([
    (0, 0, 900), (0, -110, 900), (90, -110, 480), (0, -110, 75), (0, 110, 900), (90, 110, 480),
    (0, 110, 75), (0, 0, 1140), (10, 0, 1400), (80, 0, 1490), (20, 0, 1600), (0, 170, 1380),
    (-20, 200, 1100), (60, 200, 870), (0, -170, 1380), (-20, -200, 1100), (60, -200, 870),
], float)  # fmt: skip

# As printed in the public code of VideoPose3D: focal lengths, centre, radial, and tangential
# coefficients in that project's own order; orientation (w, x, y, z) from camera to world, position.
PRINTED_LENS = [
    ((1145.0494384765625, 1143.7811279296875), (512.54150390625, 515.4514770507812),
     (-0.20709891617298126, 0.24777518212795258, -0.0030751503072679043),
     (-0.0009756988729350269, -0.00142447161488235)),
    ((1149.6756591796875, 1147.5916748046875), (508.8486328125, 508.0649108886719),
     (-0.1942136287689209, 0.2404085397720337, 0.006819975562393665),
     (-0.0016190266469493508, -0.0027408944442868233)),
    ((1149.1407470703125, 1148.7989501953125), (519.8158569335938, 501.40264892578125),
     (-0.2083381861448288, 0.25548800826072693, -0.0024604974314570427),
     (0.0014843869721516967, -0.0007599993259645998)),
    ((1145.5113525390625, 1144.77392578125), (514.9682006835938, 501.88201904296875),
     (-0.198384091258049, 0.21832367777824402, -0.008947807364165783),
     (-0.0005872055771760643, -0.0018133620033040643)),
]  # fmt: skip
PRINTED_PLACES = {
    "S1": [
        ((0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088),
         (1841.1070556640625, 4955.28466796875, 1563.4454345703125)),
        ((0.6157187819480896, -0.764836311340332, -0.14833825826644897, 0.11794740706682205),
         (1761.278564453125, -5078.0068359375, 1606.2650146484375)),
        ((0.14651472866535187, -0.14647851884365082, 0.7653023600578308, -0.6094175577163696),
         (-1846.7777099609375, 5215.04638671875, 1491.972412109375)),
        ((0.5834008455276489, -0.7853162288665771, 0.14548823237419128, -0.14749594032764435),
         (-1794.7896728515625, -3722.698974609375, 1574.8927001953125)),
    ],
    "S5": [((0.1467377245426178, -0.162370964884758, -0.7551892995834351, 0.6178938746452332),
            (2097.3916015625, 4880.94482421875, 1605.732421875))],
    "S6": [((0.1337897777557373, -0.15692396461963654, -0.7571090459823608, 0.6198879480361938),
            (1935.4517822265625, 4950.24560546875, 1618.0838623046875))],
    "S7": [((0.1435241848230362, -0.1631336808204651, -0.7548328638076782, 0.6188824772834778),
            (1974.512939453125, 4926.3544921875, 1597.8326416015625))],
    "S8": [((0.14110587537288666, -0.15589867532253265, -0.7561917304992676, 0.619644045829773),
            (2150.65185546875, 4896.1611328125, 1611.9046630859375))],
    "S9": [
        ((0.15540587902069092, -0.15548215806484222, -0.7532095313072205, 0.6199594736099243),
         (2044.45849609375, 4935.1171875, 1481.2275390625)),
        ((0.618784487247467, -0.7634735107421875, -0.14132238924503326, 0.11933968216180801),
         (1990.959716796875, -5123.810546875, 1568.8048095703125)),
        ((0.13357827067375183, -0.1367100477218628, 0.7689454555511475, -0.6100738644599915),
         (-1670.9921875, 5211.98583984375, 1528.387939453125)),
        ((0.5879399180412292, -0.7823407053947449, 0.1427614390850067, -0.14794869720935822),
         (-1696.04345703125, -3827.099853515625, 1591.4127197265625)),
    ],
    "S11": [((0.15232472121715546, -0.15442320704460144, -0.7547563314437866, 0.6191070079803467),
             (2098.440185546875, 4926.5546875, 1500.278564453125))],
}  # fmt: skip


def matrix_of(quaternion: tuple[float, ...]) -> Array:
    """(3, 3) rotation of a quaternion (w, x, y, z), column by column: q e q*."""
    w, v = quaternion[0], np.array(quaternion[1:])
    columns = [e + 2 * np.cross(v, np.cross(v, e) + w * e) for e in np.eye(3)]
    return np.stack(columns, axis=1)


@dataclass
class Eye:
    """A camera of the studio: rotation from world to camera, and the lens in plain words."""

    rotation: Array
    position: Array
    focal: tuple[float, float]
    centre: tuple[float, float]
    radial: tuple[float, float, float]
    p1: float
    p2: float

    def see(self, world: Array) -> Array:
        """World to camera coordinates, one point after the other."""
        flat = [self.rotation @ (point - self.position) for point in world.reshape(-1, 3)]
        return np.array(flat).reshape(world.shape)

    def pixels(self, seen: Array) -> Array:
        """Projection with Human3.6M's distortion, number by number."""
        flat = []
        for x, y, z in seen.reshape(-1, 3):
            u, v = x / z, y / z
            r2 = u * u + v * v
            bend = 1 + self.radial[0] * r2 + self.radial[1] * r2**2 + self.radial[2] * r2**3
            bend += self.p1 * v + self.p2 * u
            flat.append((
                self.focal[0] * (u * bend + self.p2 * r2) + self.centre[0],
                self.focal[1] * (v * bend + self.p1 * r2) + self.centre[1],
            ))  # fmt: skip
        return np.array(flat).reshape(*seen.shape[:-1], 2)


def printed_eye(place: tuple[Any, Any], number: int) -> Eye:
    """A camera as VideoPose3D prints it."""
    focal, centre, radial, (second, first) = PRINTED_LENS[number]
    return Eye(matrix_of(place[0]).T, np.array(place[1]), focal, centre, radial, first, second)


def own_eyes() -> list[Eye]:
    """Four cameras of our own, 5 m from the middle, rotated by known angles."""
    eyes = []
    for number, degrees in enumerate((20, 110, 200, 290)):
        turn = math.radians(degrees)
        position = np.array([5000 * math.cos(turn), 5000 * math.sin(turn), 1500.0])
        away = np.array([-math.cos(turn), -math.sin(turn), -0.1]) / math.hypot(1, 0.1)
        right = np.array([-math.sin(turn), math.cos(turn), 0.0])
        rotation = np.stack([right, np.cross(away, right), away])
        eyes.append(
            Eye(rotation, position, (1100.0 + number, 1110.0), (505.0, 495.0 + number),
                (-0.2, 0.25, -0.01), -0.001 * (number + 1), 0.0015)
        )  # fmt: skip
    return eyes


def walk(number: int, frames: int) -> Array:
    """(T, 17, 3) of a person who walks on a circle and turns, in the world's millimetres."""
    positions = []
    for frame in range(frames):
        angle = 0.7 * number + 0.05 * frame
        cos, sin = math.cos(angle), math.sin(angle)
        turned = PERSON @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        positions.append(turned + np.array([400 * sin, -400 * cos, 0]))
    return np.array(positions)


@dataclass
class Studio:
    """People, recordings and cameras, written in any layout.

    `recordings` are by (subject, name in the file); `renamed` gives the name in the store.
    """

    folder: Path
    eyes: list[Eye] = field(default_factory=own_eyes)
    frames: int = 6
    recordings: dict[tuple[str, str], Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [("S1", "TakingPhoto 1"), ("S1", "SittingDown")]
        names += [(subject, "Walking 1") for subject in ("S5", "S6", "S7", "S8", "S11")]
        names += [("S11", "Directions"), ("S9", "Greeting"), ("S9", "WalkTogether 1")]
        for number, key in enumerate(names):
            self.recordings[key] = walk(number, self.frames + number)

    def of_32(self, world: Array) -> Array:
        """The recording with all 32 joints; those that nobody uses are far away."""
        full = np.full((len(world), 32, 3), 7e4)
        full[:, AT_32] = world
        return full

    def write_metadata(self, folder: Path) -> None:
        """metadata.xml: the numbers of our cameras for each of 11 subjects."""
        numbers: list[float] = []
        for eye in self.eyes:
            r = eye.rotation
            angles = (
                math.atan2(-r[1, 2], r[2, 2]),
                math.asin(r[0, 2]),
                math.atan2(-r[0, 1], r[0, 0]),
            )
            numbers += [*angles, *eye.position.tolist()] * 11
        for eye in self.eyes:
            numbers += [*eye.focal, *eye.centre, *eye.radial, eye.p1, eye.p2]
        text = " ".join(repr(float(number)) for number in numbers)
        (folder / "metadata.xml").write_text(f"<metadata>\n<w0>[{text}]</w0>\n</metadata>\n")

    def write_cameras_h5(self, folder: Path) -> None:
        """cameras.h5, with rotations transposed and names as numbers of letters."""
        with h5py.File(folder / "cameras.h5", "w") as file:
            for subject in (1, 5, 6, 7, 8, 9, 11):
                for number, eye in enumerate(self.eyes):
                    group = file.create_group(f"subject{subject}/camera{number + 1}")
                    group["R"] = eye.rotation.T
                    for name, values in (
                        ("T", eye.position), ("f", eye.focal), ("c", eye.centre),
                        ("k", eye.radial), ("p", (eye.p1, eye.p2)),
                    ):  # fmt: skip
                        group[name] = np.array(values, float).reshape(-1, 1)
                    group["Name"] = np.array([[ord(c)] for c in IDS[number]], np.uint16)

    def write_videopose3d(self, metres: float = 1e-3) -> Path:
        """data_3d_h36m.npz, with metadata.xml beside it."""
        content: dict[str, dict[str, Any]] = {}
        for (subject, name), world in self.recordings.items():
            content.setdefault(subject, {})[name] = (self.of_32(world) * metres).astype(np.float32)
        np.savez_compressed(
            self.folder / "data_3d_h36m.npz", positions_3d=np.array(content, object)
        )
        self.write_metadata(self.folder)
        return self.folder

    def write_2d(
        self, file: str, keypoints: dict[Any, Any], metadata: dict[str, Any] | None
    ) -> None:
        """A 2D file of VideoPose3D: keypoints by (subject, name) as lists of four cameras."""
        content: dict[str, dict[str, Any]] = {"S2": {}}
        for (subject, name), views in keypoints.items():
            content.setdefault(subject, {})[name] = views
        arrays = {"positions_2d": np.array(content, object)}
        if metadata is not None:
            arrays["metadata"] = np.array(metadata, object)
        np.savez_compressed(self.folder / file, **arrays)

    def write_martinez(self) -> Path:
        """HDF5 files of (96, T), and cameras.h5."""
        for (subject, name), world in self.recordings.items():
            folder = self.folder / "h36m" / subject / "MyPoses" / "3D_positions"
            folder.mkdir(parents=True, exist_ok=True)
            with h5py.File(folder / f"{name}.h5", "w") as file:
                file["3D_positions"] = self.of_32(world).reshape(-1, 96).T
        self.write_cameras_h5(self.folder / "h36m")
        return self.folder

    def write_official(self) -> Path:
        """CDF files of (1, T, 96), and metadata.xml."""
        for (subject, name), world in self.recordings.items():
            folder = self.folder / subject / "MyPoseFeatures" / "D3_Positions"
            folder.mkdir(parents=True, exist_ok=True)
            file = cdflib.cdfwrite.CDF(folder / f"{name}.cdf", cdf_spec={"Majority": "row_major"})
            rows = self.of_32(world).reshape(1, -1, 96).astype(np.float32)
            file.write_var(
                {
                    "Variable": "Pose", "Data_Type": 44, "Num_Elements": 1, "Rec_Vary": True,
                    "Dim_Sizes": list(rows.shape[1:]),
                },
                var_data=rows,
            )  # fmt: skip
            file.close()
        self.write_metadata(self.folder)
        return self.folder

    def write_mmpose(self, step: int = 5, metres: float = 1e-3) -> Path:
        """h36m_train.npz and h36m_test.npz before the cameras, with metadata.xml."""
        folder = self.folder / "annotation_body3d" / f"fps{50 // step}"
        folder.mkdir(parents=True)
        for file, people in (("train", ("S1", "S5", "S6", "S7", "S8")), ("test", ("S9", "S11"))):
            images, seen, pixels = [], [], []
            for (subject, name), world in self.recordings.items():
                for camera, eye in zip(IDS, self.eyes, strict=True) if subject in people else ():
                    stem = f"{subject}_{name.replace(' ', '_')}.{camera}"
                    for frame in range(0, len(world), step):
                        images.append(f"{subject}/{stem}/{stem}_{frame + 1:06d}.jpg")
                        seen.append(eye.see(world[frame]))
                        pixels.append(eye.pixels(seen[-1]))
            ones = np.ones((len(seen), 17, 1))
            np.savez(
                folder / f"h36m_{file}.npz",
                imgname=np.array(images),
                center=np.zeros((len(seen), 2)),
                scale=np.zeros(len(seen)),
                S=np.concatenate([np.array(seen) * metres, ones], -1),
                part=np.concatenate([np.array(pixels), ones], -1),
            )
        self.write_metadata(self.folder)
        return self.folder

    def seen(self, subject: str, name: str, camera: int) -> tuple[Array, Array]:
        """Camera coordinates and pixels of a recording."""
        seen = self.eyes[camera].see(self.recordings[subject, name])
        return seen, self.eyes[camera].pixels(seen)

    def views(self, change: Any = lambda pixels: pixels) -> dict[tuple[str, str], list[Any]]:
        """Four (T, 17, 2) pixels for each recording, changed by a function."""
        return {
            key: [change(self.seen(*key, camera)[1]).astype(np.float32) for camera in range(4)]
            for key in self.recordings
        }


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """People before cameras of our own; nothing is written yet."""
    folder = tmp_path / "h36m"
    folder.mkdir()
    return Studio(folder)


@pytest.fixture
def printed() -> dict[str, list[Eye]]:
    """Cameras as VideoPose3D prints them: all of S1 and S9, the first of all others."""
    return {
        subject: [printed_eye(place, number) for number, place in enumerate(places)]
        for subject, places in PRINTED_PLACES.items()
    }
