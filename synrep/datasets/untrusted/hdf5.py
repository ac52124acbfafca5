"""Arrays out of HDF5 files, with one message for a file that is damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

LIMIT = 10_000_000
"""Most numbers of one array; the longest recording has 613,200."""
_AGAIN = "get the file again from its source"


def needs(path: Path, package: str) -> InputError:
    """The error where a package that is not always installed is missing."""
    return InputError(
        str(path),
        f"reading it needs the package {package}",
        "install synrep-search with its extra 'data'",
    )


def refuse_elsewhere(file: Any, name: str, path: Path) -> None:
    """Refuse an array whose content is in another file, wherever the name of that leads.

    Args:
        file: opened with h5py.
        name: of the array.
        path: of the file, for the message.

    Raises:
        DamagedError: it is.
    """
    import h5py  # noqa: PLC0415 - slow to load

    elsewhere = isinstance(file.get(name, getlink=True), h5py.ExternalLink)
    if not elsewhere and isinstance(item := file.get(name), h5py.Dataset):
        elsewhere = bool(item.external) or item.is_virtual
    if elsewhere:
        raise DamagedError(str(path), f"{name} is kept in another file", _AGAIN)


def read_datasets(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays of these names that a file has.

    Raises:
        InputError: the package h5py is not installed.
        DamagedError: the file can't be read, or an array is not one of numbers or claims to be
            larger than any of this data set.
    """
    try:
        import h5py  # noqa: PLC0415 - slow to load
    except ModuleNotFoundError:
        raise needs(path, "h5py") from None
    found = {}
    try:
        with h5py.File(path, "r") as file:
            for name in names:
                refuse_elsewhere(file, name, path)
                if not isinstance(dataset := file.get(name), h5py.Dataset):
                    continue
                if dataset.size is None or dataset.size > LIMIT or dataset.dtype.kind not in "biuf":
                    raise DamagedError(
                        str(path), f"{name} is {dataset.shape} of {dataset.dtype}", _AGAIN
                    )
                found[name] = np.asarray(dataset[()])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DamagedError(str(path), f"not readable as HDF5: {reason}", _AGAIN) from None
    return found
