"""How the database of a ledger is connected to."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from synrep_search.durability.database import NOTICE_LOSS, connection_arguments


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://db/x", NOTICE_LOSS),
        ("postgresql+psycopg://db/x?connect_timeout=3", NOTICE_LOSS.keys() - {"connect_timeout"}),
        ("postgresql+psycopg2://db/x", NOTICE_LOSS),
        ("postgresql+pg8000://db/x", {}),
        ("postgresql+asyncpg://db/x", {}),
        ("sqlite:////x.db", {"timeout"}),
    ],
)
def test_a_driver_gets_the_arguments_that_it_knows(url: str, expected: dict[str, int]) -> None:
    """Those about a lost machine are libpq's; what the address says itself stays."""
    assert set(connection_arguments(sa.make_url(url))) == set(expected)
