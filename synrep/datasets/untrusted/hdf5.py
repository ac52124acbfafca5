"""Read arrays from untrusted HDF5 files, with size limits and without external links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MAX_ELEMENTS = 10_000_000
"""Most elements of one array; the longest recording has 613,200."""
_REMEDY = "get the file again from its source"


def missing_package(path: Path, package: str) -> InputError:
    """Return the error to raise if an optional package is not installed."""
    return InputError(
        str(path),
        f"reading it needs the package {package}",
        "install synrep-search with its extra 'data'",
    )


def refuse_external(file: Any, name: str, path: Path) -> None:
    """Refuse an array whose content is stored in another file, which could be any file.

    Args:
        file: the file, opened with h5py.
        name: name of the array.
        path: path of the file, for the message.

    Raises:
        DamagedError: the array is an external link, or a data set with external storage or of
            virtual layout.
    """
    import h5py  # noqa: PLC0415 - slow to load

    external = isinstance(file.get(name, getlink=True), h5py.ExternalLink)
    if not external and isinstance(item := file.get(name), h5py.Dataset):
        external = bool(item.external) or item.is_virtual
    if external:
        raise DamagedError(str(path), f"{name} is stored in another file", _REMEDY)


def read_datasets(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Read the named arrays of a file; arrays that the file lacks are left out.

    Raises:
        InputError: the package h5py is not installed.
        DamagedError: the file can't be read, or an array is not numeric or has more than
            `MAX_ELEMENTS` elements.
    """
    try:
        import h5py  # noqa: PLC0415 - slow to load
    except ModuleNotFoundError:
        raise missing_package(path, "h5py") from None
    arrays = {}
    try:
        with h5py.File(path, "r") as file:
            for name in names:
                refuse_external(file, name, path)
                if not isinstance(dataset := file.get(name), h5py.Dataset):
                    continue
                if (
                    dataset.size is None
                    or dataset.size > MAX_ELEMENTS
                    or dataset.dtype.kind not in "biuf"
                ):
                    raise DamagedError(
                        str(path), f"{name} is {dataset.shape} of {dataset.dtype}", _REMEDY
                    )
                arrays[name] = np.asarray(dataset[()])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedError(str(path), f"not readable as HDF5: {reason}", _REMEDY) from None
    return arrays
