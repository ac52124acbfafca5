"""Atomic file storage in a local folder or an object store."""

from __future__ import annotations

import os
import re
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from synrep.errors import InputError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


SCHEMES = ("file", "s3", "gs", "gcs", "abfs", "abfss", "hdfs")
"""Supported URI schemes."""

_SECRET = re.compile(r"passw|pwd|secret|token|(?<!ssl)key", re.IGNORECASE)  # sslkey names a file
_OPTION = re.compile(r"""(?<![\w.%/-])([\w.%-]+=)((?:\\.|[^&\s"\\])*)""")
_PUBLIC_USER = re.compile(r"(?:(?:postgresql|mysql|mssql)(?:\+\w+)?|abfss?|hdfs)$")
"""Schemes whose URIs contain a user name or an Azure container name, which are not secret."""
_HOST_PORT = re.compile(r"(?:[^/?#:@]*@)?[^/?#:@]*:\d+/")
"""A host with a port; elsewhere a colon separates a user name from a password."""


def carries_credentials(uri: str) -> bool:
    """Return whether a URI contains a password, key or token, or a user name that may be secret.

    User names count as secret except in the schemes of `_PUBLIC_USER`.
    """
    return masked(uri) != uri


def masked(text: str) -> str:
    """Replace the credentials in all URIs of a text by `***`, so that it can be shown or logged."""
    hidden = re.sub(r"\S+", lambda word: _mask_user(word[0]), text)
    return _OPTION.sub(
        lambda option: f"{option[1]}***" if _SECRET.search(option[1]) else option[0], hidden
    )


def _mask_user(word: str) -> str:
    """Mask the password of a URI, or its user name if that may be secret."""
    scheme, mark, rest = word.partition("://")
    before, at, host = rest.rpartition("@")
    user, colon, _ = before.partition(":")
    # Split at the last @, because a password may contain `/`, `?` or `@`.
    if at and colon and not _HOST_PORT.match(rest):
        return f"{scheme}{mark}{user}:***@{host}"
    user, at, host = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")
    if at and not _PUBLIC_USER.search(scheme):
        return f"{scheme}{mark}***{rest[len(user) :]}"
    return word


class Storage:
    """A folder addressed by a local path or a URI (`s3://bucket/folder`, `gs://`, `file://`).

    Writes are atomic: a local file is written under a temporary name and renamed; object stores
    publish an object only when its upload is complete.
    Credentials come from the environment, never from the URI.
    """

    def __init__(self, filesystem: FileSystem, root: str, uri: str) -> None:
        self._filesystem = filesystem
        self._root = root
        self.uri = uri
        """Path or URI of the folder; another process can open the storage with it."""

    @classmethod
    def at(cls, uri: str | Path) -> Storage:
        """Open a folder. The first write creates it if it does not exist.

        Raises:
            InputError: the URI is invalid or contains credentials.
            OSError: the store can't be reached; for S3 this call looks up the bucket's region.
        """
        from pyarrow import ArrowInvalid, fs

        text = str(uri)
        if "://" not in text:
            path = Path(text).absolute()
            return cls(fs.LocalFileSystem(), str(path), str(path))
        scheme = text.partition("://")[0]
        if carries_credentials(text):
            raise InputError(
                f"storage {scheme}://...",
                "the URI carries credentials",
                "leave them out and set them in the environment",
            )
        if scheme not in SCHEMES:
            rule = f"{scheme}:// is not among {', '.join(SCHEMES)}"
            raise InputError(f"storage {text}", rule, "use a path, s3://..., gs://...")
        try:
            filesystem, root = fs.FileSystem.from_uri(text)
        except ArrowInvalid as error:
            raise InputError(
                f"storage {text}", f"can't be opened: {error}", "use a path, s3://..., gs://..."
            ) from None
        place, mark, options = text.partition("?")
        return cls(filesystem, root, f"{place.rstrip('/')}{mark}{options}")

    def child(self, name: str) -> Storage:
        """Return a subfolder as a storage of its own."""
        # A path may contain `?`; in a URI, options follow it.
        place, mark, options = self.uri.partition("?") if "://" in self.uri else (self.uri, "", "")
        uri = f"{place.rstrip('/')}/{name}{mark}{options}"
        return Storage(self._filesystem, f"{self._root.rstrip('/')}/{name}", uri)

    @property
    def local_path(self) -> Path | None:
        """Path of the folder if it is on the local file system, else None."""
        return Path(self._root) if self._filesystem.type_name == "local" else None

    def write(self, path: str, content: bytes) -> None:
        """Create or replace a file atomically."""
        if (folder := self.local_path) is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            return
        with self._filesystem.open_output_stream(f"{self._root}/{path}") as stream:
            stream.write(content)

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        with self._filesystem.open_input_file(f"{self._root}/{path}") as stream:
            return bytes(stream.read())

    def list(self, folder: str = "") -> list[str]:
        """Return the sorted names of the files in a folder, empty if the folder does not exist."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True)
        return sorted(
            info.base_name
            for info in self._filesystem.get_file_info(selector)
            if info.type == fs.FileType.File and not info.base_name.startswith(".")
        )

    def exists(self, path: str) -> bool:
        """Return whether a file exists."""
        from pyarrow import fs

        info = self._filesystem.get_file_info(f"{self._root}/{path}")
        return bool(info.type == fs.FileType.File)

    def modified(self, path: str) -> float:
        """Return a file's modification time in seconds since 1970, by the storage's own clock.

        Raises:
            FileNotFoundError: the file does not exist.
        """
        written = self._filesystem.get_file_info(f"{self._root}/{path}").mtime
        if written is None:
            raise FileNotFoundError(path)
        return float(written.timestamp())

    def delete(self, path: str) -> None:
        """Delete a file if it exists."""
        if self.exists(path):
            with suppress(FileNotFoundError):  # another process deleted it in the meantime
                self._filesystem.delete_file(f"{self._root}/{path}")


def cache_dir() -> Path:
    """Return the cache folder: $SYNREP_CACHE, or ~/.cache/synrep. Its content can be deleted."""
    return Path(os.environ.get("SYNREP_CACHE") or Path.home() / ".cache" / "synrep")
