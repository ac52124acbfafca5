"""Find the motion-capture files below a folder, and read the text of any program's files."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from synrep.errors import InputError

SHOWN = 3
"""Number of names that a note lists; the others are counted."""
MACOS = "._"
"""Prefix of the files in which macOS keeps attributes beside the files proper."""


@dataclass
class Found:
    """What lies below a folder."""

    paths: list[Path] = field(default_factory=list)
    """The files of one suffix, in any case, sorted."""
    others: Counter[str] = field(default_factory=Counter)
    """Number of other files by suffix."""
    macos: list[Path] = field(default_factory=list)
    """Files that macOS made, which hold no motion."""
    repeated: list[Path] = field(default_factory=list)
    """Links to folders that are read already."""
    unreadable: list[Path] = field(default_factory=list)
    """Links that lead nowhere, and folders that can't be opened."""

    def notes(self, folder: Path) -> list[str]:
        """Notes for the user on what is not read, with paths below the folder."""
        kinds = (
            (self.macos, "files that macOS made hold no motion, ignored"),
            (self.repeated, "links lead to folders that are read already, not read twice"),
            (self.unreadable, "files or folders can't be opened, left out"),
        )
        return [
            f"{len(paths)} {what}: {listed([str(path.relative_to(folder)) for path in paths])}"
            for paths, what in kinds
            if paths
        ]


def listed(names: list[str]) -> str:
    """Join names, listing at most `SHOWN`."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def find_files(folder: Path, suffix: str) -> Found:
    """Find all files of a suffix below a folder, also below links.

    A folder that can be reached by several ways is read once, by the way without links if there
    is one, so that links in a circle end.

    Raises:
        InputError: the folder does not exist or has no such files.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "there is no such folder", f"give the folder of {suffix}s")
    found = Found()
    seen = {os.path.realpath(folder)}
    folders, links = [folder], list[Path]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        if current.is_symlink() and current != folder:
            if os.path.realpath(current) in seen:
                found.repeated.append(current)
                continue
            seen.add(os.path.realpath(current))
        for path in _entries(current, found):
            if not path.is_dir():
                _add_file(path, suffix, found)
            elif path.is_symlink():
                links.append(path)
            elif (real := os.path.realpath(path)) not in seen:
                seen.add(real)
                folders.append(path)
    if not found.paths:
        there = ", ".join(f"{count} {kind}" for kind, count in found.others.most_common(SHOWN))
        rule = f"no {suffix} files" + (f"; there are {there}" if there else "")
        raise InputError(str(folder), rule, "give the folder that contains them")
    found.paths.sort()
    return found


def _entries(folder: Path, found: Found) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        found.unreadable.append(folder)
        return []


def _add_file(path: Path, suffix: str, found: Found) -> None:
    if path.suffix.lower() != suffix:
        found.others[path.suffix.lower() or "without suffix"] += 1
    elif path.name.startswith(MACOS):
        found.macos.append(path)
    elif path.is_file():
        found.paths.append(path)
    else:
        found.unreadable.append(path)


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without byte order mark, UTF-16 or Latin-1.

    Raises:
        OSError: it can't be read.
        ValueError: it is no text.
    """
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:
        raise ValueError("it is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # names from programs of Windows


_SIGNATURES = (
    ((b"Kaydara FBX Binary", b"; FBX"), "an FBX file", "convert it, e.g. with Blender"),
    ((b"PK\x03\x04",), "a zip archive", "unpack it"),
    ((b"\x1f\x8b",), "a gzip archive", "unpack it"),
    ((b"version https://git-lfs",), "a pointer of Git LFS", "get the file with `git lfs pull`"),
    ((b"<!doctype html", b"<html"), "a web page", "download the file itself"),
    ((b":fully-specified", b"#!oml"), "an AMC file", "use `synrep data prepare asf-amc`"),
    ((b":version", b"# ast/asf"), "an ASF file", "use `synrep data prepare asf-amc`"),
    ((b"[header]",), "an HTR file", "convert it to BVH"),
    ((b"hierarchy",), "a BVH file", "use `synrep data prepare bvh`"),
)
"""First bytes in any case, what has them, and what to do."""


def refusal(path: Path, kind: str, reason: str, remedy: str) -> InputError:
    """The error for a file that is not readable as `kind`; says what the file looks like instead.

    Args:
        path: the file.
        kind: the format that is expected, such as 'BVH'.
        reason: what is wrong with it if it is of that format.
        remedy: what to do then.
    """
    try:
        with path.open("rb") as file:
            start = file.read(200).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except OSError:
        start = b"?"
    looks = "an empty file" if not start else ""
    advice = "get it again from its source" if not start else remedy
    for signatures, what, todo in _SIGNATURES:
        if start.startswith(tuple(s.lower() for s in signatures)) and f" {kind} " not in what:
            looks, advice = what, todo
    if not looks and b"\0" in start:
        looks, advice = "a binary file", f"export it as {kind} text"
    rule = f"not readable as {kind}: " + (f"it looks like {looks}" if looks else reason)
    return InputError(str(path), rule, f"{advice}; --skip-bad leaves such files out")
