"""Help, messages and the guide list every entry of a registry, also one that was just added."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner

from synrep.cli.main import main
from synrep.datasets.mocap.joint_maps import JOINT_MAPS, load_joint_map
from synrep.errors import InputError
from synrep.inference.keypoints import formats
from synrep.inference.keypoints.keypoints import read_keypoints
from synrep.keypoint_sets import COCO_17, KEYPOINT_SETS, keypoint_set_by_name
from synrep.weighting import Weighting

ROOT = Path(__file__).resolve().parents[3]


def listed(*command: str) -> dict[str, str]:
    """Names and lines in the lists that stand below a command's options."""
    result = CliRunner().invoke(main, [*command, "--help"], terminal_width=1000)
    assert result.exit_code == 0, result.output
    lists = result.output.split("--help", 1)[1]
    return dict(re.findall(r"^  (\S.*?)  +(\S.*)$", lists, re.MULTILINE))


def test_help_of_lift_lists_formats_and_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their lines and short names; a new entry appears without further ado."""
    made_set = dataclasses.replace(COCO_17, name="made-up-17", short_names=("mu",), help="made up")
    made_format = dataclasses.replace(formats.FORMATS[0], name="made", help="made up too")
    monkeypatch.setitem(KEYPOINT_SETS, made_set.name, made_set)
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, made_format))
    expected = {entry.name: entry.help for entry in formats.FORMATS}
    for entry in KEYPOINT_SETS.values():
        expected[", ".join([entry.name, *entry.short_names])] = entry.help
    found = listed("lift")
    assert found.items() >= expected.items()
    assert found["made-up-17, mu"] == "made up"
    assert found["made"] == "made up too"


@pytest.mark.parametrize("command", ["bvh", "asf-amc"])
def test_help_of_motion_capture_lists_joint_maps(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Each with whose files it is for."""
    made = JOINT_MAPS["lafan1"].model_copy(update={"name": "made-up", "help": "made up"})
    monkeypatch.setitem(JOINT_MAPS, made.name, made)
    assert all(entry.help for entry in JOINT_MAPS.values())
    expected = {entry.name: entry.help for entry in JOINT_MAPS.values()}
    assert listed("data", "prepare", command).items() >= expected.items()


def test_messages_list_every_entry(tmp_path: Path) -> None:
    """Where a name or a kind of file is unknown, those that are known are told."""
    (tmp_path / "x.doc").write_text("")
    (tmp_path / "video").mkdir()
    (tmp_path / "video" / "a.json").write_text("{}")
    for source, rule in (("x.doc", "unknown kind of file '.doc'"), ("video", "is 'a.json'")):
        with pytest.raises(InputError, match=rule) as caught:
            read_keypoints(tmp_path / source)
        assert "known: " + ", ".join(e.name for e in formats.FORMATS) in str(caught.value)
    with pytest.raises(InputError) as caught:
        keypoint_set_by_name("x")
    assert ", ".join(KEYPOINT_SETS) in str(caught.value)
    with pytest.raises(InputError) as caught:
        load_joint_map("x")
    assert ", ".join(JOINT_MAPS) in str(caught.value)


FAMILIES = [model.model_fields["family"].default for model in get_args(get_args(Weighting)[0])]
SHOWN = {
    "formats": [entry.name for entry in formats.FORMATS],
    "sets": list(KEYPOINT_SETS),
    "joint maps": list(JOINT_MAPS),
    "families": FAMILIES,
}


@pytest.mark.parametrize("registry", SHOWN)
def test_a_document_lists_every_entry(registry: str) -> None:
    """One chapter of the documents for users has all their names."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    chapters = [
        chapter.casefold()
        for document in documents
        for chapter in re.split(r"^## ", document.read_text("utf-8"), flags=re.MULTILINE)
    ]
    names = SHOWN[registry]
    lacking = [[name for name in names if name not in chapter] for chapter in chapters]
    assert min(lacking, key=len) == []


def test_importing_the_commands_loads_no_registry() -> None:
    """Lists are read when help is asked for, not when the command line starts."""
    code = "import sys, synrep.cli.main; print({'numpy', 'pydantic', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    code = code.replace(
        "print", "synrep.cli.main.main(['lift', '--help'], standalone_mode=False); print"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.splitlines()[-1]
