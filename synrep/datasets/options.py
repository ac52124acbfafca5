"""Base class for the options of the data-set readers."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationError

from synrep.errors import InputError, faults
from synrep.schema import Section


class Options(Section):
    """Options of a reader; frozen, unknown keys are rejected."""

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Create options from user input.

        Raises:
            InputError: a value is invalid.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError("options", faults(error, cls)) from None
