"""What the options of all readers of motion and poses have in common."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationError

from synrep.errors import InputError, faults
from synrep.schema import Section


class Options(Section):
    """How to read a source; frozen, every key checked."""

    @classmethod
    def checked(cls, **values: Any) -> Self:
        """Options that a user typed.

        Raises:
            InputError: one breaks a rule.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError("options", faults(error, cls)) from None
