"""Pose stores, motion capture and keypoints from strangers: read as data or refused."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from synrep.cli.main import main
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.skeleton import HUMAN36M_17
from synrep.viz.animation import page
from synrep.viz.plots import Scene, draw
from tests.security import seeds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Refused = Any
STEERING = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"
"""Sets a terminal's title, clears it, colours it, and turns the direction of the text."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A good pose store, to be spoilt."""
    folder = tmp_path / "store"
    folder.mkdir()
    for name, content in seeds.store().items():
        (folder / name).write_bytes(content)
    return folder


def spoil(store: Path, **changes: Any) -> None:
    """Change the header of a store."""
    header = json.loads((store / "store.json").read_text(encoding="utf-8"))
    (store / "store.json").write_text(json.dumps(header | changes), encoding="utf-8")


def put(store: Path, content: bytes, rows: int) -> None:
    """Another file in the place of the training split, with the checksum that it really has."""
    (store / "train.parquet").write_bytes(content)
    digest = {"train": hashlib.sha256(content).hexdigest()}
    spoil(store, sha256=digest, splits={"train": rows})


HEADERS = {
    "nested without end": b"[" * 100_000,
    "nested mappings": b'{"a":' * 100_000,
    "a number of a million digits": b'{"fps": ' + b"9" * 1_000_000 + b"}",
    "a rate that is no number": b'{"format": "synrep-poses/1", "fps": NaN}',
    "no text": b"\xff\xfe{}",
    "half a character": b'{"format": "synrep-poses/1", "name": "\\ud800"}',
    "nothing": b"",
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_headers_of_stores(store: Path, refused: Refused, content: bytes) -> None:
    """Whatever is in store.json, the message names it."""
    (store / "store.json").write_bytes(content)
    refused("synrep", "data", "verify", store, says="store.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"splits": {"../../x": 1}},
        {"splits": {"train": 10**12}},
        {"splits": {"train": -1}},
        {"sha256": {"train": "../../etc/passwd"}},
        {"skeleton": "../../x"},
        {"fps": 10**400},
        {"fps": -1},
        {"name": ["x"]},
        {"unknown": STEERING},
        {STEERING: 1},
        {"format": STEERING},
        {"cameras": {"x": {"focal_px": [1e999, 0]}}},
    ],
)
def test_values_in_headers(store: Path, refused: Refused, changes: dict[str, Any]) -> None:
    """No name in a header becomes a path, and no number is taken on trust."""
    spoil(store, **changes)
    refused("synrep", "train", "--out", store.parent / "run", "-o", f"data.poses={store}")


def test_files_that_claim_more_than_they_hold(store: Path, refused: Refused) -> None:
    """A billion equal rows are a small file, until somebody reads them."""
    rows = 300_000_000
    sink = io.BytesIO()
    zero = pa.RunEndEncodedArray.from_arrays([1_000_000], [1.5]).type.value_type
    batch = pa.table({"frame": pa.array(np.zeros(1_000_000), zero)})
    with pq.ParquetWriter(sink, batch.schema, compression="zstd") as writer:
        for _ in range(rows // 1_000_000):
            writer.write_table(batch, row_group_size=1_000_000)
    put(store, sink.getvalue(), rows)
    refused("synrep", "data", "info", store, says="bytes can't contain")
    put(store, sink.getvalue(), 3)
    refused("synrep", "data", "info", store, says="300000000 rows")
    for content in (b"", b"PAR1", b"PAR1" + b"\xff" * 100 + b"PAR1", seeds.parquet()[0][:-100]):
        put(store, content, 4)
        refused("synrep", "data", "info", store, says="not readable as Parquet")


def test_types_that_arrow_once_unpickled(store: Path, refused: Refused, trace: Path) -> None:
    """Old versions of pyarrow ran code that a file's schema held (CVE-2023-47248)."""
    pickled = f"cos\nsystem\n(S'touch {trace}'\ntR.".encode()
    told = {b"ARROW:extension:name": b"arrow.py_extension_type"}
    field = pa.field("frame", pa.int32(), metadata=told | {b"ARROW:extension:metadata": pickled})
    sink = io.BytesIO()
    pq.write_table(pa.table([pa.array([1, 2], pa.int32())], pa.schema([field])), sink)
    put(store, sink.getvalue(), 2)
    refused("synrep", "data", "info", store, says="no column")


@pytest.mark.parametrize("name", ["store.json", "train.parquet"])
def test_links_to_what_never_ends(store: Path, refused: Refused, name: str) -> None:
    """A device is no file of a store."""
    (store / name).unlink()
    (store / name).symlink_to("/dev/zero")
    refused("synrep", "data", "info", store, says=name)


def test_names_never_steer_a_terminal(store: Path) -> None:
    """Subjects and actions are shown with their control characters written out."""
    table = pq.read_table(store / "train.parquet")
    names = pa.array([f"[red]walk[/blue]{STEERING}"] * len(table))
    sink = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("action"), "action", names), sink)
    put(store, sink.getvalue(), len(table))
    spoil(store, name=STEERING, licence="[bold]x" + STEERING)
    for command in ("info", "verify"):
        result = CliRunner().invoke(main, ["data", command, str(store)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert all(char.isprintable() or char == "\n" for char in result.output), result.output


BVH = seeds.BVH.decode()
AMC = seeds.AMC.decode()
MOTIONS = {
    "a trillion frames": BVH.replace("Frames: 2", "Frames: 1000000000000"),
    "as many as the digits": BVH.replace("Frames: 2", "Frames: " + "9" * 5000),
    "frames of no time": BVH.replace("0.0083333", "1e-320"),
    "frames that never end": BVH.replace("0.0083333", "1e300"),
    "frames of time that is none": BVH.replace("0.0083333", "nan"),
    "a trillion channels": BVH.replace("CHANNELS 3", "CHANNELS 1000000000000"),
    "channels that are less than none": BVH.replace("CHANNELS 3", "CHANNELS -3"),
    "an offset without end": BVH.replace("-1.5", "1e999"),
    "joints for every frame": BVH.replace(
        "End Site", "JOINT x\n{\nOFFSET 0 0 0\n}\n" * 100_000 + "End Site"
    ),
    "joints within joints": BVH.replace("End Site", "JOINT x\n{\n" * 100_000 + "End Site"),
    "zeros": "\0" * 100_000,
}


@pytest.mark.parametrize("content", MOTIONS.values(), ids=MOTIONS)
def test_bvh_files(tmp_path: Path, refused: Refused, content: str) -> None:
    """Room is made for the numbers that are there."""
    (tmp_path / "01_01.bvh").write_text(content, encoding="utf-8")
    words = ("synrep", "data", "prepare", "bvh", "--root", tmp_path, "--out", tmp_path / "store")
    refused(*words, says="01_01.bvh")


ASF = seeds.ASF.decode()
PEOPLE = {
    "a length without end": (ASF.replace("2.5", "1e999"), AMC),
    "a direction of one number": (ASF.replace("0.6 -0.7 0.2", "0.6"), AMC),
    "a direction that is none": (ASF.replace("0.6 -0.7 0.2", "nan nan nan"), AMC),
    "a circle of bones": (ASF.replace("root leg", "root leg\n leg leg"), AMC),
    "a bone twice": (ASF.replace("rx rz", "rx rx"), AMC),
    "a root that can't move": (ASF.replace("TX TY TZ RX RY RZ", ""), AMC),
    "a position of two numbers": (ASF.replace("position 0 0 0", "position 0 0"), AMC),
    "an order of one axis": (ASF.replace("20 XYZ", "20 X"), AMC),
    "no frames": (ASF, ":DEGREES\n"),
    "a frame without end": (ASF, AMC.replace("11 21", "11 1e999")),
    "a frame of too little": (ASF, AMC.replace("11 21", "11")),
    "digits that are none": (ASF, AMC.replace("\n2\n", "\n²\n")),
}


@pytest.mark.parametrize(("asf", "amc"), PEOPLE.values(), ids=PEOPLE)
def test_asf_and_amc_files(tmp_path: Path, refused: Refused, asf: str, amc: str) -> None:
    """Every number is one, and every bone has its place."""
    (tmp_path / "01.asf").write_text(asf, encoding="utf-8")
    (tmp_path / "01_01.amc").write_text(amc, encoding="utf-8")
    words = ("synrep", "data", "prepare", "asf-amc", "--root", tmp_path)
    refused(*words, "--out", tmp_path / "store")


FRAME = [[float(x), 2.0 * x] for x in range(17)]
KEYPOINTS = {
    "nested without end": "[" * 100_000,
    "nested just too deep": "[" * 900 + "]" * 900,
    "a number of a million digits": "[[" + "9" * 1_000_000 + "]]",
    "a number too large": json.dumps([[[10**400, 0]] * 17]),
    "nothing times a long row": json.dumps([[None] * 20_000 + [[0.0] * 200_000]]),
    "a person of too large numbers": json.dumps(
        {"people": [{"pose_keypoints_2d": [10**400] * 75}]}
    ),
    "a result of too large numbers": json.dumps(
        [{"image_id": 1, "keypoints": [10**400] * 51, "score": 1}]
    ),
    "a score too large": json.dumps([{"image_id": 1, "keypoints": [1] * 51, "score": 10**400}]),
    "a skeleton that is a list": json.dumps({"skeleton": ["x"], "keypoints": [FRAME]}),
    "a skeleton that steers": json.dumps({"skeleton": STEERING, "keypoints": [FRAME]}),
    "frames without end": json.dumps({"keypoints": [FRAME], "frames": [10**400]}),
    "a text": '"x"',
    "nothing": "",
}


@pytest.mark.parametrize("content", KEYPOINTS.values(), ids=KEYPOINTS)
def test_keypoints_in_json(tmp_path: Path, refused: Refused, content: str) -> None:
    """Sizes and depths are those of keypoints, or it is refused."""
    (tmp_path / "model").touch()
    (tmp_path / "k.json").write_text(content, encoding="utf-8")
    words = ("synrep", "lift", tmp_path / "model", tmp_path / "k.json")
    refused(*words, "--skeleton", "coco-17", "--out", tmp_path / "o.npz")


def test_image_names_of_many_digits(tmp_path: Path) -> None:
    """They are words: Python refuses to read so long a number."""
    flat = [100.0] * 51
    names = ["9" * 5000, "frame 9", "frame 10"]
    content = [{"image_id": name, "keypoints": flat, "score": 1} for name in names]
    (tmp_path / "k.json").write_text(json.dumps(content), encoding="utf-8")
    assert len(read_keypoints(tmp_path / "k.json").points_px) == 3


def test_keypoints_in_tables(tmp_path: Path, refused: Refused) -> None:
    """Cells that are no numbers, or too long; zeros; columns without end."""
    (tmp_path / "model").touch()
    good = seeds.csv()[0].decode()
    for content in (
        good.replace("11.5", "=HYPERLINK(1)", 1),
        good.replace("11.5", "9" * 200_000, 1),
        good.replace("\n1,", "\n1e400,"),
        good.replace("frame", STEERING, 1),
        ",".join(["nose_x"] * 100_000) + "\n" + ",".join(["1"] * 100_000),
        "\0" * 10_000,
    ):
        (tmp_path / "k.csv").write_text(content, encoding="utf-8")
        words = ("synrep", "lift", tmp_path / "model", tmp_path / "k.csv")
        refused(*words, "--out", tmp_path / "o.npz")


def test_annotations_of_mpii(tmp_path: Path, refused: Refused) -> None:
    """HRNet's form of them."""
    entry = json.loads(seeds.mpii()[0])[0]
    for content in (
        b"[" * 100_000,
        json.dumps([entry | {"joints": [[10**400, 1]] * 16}]).encode(),
        json.dumps([entry | {"joints_vis": [[[]]] * 16}]).encode(),
        json.dumps([{"image": STEERING}]).encode(),
        json.dumps([STEERING]).encode(),
    ):
        (tmp_path / "x.json").write_bytes(content)
        words = ("synrep", "data", "prepare", "mpii", "--root", tmp_path / "x.json")
        refused(*words, "--out", tmp_path / "o.npz")


@pytest.fixture
def scene() -> Callable[..., Scene]:
    """Function: note, names of frames -> two frames of a person."""
    poses = np.random.default_rng(0).normal(0, 300, (2, 17, 3))

    def make(note: str, names: list[str] | None = None) -> Scene:
        shown = names or ["1", "2"]
        return Scene(
            skeleton=HUMAN36M_17, keypoints=poses[..., :2], predicted=poses, frames=[1, 2],
            names=shown, note=note, units=note,
        )  # fmt: skip

    return make


EVIL = "</title></script><script>alert(1)</script><!--<script>\"'&{0}$\\frac$"


def test_names_in_pages_stay_text(scene: Any) -> None:
    """A page of `synrep draw` has the one script that it was made with."""
    html = page(scene(EVIL, [EVIL, EVIL])).decode()
    script = html[html.index("<script>") : html.index("</script>")]
    assert html.count("<script") == html.count("</script>") == 1
    assert html.count("<title>") == html.count("</title>") == 1
    assert "<!--" not in html
    captions = script.split("const captions = ")[1].split(";\n")[0]
    assert json.loads(captions) == [EVIL, EVIL]


def test_names_in_pictures_are_no_formulas(scene: Any) -> None:
    """A dollar sign in a name is a dollar sign: matplotlib would fail on what follows."""
    assert draw(scene(EVIL, [EVIL, EVIL])).startswith(b"\x89PNG")
