"""Ledgers that another version wrote."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from synrep_search.durability.ledger import SPEC
from synrep_search.errors import LedgerError


def test_a_search_of_another_version_is_refused(ledgers, make_spec) -> None:
    """With the version that made it and what can't be read, in one message."""
    spec = make_spec()
    ledgers.create(spec)
    changed = spec.model_dump(mode="json")
    changed["resources"]["cores"] = changed["resources"].pop("cpu")
    engine = sa.create_engine(ledgers.url)
    with engine.begin() as connection:
        statement = sa.text("UPDATE study_user_attributes SET value_json = :v WHERE key = :k")
        value = json.dumps(json.dumps(changed))
        assert connection.execute(statement, {"v": value, "k": SPEC}).rowcount == 1
    engine.dispose()
    with pytest.raises(LedgerError) as caught:
        ledgers.open(spec.name)
    message = str(caught.value)
    assert f"search '{spec.name}' was made by another version of synrep-search (c0de)" in message
    assert 'resources.cores: unknown key "cores"' in message
    assert "valid: cpu, gpu" in message
    assert "launch another search" in message
