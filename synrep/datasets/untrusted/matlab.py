"""Read MATLAB files up to version 7.2 with SciPy, after checking their sizes and nesting."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from synrep.datasets.untrusted.matlab_limits import check_mat
from synrep.errors import DamagedError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_REMEDY = "get the file again from the data set"


def load_mat(path: Path, variables: Sequence[str], **options: Any) -> dict[str, Any]:
    """Read the named variables of a MATLAB file; variables that the file lacks are left out.

    Args:
        path: the file, of a version before 7.3.
        variables: names of the variables to read.
        **options: options of `scipy.io.loadmat`.

    Raises:
        InputError: the file can't be opened or is of version 7.3.
        DamagedError: the file is not a MATLAB file or is truncated.
    """
    import scipy.io  # noqa: PLC0415 - slow to load

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
            "is a MATLAB file of version 7.3; the published file is of an older version",
            "get it again, or save it in MATLAB with -v7",
        ) from None
    except Exception as error:  # noqa: BLE001 - SciPy raises arbitrary exceptions on a damaged file
        reason = str(error) or type(error).__name__
        raise DamagedError(str(path), f"not readable as MATLAB: {reason}", _REMEDY) from None
    return {name: value for name, value in content.items() if not name.startswith("__")}
