"""No code of the product runs what it reads: its syntax trees hold none of the calls that could."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = [*ROOT.glob("synrep/**/*.py"), *ROOT.glob("platform/**/*.py")]
OTHERS = [*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("docker/**/*.py")]

MODULES = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml",
    "jsonpickle", "code", "codeop", "runpy", "xml", "lxml", "telnetlib", "ftplib", "ctypes",
}  # fmt: skip
"""Not to be imported: they run what they read, or read what can't be bounded."""
CALLS = {
    "eval", "exec", "compile", "__import__", "execfile", "os.system", "os.popen", "os.fork",
    "os.spawnl", "os.spawnv", "os.execv", "os.execve", "os.execvp", "os.execl", "os.startfile",
    "commands.getoutput", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn",
    "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "torch.load", "torch.jit.load", "torch.package.PackageImporter",
    "torch.hub.load", "numpy.load", "np.load", "np.lib.format.read_array", "pd.read_pickle",
    "pandas.read_pickle", "scipy.io.loadmat", "importlib.import_module", "import_module",
    "tempfile.mktemp", "tarfile.open", "zipfile.ZipFile.extractall", "shutil.unpack_archive",
    "mlflow.pyfunc.load_model", "mlflow.pytorch.load_model", "mlflow.sklearn.load_model",
    "onnx.load", "pickle.Unpickler", "builtins.eval", "builtins.exec",
}  # fmt: skip
"""Not to be called, by the names in which they are used."""
METHODS = {"extractall", "unpack_archive", "read_pickle", "to_pickle", "load_module", "exec_module"}
"""Not to be called on anything."""
KEYWORDS = {
    "shell": True, "allow_pickle": True, "weights_only": False, "trust_remote_code": True,
    "trust_repo": True, "verify": False,
}  # fmt: skip
"""Not to be given with that value, nor with one that is only known later."""

ALLOWED = {
    (
        "synrep/datasets/untrusted/npz.py",
        "import pickle",
    ): "its unpickler finds a fixed list of names alone",
    ("synrep/datasets/untrusted/npz.py", "np.lib.format.read_array"): "with allow_pickle=False",
    ("synrep/datasets/untrusted/matlab.py", "scipy.io.loadmat"): "MATLAB's files hold no code",
    ("synrep/__init__.py", "importlib.import_module"): "see below",
    ("synrep/__init__.py", "import_module"): "names from a table of this module",
    ("platform/synrep_search/__init__.py", "importlib.import_module"): "see below",
    ("platform/synrep_search/__init__.py", "import_module"): "names from a table of this module",
    ("platform/synrep_search/trainers.py", "importlib.import_module"): "see below",
    ("platform/synrep_search/trainers.py", "import_module"): "names from a table of this module",
    ("platform/synrep_search/provenance.py", "subprocess.run"): "git, with words of our own",
    ("platform/synrep_search/tracking/exports.py", "subprocess.Popen"): "this module, as a process",
    ("platform/synrep_search/tracking/ui.py", "os.execve"): "mlflow server, as this process",
    ("platform/synrep_search/tracking/registry.py", "onnx.load"): "protobuf, no code",
}
"""Exceptions, each with its reason."""


def name_of(node: ast.expr) -> str:
    """A dotted name; empty for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = name_of(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def findings(source: str) -> Iterator[tuple[int, str]]:
    """Line and word of everything that must not be in a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if {alias.name, alias.name.partition(".")[0]} & MODULES:
                    yield node.lineno, f"import {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _import_from(node, node.module)
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _import_from(node: ast.ImportFrom, module: str) -> Iterator[tuple[int, str]]:
    names = [alias.name for alias in node.names]
    # Some packages bring a copy along, which is imported from them by its name.
    for name in (module.partition(".")[0], *names):
        if name in MODULES:
            yield node.lineno, f"import {name}"
    for name in sorted({f"{module}.{name}" for name in names} | {module}):
        if name in CALLS:
            yield node.lineno, name


def _call(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = name_of(node.func)
    if name in CALLS:
        yield node.lineno, name
    elif isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        yield node.lineno, node.func.attr
    for keyword in node.keywords:
        bad = KEYWORDS.get(keyword.arg or "")
        if bad is None:
            continue
        known = isinstance(keyword.value, ast.Constant)
        if not known or keyword.value.value is bad:  # type: ignore[attr-defined]
            yield node.lineno, f"{keyword.arg}="


def test_the_product_has_none_but_the_allowed_ones() -> None:
    """Every module of both packages; an exception that is not needed any more is a mistake too."""
    assert len(PRODUCT) > 100
    found = {
        (str(path.relative_to(ROOT)), word): f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in PRODUCT
        for line, word in findings(path.read_text(encoding="utf-8"))
    }
    assert [found[key] for key in found if key not in ALLOWED] == []
    assert [key for key in ALLOWED if key not in found] == []


def test_programs_beside_it_read_no_pickles() -> None:
    """They start processes, but they run nothing that they read."""
    ignored = {name for name in CALLS if name.startswith(("subprocess.", "os."))}
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in OTHERS
        for line, word in findings(path.read_text(encoding="utf-8"))
        if word not in ignored
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "from ray import cloudpickle",
        "from mlflow.utils import yaml as settings",
        "import yaml.constructor",
        "from subprocess import run",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy_.load(path, allow_pickle=True)",
        "read(path, allow_pickle=wanted)",
        "anything(words, shell=True)",
        "archive.extractall(folder)",
        "model.from_pretrained(name, trust_remote_code=True)",
        "def later():\n    exec(text)",
    ],
)
def test_what_is_looked_for_is_found(source: str) -> None:
    """The search itself works, wherever the call stands."""
    assert list(findings(source))


@pytest.mark.parametrize("source", ["'eval(x)'", "# eval(x)", "self.eval()", "np.load_text(path)"])
def test_words_alone_are_no_calls(source: str) -> None:
    """Comments, texts and other names may hold the words."""
    assert not list(findings(source))
