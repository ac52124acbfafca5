"""Files in a folder or an object store, written whole or not at all."""

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
"""Kinds of URIs that a storage can have."""

_SECRET = re.compile(r"passw|pwd|secret|token|(?<!ssl)key", re.IGNORECASE)  # sslkey names a file
_OPTION = re.compile(r"""(?<![\w.%/-])([\w.%-]+=)((?:\\.|[^&\s"\\])*)""")
_NAMED = re.compile(r"(?:(?:postgresql|mysql|mssql)(?:\+\w+)?|abfss?|hdfs)$")
"""Schemes whose addresses name a user, or a container of Azure, which is no secret."""
_PORT = re.compile(r"(?:[^/?#:@]*@)?[^/?#:@]*:\d+/")
"""A host and its port, where another colon would stand before a password."""


def carries_credentials(uri: str) -> bool:
    """Whether a URI holds a password, a key or a token; or a user, but for those of `_NAMED`."""
    return masked(uri) != uri


def masked(text: str) -> str:
    """A text that can be shown: what is secret in the addresses in it is `***`."""
    hidden = re.sub(r"\S+", lambda word: _without_user(word[0]), text)
    return _OPTION.sub(
        lambda option: f"{option[1]}***" if _SECRET.search(option[1]) else option[0], hidden
    )


def _without_user(word: str) -> str:
    scheme, mark, rest = word.partition("://")
    before, at, host = rest.rpartition("@")
    user, colon, _ = before.partition(":")
    # Up to the last @: a password may itself hold `/`, `?` or `@`.
    if at and colon and not _PORT.match(rest):
        return f"{scheme}{mark}{user}:***@{host}"
    user, at, host = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")
    if at and not _NAMED.search(scheme):
        return f"{scheme}{mark}***{rest[len(user) :]}"
    return word


class Storage:
    """A folder, addressed by a local path or a URI (`s3://bucket/folder`, `gs://`, `file://`).

    A file appears whole or not at all: locally it is written beside its place and renamed,
    object stores publish an object only when its upload is complete.
    Credentials come from the environment, never from the URI.
    """

    def __init__(self, filesystem: FileSystem, root: str, uri: str) -> None:
        self._filesystem = filesystem
        self._root = root
        self.uri = uri
        """The path or URI this storage was opened with; safe to hand to another process."""

    @classmethod
    def at(cls, uri: str | Path) -> Storage:
        """Open a folder; it is created by the first write.

        Raises:
            InputError: the URI can't be understood, or carries credentials.
            OSError: the store can't be reached; S3 is asked for its region here.
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
        """A folder inside this one."""
        place, mark, options = self.uri.partition("?")
        uri = f"{place.rstrip('/')}/{name}{mark}{options}"
        return Storage(self._filesystem, f"{self._root.rstrip('/')}/{name}", uri)

    @property
    def local_path(self) -> Path | None:
        """The folder as a path on this machine, if it is one."""
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
        """Content of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self._filesystem.open_input_file(f"{self._root}/{path}") as stream:
            return bytes(stream.read())

    def list(self, folder: str = "") -> list[str]:
        """Names of the files in a folder, sorted; empty if there is no such folder."""
        from pyarrow import fs

        selector = fs.FileSelector(f"{self._root}/{folder}".rstrip("/"), allow_not_found=True)
        return sorted(
            info.base_name
            for info in self._filesystem.get_file_info(selector)
            if info.type == fs.FileType.File and not info.base_name.startswith(".")
        )

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        from pyarrow import fs

        info = self._filesystem.get_file_info(f"{self._root}/{path}")
        return bool(info.type == fs.FileType.File)

    def modified(self, path: str) -> float:
        """When a file was last written, in seconds since 1970 by the storage's own clock.

        Raises:
            FileNotFoundError: there is no such file.
        """
        written = self._filesystem.get_file_info(f"{self._root}/{path}").mtime
        if written is None:
            raise FileNotFoundError(path)
        return float(written.timestamp())

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens if it is not there."""
        if self.exists(path):
            with suppress(FileNotFoundError):  # gone since
                self._filesystem.delete_file(f"{self._root}/{path}")


def cache_dir() -> Path:
    """The cache folder: $SYNREP_CACHE, or ~/.cache/synrep. Everything in it can be deleted."""
    return Path(os.environ.get("SYNREP_CACHE") or Path.home() / ".cache" / "synrep")
