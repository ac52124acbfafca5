"""Fuzz the readers of `targets.py` for some minutes each, guided by coverage where possible.

    pip install atheris --target fuzzing/atheris
    PYTHONPATH=fuzzing/atheris python tests/security/fuzz.py --minutes 2 --corpus fuzzing

Without atheris, hypothesis makes the contents. One process at a time, at low priority. The corpus
grows in the folder; a content that ends in anything but a value or one of the project's own errors
is kept beside it as `crash-...`, and the exit code is 1.
"""

# ruff: noqa: T201 - a program that prints what it found

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from hypothesis import HealthCheck, given, settings

try:
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]
except ImportError:
    atheris = None

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# What reads is watched; the big libraries would drown it. The process that starts the others has
# no need of it.
WATCHED = ["synrep", "synrep_search", "ruamel.yaml"]
ONE = "--one"
watching = atheris is not None and ONE in sys.argv
with atheris.instrument_imports(include=WATCHED) if watching else nullcontext():
    from tests.security.contents import contents
    from tests.security.targets import TARGETS, attempt

MEMORY_MB = 3000
SECONDS_EACH = 20
"""More for one content counts as a hang."""


def main() -> int:
    """All targets, each in a process of its own."""
    arguments = _arguments()
    os.nice(10)
    if arguments.one:
        return _fuzz(arguments.one, arguments.corpus, arguments.minutes)
    crashes = 0
    for name in arguments.targets or TARGETS:
        words = [sys.executable, __file__, ONE, name, "--minutes", str(arguments.minutes)]
        words += ["--corpus", str(arguments.corpus)]
        before = set(arguments.corpus.glob(f"{name}-crash-*"))
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        new = set(arguments.corpus.glob(f"{name}-crash-*")) - before
        counts = re.findall(r"executed_units: *(\d+)", done.stdout + done.stderr)
        print(f"{name:16} {counts[-1] if counts else '?':>9} executions, {len(new)} crashes")
        if done.returncode or new:
            crashes += 1
            print("\n".join(["", *(done.stdout + done.stderr).splitlines()[-40:], ""]))
        sys.stdout.flush()
    return int(bool(crashes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all if omitted")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--corpus", type=Path, default=Path("fuzzing"), help="folder that it keeps")
    parser.add_argument(ONE, help=argparse.SUPPRESS)
    return parser.parse_args()


def _fuzz(name: str, corpus: Path, minutes: float) -> int:
    """Fuzz one target in this process, which may end here."""
    kept = corpus / name
    kept.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (kept / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    if atheris is None:
        return _with_hypothesis(name, corpus, minutes)
    _with_atheris(name, corpus, minutes)
    return 0


def _with_atheris(name: str, corpus: Path, minutes: float) -> None:
    """Never comes back: libFuzzer ends the process."""
    flags = {
        "max_total_time": int(60 * minutes),
        "timeout": SECONDS_EACH,
        "rss_limit_mb": MEMORY_MB,
        "max_len": 20_000,
        "artifact_prefix": f"{corpus}/{name}-crash-",
        "print_final_stats": 1,
    }
    words = [f"-{flag}={value}" for flag, value in flags.items()]
    atheris.Setup(
        [sys.argv[0], str(corpus / name), *words], lambda content: attempt(name, content) and None
    )
    atheris.Fuzz()


def _with_hypothesis(name: str, corpus: Path, minutes: float) -> int:
    """Contents by chance until the time is up."""
    end, count = time.monotonic() + 60 * minutes, 0

    @settings(max_examples=1000, database=None, deadline=None, suppress_health_check=[*HealthCheck])
    @given(content=contents(name))
    def try_many(content: bytes) -> None:
        nonlocal count
        count += 1
        try:
            attempt(name, content)
        except Exception:
            digest = hashlib.sha256(content).hexdigest()[:16]
            (corpus / f"{name}-crash-{digest}").write_bytes(content)
            raise

    while time.monotonic() < end:
        try_many()
    print(f"executed_units: {count}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
