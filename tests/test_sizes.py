"""Modules and functions stay short enough to be read at once."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"synrep": 400, "platform": 400, "benchmarks": 400, "tests": 400}
"""Most lines of a module."""
MOST_IN_BODY = 40


def bodies(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names of functions, and the lines of their bodies without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_code_is_short(folder: str) -> None:
    """No module and no body is longer than CONTRIBUTING.md says."""
    modules = sorted((ROOT / folder).rglob("*.py"))
    assert modules
    for module in modules:
        text = module.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= FOLDERS[folder], module
        long = {name: lines for name, lines in bodies(ast.parse(text)) if lines > MOST_IN_BODY}
        assert not long, module
