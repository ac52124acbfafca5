"""Whether a file is on a file system of the network, where SQLite's files can be damaged."""

from __future__ import annotations

import os
import re
from pathlib import Path

NETWORK = re.compile(
    r"nfs\d*|cifs|smb\w*|ncpfs|9p|afs|ceph|gpfs|lustre|beegfs\w*|glusterfs|ocfs2|pvfs2|"
    r"fuse\.(sshfs|glusterfs\w*|s3fs|rclone|ceph\w*|cephfs|gcsfuse|goofys|mount-s3|smbnetfs|cvmfs.*)"
)
"""Types of file systems that several machines can mount, as Linux names them."""
MOUNTS = Path("/proc/self/mounts")


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the network file system that a path is on; empty if it is a local one.

    Args:
        path: of a file, which need not exist.
        mounts: table of mounted file systems. Without it (not Linux), every path counts as local.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real, found = Path(os.path.realpath(path)), {}
    for _, place, kind, *_ in (line.split(" ") for line in lines if line.count(" ") > 2):
        found[Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), place))] = kind
    mounted = next((one for one in (real, *real.parents) if one in found), None)
    kind = found[mounted] if mounted is not None else ""
    return kind if NETWORK.fullmatch(kind) else ""


def network_warning(file: Path) -> str:
    """Return what to say about a SQLite file on a network file system; empty if it is not there."""
    kind = network_file_system(file)
    if not kind:
        return ""
    return (
        f"{file} is on a network file system ({kind}), where SQLite's files can be damaged as soon "
        "as two machines use them: choose a --home on a local disk, with the setting `storage` for "
        "the checkpoints, or a ledger and a tracking server of your network (`ledger`, "
        "`tracking.uri`)"
    )
