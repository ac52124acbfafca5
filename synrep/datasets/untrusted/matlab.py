"""MATLAB files up to version 7.2, read by SciPy once their sizes and nesting are known."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from synrep.datasets.untrusted.matlab_limits import check_mat
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_AGAIN = "get the file again from the data set"


def load_mat(path: Path, variables: Sequence[str], **options: Any) -> dict[str, Any]:
    """The variables of a MATLAB file (before version 7.3) that it has of those named.

    Raises:
        InputError: it can't be opened, or is of version 7.3.
        DamagedError: it is no MATLAB file, or cut off.
    """
    import scipy.io  # noqa: PLC0415 - takes a while to load

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), f"can't be opened: {error.strerror}") from None
    try:
        check_mat(raw)
        stream = io.BytesIO(raw)
        content = scipy.io.loadmat(stream, variable_names=list(variables), **options)
    except NotImplementedError:
        raise InputError(
            str(path),
            "is of MATLAB's version 7.3, the published file is older",
            "get it again, or save it in MATLAB with -v7",
        ) from None
    except Exception as error:  # noqa: BLE001 - the package raises anything on a damaged file
        reason = str(error) or type(error).__name__
        raise DamagedError(str(path), f"not readable as MATLAB: {reason}", _AGAIN) from None
    return {name: value for name, value in content.items() if not name.startswith("__")}
