"""SQLite files on file systems of the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from synrep_search.durability.file_system import network_file_system

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/export /data nfs4 rw,vers=4.2 0 0
//server/share /mnt/my\\040share cifs rw 0 0
me@host: /data/fast/away fuse.sshfs rw 0 0
/dev/sdb1 /data/fast xfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/searches", ""),
        ("/data/searches/mlflow.db", "nfs4"),
        ("/database/searches", ""),
        ("/mnt/my share/a/b", "cifs"),
        ("/data/fast/searches", ""),
        ("/data/fast/away/x", "fuse.sshfs"),
    ],
)
def test_the_innermost_mount_decides(tmp_path: Path, path: str, kind: str) -> None:
    """Also where its name has a space, or a local disk is mounted below one of the network."""
    table = tmp_path / "mounts"
    table.write_text(MOUNTS)
    assert network_file_system(Path(path), table) == kind


def test_links_are_followed(tmp_path: Path) -> None:
    """A home is where it is, not where it seems to be."""
    table = tmp_path / "mounts"
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    table.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {real} nfs rw 0 0\n")
    assert network_file_system(tmp_path / "link" / "mlflow.db", table) == "nfs"


def test_this_machine_has_a_table_or_none(tmp_path: Path) -> None:
    """Reading the real table works; without one, nothing is said."""
    assert network_file_system(tmp_path) == ""
    assert network_file_system(tmp_path, tmp_path / "none") == ""
