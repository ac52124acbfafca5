"""Where each library is imported, and what is not loaded until it is needed.

That the layers of each package import one way is tested with the page that shows them.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import synrep_search

import synrep

SEARCH = Path(synrep_search.__file__).parent
MODEL = Path(synrep.__file__).parent
HEAVY = ["ray", "optuna", "mlflow", "torch", "sqlalchemy", "pandas", "cmaes", "scipy.stats"]
ADAPTERS = {
    "Ray": ("ray", "workers/on_ray/"),
    "Optuna's samplers": ("optuna", "search/samplers/"),
    "Optuna's storage": ("optuna", "durability/study/"),
    "MLflow": ("mlflow", "tracking/"),
    "the package cmaes": ("cmaes", "search/samplers/evolution.py"),
}
"""What stands between the platform and a library: a module, or a folder of modules."""


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports anywhere, also within functions and by name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {ast.literal_eval(one) for one in node.args if isinstance(one, ast.Constant)}
    return found


def loaded_by(code: str, *words: str) -> set[str]:
    """Packages of interest that are loaded after some code ran in a fresh process."""
    watched = [*HEAVY, "synrep_search"]
    after = f"import sys, json; print(json.dumps([m for m in {watched} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{after}", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("path", sorted(MODEL.rglob("*.py")), ids=lambda path: path.stem)
def test_the_model_knows_no_search(path: Path) -> None:
    """No file of `synrep` imports Ray, Optuna, MLflow or the platform."""
    assert not imported(path) & {"ray", "optuna", "mlflow", "synrep_search"}


@pytest.mark.parametrize("library", sorted({library for library, _ in ADAPTERS.values()}))
def test_a_library_is_imported_by_its_adapters(library: str) -> None:
    """Whoever replaces a library reads its adapters and nothing else; each of them uses it."""
    adapters = {place for used, place in ADAPTERS.values() if used == library}
    users = {
        path.relative_to(SEARCH).as_posix()
        for path in SEARCH.rglob("*.py")
        if library in imported(path)
    }
    found = {next((one for one in adapters if user.startswith(one)), user) for user in users}
    assert found == adapters


def test_the_model_loads_no_search() -> None:
    """With every module of `synrep` imported, none of the platform's libraries is loaded."""
    code = (
        "import importlib, pkgutil, synrep\n"
        "for found in pkgutil.walk_packages(synrep.__path__, 'synrep.'):\n"
        "    if not found.name.endswith('.__main__'):  # it runs the program\n"
        "        importlib.import_module(found.name)"
    )
    assert not loaded_by(code) & {"ray", "optuna", "mlflow", "synrep_search"}


def test_a_search_file_is_read_without_heavy_packages(tmp_path: Path) -> None:
    """The package, the help of every command, and reading a file load none of them."""
    path = tmp_path / "a.yaml"
    path.write_text("space: {loss.lambda_angle: {log: [0.01, 10]}}\n", encoding="utf-8")
    code = (
        "import contextlib, io, sys, synrep_search\n"
        "from synrep_search.cli import main\n"
        "for command in [[], *([name] for name in main.commands)]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        main([*command, '--help'], standalone_mode=False)\n"
        "main(['plan', sys.argv[1]], standalone_mode=False)\n"
        "from synrep_search.search_file import load_spec\n"
        "assert load_spec(sys.argv[1]).name == 'a'"
    )
    assert loaded_by(code, str(path)) == {"synrep_search"}


def test_the_driver_loads_no_torch() -> None:
    """A driver with everything that it needs for a search on Ray has not imported torch."""
    modules = ["search.driver", "workers.on_ray.runner", "tracking.delivery", "terminal.progress"]
    code = "\n".join(f"import synrep_search.{name}" for name in modules)
    loaded = loaded_by(code)
    assert {"ray", "optuna", "mlflow"} <= loaded
    assert not loaded & {"torch", "cmaes", "scipy.stats"}


@pytest.mark.parametrize(
    ("sampler", "loaded"),
    [
        ("{tpe: {}}", set()),
        ("{grid: {}}", set()),
        ("{qmc: {}}", {"scipy.stats"}),
        ("{cmaes: {}}", {"cmaes", "scipy.stats"}),
    ],
)
def test_a_sampler_loads_what_it_needs(tmp_path: Path, sampler: str, loaded: set[str]) -> None:
    """What one sampler needs beyond Optuna is loaded when that one is chosen."""
    path = tmp_path / "a.yaml"
    text = "trainer: scripted\nspace: {x: {float: [0, 1], step: 0.1}}\n"
    path.write_text(f"{text}search: {{minimize: loss, trials: 4, sampler: {sampler}}}\n")
    code = (
        "import sys\n"
        "from synrep_search.search.sampling import Proposer\n"
        "from synrep_search.search_file import load_spec\n"
        "Proposer(load_spec(sys.argv[1]), []).propose(0)"
    )
    assert loaded_by(code, str(path)) & {"torch", "cmaes", "scipy.stats"} == loaded


def test_platform_is_the_standard_library() -> None:
    """The source root `platform` is no package and hides nothing."""
    assert SEARCH.parent.name == "platform"
    assert not (SEARCH.parent / "__init__.py").exists()
    assert platform.python_version_tuple()
    spec = importlib.util.find_spec("platform")
    assert spec is not None
    assert spec.origin is not None
    assert SEARCH.parent not in Path(spec.origin).parents
