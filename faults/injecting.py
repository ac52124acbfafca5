"""The faults: what is done to a search at a moment, and how it goes on after that."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import psutil  # type: ignore[import-untyped]

from tests.services import Proxy

from .moments import TooLate
from .scene import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.cluster import RayNode

    from .run import Run
    from .scene import Driver, Line

SLOW_S = 1.0
"""Delay of each answer of a slow server."""
OUTAGE_S = (2.0, 5.0)
"""Shortest and longest time that a server is away."""
STOPPED_S = 40.0
"""Longer than a lease lives without a heartbeat."""
HOUR_S = 3600.0
REFUSED = 2
"""Exit code of a command that says why it does not do what it was told."""


Strike: TypeAlias = "Callable[[Run, Line | None, int], None]"
"""Does harm: told the journal's line of the moment, and how often it was called before."""


def between_drivers(
    kill: Callable[[Run], None], then: Callable[[Run, int], str] = lambda *_: ""
) -> Callable[[Run], None]:
    """A fault that ends drivers: one after another is started and ended, the last one finishes.

    Args:
        kill: ends the driver.
        then: does more while none runs; what the next driver is told to resume, if not the name.
    """

    def disturb(run: Run) -> None:
        name = ""
        with suppress(TooLate):
            for index in range(run.cell.count):
                run.start(name)
                run.reach(index)
                kill(run)
                run.inject(recovers=False)
                name = then(run, index)
            run.start(name)
        run.finish()

    return disturb


def inside(strike: Strike) -> Callable[[Run], None]:
    """A fault that the driver outlives: it strikes some times while one driver runs."""

    def disturb(run: Run) -> None:
        run.start()
        with suppress(TooLate):
            for index in range(run.cell.count):
                strike(run, run.reach(index), index)
        run.finish()

    return disturb


def kill_driver(run: Run) -> None:
    """SIGKILL."""
    run.there.send(signal.SIGKILL)
    run.there.wait()


def terminate_driver(run: Run) -> None:
    """SIGTERM; it is to end with 3, or with 0 if the end was reached before.

    Or by the signal, if it was not yet listening.
    """
    run.there.send(signal.SIGTERM)
    run.ended({0, 3, -signal.SIGTERM})


def interrupt_driver(run: Run) -> None:
    """Ctrl-C, and again; the second may come before all trials have been saved."""
    run.there.send(signal.SIGINT)
    time.sleep(run.random.uniform(0.1, 1))
    with suppress(ProcessLookupError):
        run.there.send(signal.SIGINT)
    run.ended({0, 1, 3, -signal.SIGINT, 130})
    run.cut_short |= "stopped at once" in run.there.said


def kill_head(run: Run) -> None:
    """The head node is lost, and with it the cluster: the driver is to end."""
    run.world.ray.kill_head()
    run.ended({1, 3}, 90)
    run.world.ray.restart()


def kill_trial(run: Run, line: Line | None, index: int) -> None:
    """The process that has written the line, or else the newest one."""
    del index
    victim = line or _newest(run)
    hit = _in_process(run, victim.pid)
    with suppress(ProcessLookupError):
        os.kill(victim.pid, signal.SIGKILL)
        run.inject(hit)


def stop_trial(run: Run, line: Line | None, index: int) -> None:
    """SIGSTOP, for good."""
    del index
    victim = line or _newest(run)
    os.kill(victim.pid, signal.SIGSTOP)
    run.inject([victim])


def await_hang(run: Run, line: Line | None, index: int) -> None:
    """The script hangs by itself; it is known by the file that it makes."""
    del line, index
    mark = run.scene.folder / "once"
    while not mark.exists():
        if not run.there.alive:
            raise TooLate
        time.sleep(0.01)
    run.inject()


def kill_node(run: Run, line: Line | None, index: int) -> None:
    """A worker node: the one where the moment came, or any."""
    del index
    nodes = run.world.ray.nodes
    alive = [number for number, node in enumerate(nodes) if node.running]
    by_pid = [number for number in alive if line and _is_on(nodes[number], line.pid)]
    number = (by_pid or [run.random.choice(alive)])[0]
    run.world.ray.kill_node(number)
    run.inject([line])
    time.sleep(run.random.uniform(0, 2))
    run.world.add_node()


def outage(
    begin: Callable[[Run], None],
    end: Callable[[Run], None],
    last: Callable[[Run], None] = lambda _: None,
) -> Strike:
    """A server is away for a while; recovery is measured from its return.

    Args:
        begin: takes the server away.
        end: brings it back.
        last: returns when the server may soon be back.
    """

    def strike(run: Run, line: Line | None, index: int) -> None:
        del line, index
        begin(run)
        run.inject(recovers=False)
        last(run)
        time.sleep(run.random.uniform(*OUTAGE_S))
        end(run)
        run.recovers(time.time())

    return strike


def await_parking(run: Run) -> None:
    """A slot has waited for its storage as long as it does, and given its trial back."""
    give_up = time.monotonic() + PATIENCE_S
    while " s for its storage " not in run.there.said:
        if not run.there.alive or time.monotonic() > give_up:
            run.broken.append("no trial was deferred")
            return
        time.sleep(0.2)


def jump(run: Run, line: Line | None, index: int) -> None:
    """The driver's clock goes an hour ahead, and the next time an hour back from the true one."""
    del line
    run.scene.clock.write_text(str(HOUR_S if index % 2 == 0 else -HOUR_S))
    run.inject()


def damage(how: Callable[[bytes], bytes] | None) -> Callable[[Run, int], str]:
    """Harm to the newest checkpoint of some trial that has not ended; None removes it."""

    def harm(run: Run, index: int) -> str:
        del index
        folders = [path for path in run.scene.paths.folder.glob("trials/*") if path.is_dir()]
        saved = {path: sorted(path.glob("*.safetensors")) for path in folders}
        ended = f"{run.scene.plan.iterations:08d}"
        able = [
            files
            for _, files in sorted(saved.items())
            if files and not files[-1].name.startswith(ended)
        ]
        if not able:
            run.broken.append("no trial had a checkpoint to harm")
            return ""
        victim = run.random.choice(able)[-1]
        if how is None:
            victim.unlink()
        else:
            victim.write_bytes(how(victim.read_bytes()))
        return ""

    return harm


def flip(content: bytes) -> bytes:
    """One bit, in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def vanish(run: Run, index: int) -> str:
    """The home is gone with its machine; the search goes on in another from its storage."""
    scene = run.scene
    shutil.rmtree(scene.home, ignore_errors=True)
    scene.move(scene.folder / f"home-{index + 1}")
    if not (place := scene.stored()):
        run.notes.append("nothing was stored yet: launched again")
    return place


def second_drivers(run: Run, line: Line | None, index: int) -> None:
    """`resume` and `launch` of a search that runs."""
    del line
    _refused(run, run.scene.resume if index % 2 == 0 else run.scene.launch)


def second_by_uri(run: Run, line: Line | None, index: int) -> None:
    """`resume` of a search that runs by its storage, in another home, as if on another machine."""
    del line
    home = run.scene.folder / f"other-{index}"
    _refused(run, lambda: run.scene.resume(run.scene.stored(), home))
    if home.exists() and any(home.iterdir()):
        run.broken.append("a driver that was refused has left something in its home")


def _refused(run: Run, start: Callable[[], Driver]) -> None:
    """Start a second driver, which is to be refused while the first one lives.

    Raises:
        TooLate: the first one has ended meanwhile.
    """
    code = start().wait()
    if not run.there.alive and run.there.wait() == 0 and code == 0:
        raise TooLate
    run.inject(recovers=False)
    if code != REFUSED:
        run.broken.append(f"a second driver was not refused: it ended with {code}")


def wake_up(run: Run) -> None:
    """A driver sleeps so long that another takes over; then it wakes up."""
    sleeper = run.start()
    try:
        run.reach(0)
        sleeper.send(signal.SIGSTOP)
        run.inject(recovers=False)
        time.sleep(STOPPED_S)
        taker = run.start()
        while f":{taker.pid}:" not in run.scene.seen().owner and taker.alive:
            time.sleep(0.05)
        time.sleep(run.random.uniform(0, 3))  # the sleeper's slots still have the cluster's CPUs
        sleeper.send(signal.SIGCONT)
        if sleeper.wait() == 0:
            run.broken.append("the driver that slept did not notice")
    finally:
        sleeper.kill()
    run.finish()


def fill_disk(run: Run) -> None:
    """The disk of home and checkpoints fills up; the driver is to end; there is room again.

    With 3 if a checkpoint told of it, with an error if it was the ledger.
    """
    filler = run.scene.home / "filler"
    try:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        run.ended({0, REFUSED, 3})
    finally:
        filler.unlink()


def _newest(run: Run) -> Line:
    lines = run.scene.lines()
    if not lines:
        raise TooLate
    return lines[-1]


def _in_process(run: Run, pid: int) -> list[Line]:
    """The last line of each training that a process has right now."""
    step = run.scene.plan.iterations
    last = {line.seed: line for line in run.scene.lines()}
    return [line for line in last.values() if line.pid == pid and line.iteration < step]


def _is_on(node: RayNode, pid: int) -> bool:
    """Whether a process is of a node."""
    assert node._process is not None
    with suppress(psutil.NoSuchProcess):
        return node._process.pid in {parent.pid for parent in psutil.Process(pid).parents()}
    return False


def _mlflow(run: Run) -> Proxy:
    return run.world.mlflow_door


def _s3(run: Run) -> Proxy:
    return run.world.objects_door


def _behind(
    door: Callable[[Run], Proxy],
    shut: Callable[[Proxy], None],
    last: Callable[[Run], None] = lambda _: None,
) -> Strike:
    """An outage that is made at a door."""
    return outage(lambda run: shut(door(run)), lambda run: door(run).pass_(), last)


OUTAGES: dict[str, Strike] = {
    "mlflow-down": outage(
        lambda run: run.world.mlflow.kill(), lambda run: run.world.mlflow.start()
    ),
    "mlflow-slow": _behind(_mlflow, lambda door: door.slow(SLOW_S)),
    "mlflow-errors": _behind(_mlflow, Proxy.errors),
    "postgres-restarted": outage(
        lambda run: run.world.postgres.kill(), lambda run: run.world.postgres.start()
    ),
    "s3-down": _behind(_s3, Proxy.refuse),
    "s3-away": _behind(_s3, Proxy.refuse, await_parking),
    "s3-slow": _behind(_s3, lambda door: door.slow(SLOW_S)),
    "s3-errors": _behind(_s3, Proxy.errors),
}
"""A server is away, or as good as away."""

PROCEDURES: dict[str, Callable[[Run], None]] = {
    "driver-kill-9": between_drivers(kill_driver),
    "driver-sigterm": between_drivers(terminate_driver),
    "driver-sigint-twice": between_drivers(interrupt_driver),
    "trial-killed": inside(kill_trial),
    "fused-slot-killed": inside(kill_trial),
    "trial-hangs": inside(await_hang),
    "trial-stopped": inside(stop_trial),
    "node-killed": inside(kill_node),
    "head-killed": between_drivers(kill_head),
    **{name: inside(strike) for name, strike in OUTAGES.items()},
    "disk-full": between_drivers(fill_disk),
    "clock-jumps": inside(jump),
    "checkpoint-truncated": between_drivers(
        kill_driver, damage(lambda content: content[: len(content) // 2])
    ),
    "checkpoint-flipped": between_drivers(kill_driver, damage(flip)),
    "checkpoint-missing": between_drivers(kill_driver, damage(None)),
    "moved-from-s3": between_drivers(kill_driver, vanish),
    "moved-from-folder": between_drivers(kill_driver, vanish),
    "two-drivers": inside(second_drivers),
    "two-drivers-by-uri": inside(second_by_uri),
    "stale-lease": wake_up,
}
"""What each fault of the matrix does."""
