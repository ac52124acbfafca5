"""What `synrep-search ui` says of stores that it does not serve."""

from __future__ import annotations

import shlex

import pytest
from synrep_search.tracking.ui import elsewhere


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://me:hunter2@db/runs", "postgresql://me:***@db/runs"),
        (
            "mysql+pymysql://db/runs?password=hunter2&a=1",
            "mysql+pymysql://db/runs?password=***&a=1",
        ),
    ],
)
def test_a_database_is_shown_by_a_server_of_its_own(uri: str, shown: str) -> None:
    """The command can be typed once the secret is put back into it."""
    said = elsewhere(uri)
    assert "hunter2" not in said
    command = said.split("`")[1]
    assert shlex.split(command) == ["mlflow", "server", "--backend-store-uri", shown]
    assert "(replace *** with the secret)" in said
