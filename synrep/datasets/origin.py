"""Origin of a model: the poses that it was trained on, and the subjects of each split.

Every checkpoint and export holds it, so that a model is never resumed on other poses, nor scored on
subjects that it has seen (row 33).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from synrep.datasets.store.header import Sha256, Split
from synrep.errors import InputError
from synrep.schema import Section

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from synrep.datasets.store.store import PoseStore


class Origin(Section):
    """A pose store as a model remembers it."""

    name: str
    """Short name of the data set."""
    licence: str
    """Terms under which the poses may be used."""
    acknowledgement: str = ""
    """Citation or acknowledgement that users are asked to give."""
    fingerprint: Sha256
    """Fingerprint of the store, equal for equal files."""
    subjects: dict[Split, tuple[str, ...]]
    """Subjects of each split, sorted."""

    @classmethod
    def of(cls, store: PoseStore) -> Origin:
        """Describe a store.

        Raises:
            DamagedError: a file of the store can't be read.
        """
        header = store.header
        return cls(
            name=header.name,
            licence=header.licence,
            acknowledgement=header.acknowledgement,
            fingerprint=store.fingerprint,
            subjects={split: tuple(store.listed_subjects(split)) for split in store.splits},
        )

    @classmethod
    def read(cls, meta: Mapping[str, object]) -> Origin | None:
        """Return the origin in the state of a checkpoint or the header of an export, if it has one.

        Those of earlier versions have none: what they were trained on is unknown.

        Raises:
            TypeError: it is not an origin.
        """
        content = meta.get("poses")
        if content is None:
            return None
        try:
            return cls.model_validate(content, strict=False)
        except ValidationError:
            raise TypeError("its poses are not described as they must be") from None

    def check_same(self, other: Origin) -> None:
        """Raise if a training that began on these poses would go on with others.

        Raises:
            InputError: the fingerprints differ.
        """
        if other.fingerprint != self.fingerprint:
            raise InputError(
                "data.poses",
                f"the poses are not those that this training began with: {other.name} "
                f"{other.fingerprint[:12]}, not {self.name} {self.fingerprint[:12]}",
                "restore the pose store, or train anew",
            )

    def same_people(self, other: Origin) -> bool:
        """Return whether equal names of subjects mean the same people in both.

        They do in the same store, and in two stores of one data set. Two stores are of one data set
        if they ask for the same acknowledgement or, where one of them asks for none, if they have
        the same name. The licence decides nothing, since unrelated data sets share licences.
        """
        if self.fingerprint == other.fingerprint:
            return True
        if self.acknowledgement and other.acknowledgement:
            return self.acknowledgement == other.acknowledgement
        return self.name.casefold() == other.name.casefold()

    def seen(self, other: Origin, subjects: Iterable[str], splits: Iterable[Split]) -> list[str]:
        """Return which subjects of another store are in some splits of this one, sorted."""
        if not self.same_people(other):
            return []
        known = {name for split in splits for name in self.subjects.get(split, ())}
        return sorted(known & set(subjects))
