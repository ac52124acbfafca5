"""`synrep data`: what users type and see."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from synrep.cli.data import data
from synrep.datasets.store.store import PoseStore
from synrep.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def invoke(*words: object) -> Result:
    """Run `synrep data` with these words."""
    return CliRunner().invoke(data, [str(word) for word in words])


def test_prepare_synthetic_then_verify_and_info(tmp_path: Path) -> None:
    """A store is made, passes its checks, and is described, for people and for programs."""
    store = tmp_path / "poses"
    made = invoke("prepare", "synthetic", "--out", store, "--clip-s", 1, "--seed", 5)
    assert made.exit_code == 0, made.output
    assert made.output == f"{store}: train 1920, validation 480, test 480 poses\n"

    verified = invoke("verify", store)
    assert verified.exit_code == 0
    assert verified.output.endswith("38 checks, 0 failed, 0 warnings\n")
    assert "passed  train.parquet: knees: bent knees point forward in 100.0 %" in verified.output

    shown = invoke("info", store)
    assert shown.exit_code == 0
    assert "CC0-1.0" in shown.output
    assert "1920" in shown.output

    content = json.loads(invoke("info", store, "--json").output)
    assert content["fps"] == 24.0
    assert content["splits"]["test"]["poses"] == 480
    assert content["splits"]["test"]["subjects"] == ["actor11", "actor12"]
    assert content["splits"]["test"]["actions"]["walk"] == 48
    assert content["fingerprint"] == PoseStore.open(store).fingerprint


def test_verify_fails_with_exit_code_1(raw_store: Callable[..., Path]) -> None:
    """A damaged file is listed among the checks and decides the exit code."""
    folder = raw_store()
    with (folder / "test.parquet").open("ab") as file:
        file.write(b"x")
    result = invoke("verify", folder)
    assert result.exit_code == 1
    assert "failed  test.parquet: checksum: SHA-256 is" in result.output
    assert "passed  train.parquet: checksum" in result.output
    assert result.output.endswith(" 1 failed, 0 warnings\n")

    as_json = invoke("verify", folder, "--json")
    assert as_json.exit_code == 1
    content = json.loads(as_json.output)
    assert content["passed"] is False
    faults = [check for check in content["checks"] if check["status"] == "failed"]
    assert [(check["place"], check["name"]) for check in faults] == [
        (str(folder / "test.parquet"), "checksum")
    ]


def test_missing_store_is_an_input_error(tmp_path: Path) -> None:
    """A folder that is not there ends the command with the error for its caller to print."""
    for command in ("info", "verify"):
        result = invoke(command, tmp_path / "nowhere")
        assert isinstance(result.exception, InputError)


def write_people(folder: Path, count: int) -> None:
    """Minimal BVH files of several subjects in the LAFAN1 naming."""
    limbs = [
        ("Spine", "Hips", "0 10 0"),
        ("Spine1", "Spine", "0 12 0"),
        ("Spine2", "Spine1", "0 12 0"),
        ("Neck", "Spine2", "0 15 0"),
        ("Head", "Neck", "0 10 0"),
    ]
    for side, x in (("Left", 1), ("Right", -1)):
        limbs += [
            (f"{side}UpLeg", "Hips", f"{10 * x} 0 0"),
            (f"{side}Leg", f"{side}UpLeg", "0 -44 0"),
            (f"{side}Foot", f"{side}Leg", "0 -45 0"),
            (f"{side}Arm", "Spine2", f"{17 * x} 13 0"),
            (f"{side}ForeArm", f"{side}Arm", f"{28 * x} 0 0"),
            (f"{side}Hand", f"{side}ForeArm", f"{25 * x} 0 0"),
        ]

    def block(name: str, offset: str, channels: str) -> str:
        inner = "".join(
            f"JOINT {child}\n" + block(child, at, "3")
            for child, parent, at in limbs
            if parent == name
        )
        return (
            f"{{\nOFFSET {offset}\nCHANNELS {channels} Zrotation Yrotation Xrotation\n"
            + (inner or "End Site\n{\nOFFSET 0 0 0\n}\n")
            + "}\n"
        )

    hips = "ROOT Hips\n" + block("Hips", "0 0 0", "6 Xposition Yposition Zposition")
    row = " ".join(["0 95 0"] + ["0 0 0"] * (len(limbs) + 1)) + "\n"
    text = f"HIERARCHY\n{hips}MOTION\nFrames: 12\nFrame Time: 0.04\n" + 12 * row
    folder.mkdir()
    for number in range(1, count + 1):
        (folder / f"walk1_subject{number}.bvh").write_text(text)


def test_prepare_bvh_with_a_drawn_split(tmp_path: Path) -> None:
    """Files become a store; what was detected is said; name and licence reach the header."""
    write_people(tmp_path / "mocap", 6)
    result = invoke(
        "prepare", "bvh", "--root", tmp_path / "mocap", "--out", tmp_path / "lafan",
        "--licence", "CC BY-NC-ND 4.0",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "unit cm (judged by the length of the legs)" in result.stderr
    store = PoseStore.open(tmp_path / "lafan")
    assert store.header.name == "lafan"
    assert store.header.licence == "CC BY-NC-ND 4.0"
    assert store.header.splits == {"train": 48, "validation": 12, "test": 12}
    assert invoke("verify", tmp_path / "lafan").exit_code == 0


def test_prepare_bvh_without_a_terminal_shows_no_progress(tmp_path: Path) -> None:
    """Only what was detected; an impossible frame rate is one message."""
    write_people(tmp_path / "mocap", 3)
    base = ("prepare", "bvh", "--root", tmp_path / "mocap", "--out", tmp_path / "store")
    refused = invoke(*base, "--fps", "nan")
    assert isinstance(refused.exception, InputError)
    assert "options: fps: Input should be a finite number, got nan" in str(refused.exception)
    assert not (tmp_path / "store").exists()
    assert invoke(*base).stderr.startswith("3 files, joint map lafan1\n")


def test_prepare_bvh_with_a_chosen_split(tmp_path: Path) -> None:
    """Subjects named for the splits go there, and all three must be named."""
    write_people(tmp_path / "mocap", 4)
    base = ("prepare", "bvh", "--root", tmp_path / "mocap", "--out", tmp_path / "store")
    incomplete = invoke(*base, "--train", "subject1")
    assert isinstance(incomplete.exception, InputError)
    assert "--validation: no subjects" in str(incomplete.exception)
    result = invoke(
        *base, "--train", "subject1, subject3", "--validation", "subject2", "--test", "subject4"
    )
    assert result.exit_code == 0, result.output
    read = PoseStore.open(tmp_path / "store").read("train")
    assert sorted(set(read.subject.tolist())) == ["subject1", "subject3"]


@pytest.mark.parametrize(
    "words", [[], ["prepare"], ["prepare", "bvh"], ["prepare", "synthetic"], ["info"], ["verify"]]
)
def test_help_has_examples_that_name_real_commands(words: list[str]) -> None:
    """Every command explains itself; each example starts with a command that exists."""
    result = invoke(*words, "--help")
    assert result.exit_code == 0
    examples = [line.split() for line in result.output.splitlines() if "synrep data " in line]
    assert examples or not words
    for example in examples:
        known = invoke(*example[2 : 3 + (example[2] == "prepare")], "--help")
        assert known.exit_code == 0, example


def test_importing_the_commands_loads_nothing_heavy() -> None:
    """The group can be mounted without paying for numpy, pyarrow or rich."""
    heavy = ("numpy", "pyarrow", "pydantic", "scipy", "rich", "pybvh", "torch", "matplotlib")
    code = f"import sys, synrep.cli.data; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
