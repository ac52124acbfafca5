"""Actions of the synthetic poses, as curves of joint angles over time.

A motion is cyclic (a gait, waving), moves between random targets (gestures, reaching), or both; a
slow sway is added to all angles. All curves are smooth.
Axes: T frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synrep.datasets.synthetic.body import ANGLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class AngleCurves:
    """Builder of the joint-angle curves of one clip.

    Args:
        rng: generator from which all random choices of the clip are drawn.
        frames: number of frames T.
        fps: frames per second.
    """

    def __init__(self, rng: np.random.Generator, frames: int, fps: float) -> None:
        self.rng = rng
        self.time_s = np.arange(frames) / fps
        self.angles = dict.fromkeys(ANGLES, np.zeros(frames))
        self.heading_deg = np.full(frames, rng.uniform(-180, 180)) + self.sway(8, 6.0)
        self.hop_mm = np.zeros(frames)
        for side in ("left", "right"):
            self.add(f"{side}_hip_abduction", 4)
            self.add(f"{side}_hip_twist", rng.uniform(2, 10))
            self.add(f"{side}_knee_flexion", rng.uniform(5, 12))
            self.add(f"{side}_hip_flexion", rng.uniform(4, 9))
            self.add(f"{side}_shoulder_abduction", rng.uniform(8, 14))
            self.add(f"{side}_shoulder_flexion", rng.uniform(-5, 8))
            self.add(f"{side}_elbow_flexion", rng.uniform(15, 35))
        for name in ANGLES:
            self.add(name, self.sway(2.0, 4.0))
        self.add("head_turn", self.sway(12, 3.0))
        self.add("head_nod", self.sway(6, 3.0))

    def add(self, name: str, curve: NDArray[np.float64] | float) -> None:
        """Add a curve (T,) or a constant to an angle."""
        self.angles[name] = self.angles[name] + curve

    def sway(self, size: float, period_s: float) -> NDArray[np.float64]:
        """Return a slow random oscillation (T,) of about the given size and period."""
        rate = 2 * np.pi / (period_s * self.rng.uniform(0.6, 1.6, 3))
        phase = self.rng.uniform(0, 2 * np.pi, 3)
        curve: NDArray[np.float64] = (
            size / 3**0.5 * np.sin(self.time_s[:, None] * rate + phase).sum(axis=1)
        )
        return curve

    def cycle(self, period_s: float, phase: float = 0.0) -> NDArray[np.float64]:
        """Return the phase (T,) in radians of a cyclic motion whose pace varies slightly."""
        return 2 * np.pi * (self.time_s / period_s + phase) + self.sway(0.25, 5.0)

    def targets(self, low: float, high: float, hold_s: float) -> NDArray[np.float64]:
        """Return a curve (T,) between random values along minimum-jerk paths.

        Args:
            low: smallest value.
            high: largest value.
            hold_s: mean time from one value to the next in seconds.
        """
        gaps = self.rng.uniform(0.6, 1.4, 2 + int(self.time_s[-1] / (0.6 * hold_s))) * hold_s
        starts = np.concatenate([[0.0], np.cumsum(gaps)])
        values = self.rng.uniform(low, high, len(starts))
        index = np.searchsorted(starts, self.time_s, side="right") - 1
        along = (self.time_s - starts[index]) / gaps[index]
        move = np.clip(along / self.rng.uniform(0.6, 1.0), 0, 1)
        ease = move**3 * (10 - 15 * move + 6 * move**2)
        curve: NDArray[np.float64] = values[index] + (values[index + 1] - values[index]) * ease
        return curve

    def pulses(self, period_s: float, phase: float = 0.0) -> NDArray[np.float64]:
        """Return a curve (T,) that rises from 0 to 1 and falls back in each period."""
        curve: NDArray[np.float64] = 0.5 - 0.5 * np.cos(self.cycle(period_s, phase))
        return curve

    def side(self) -> str:
        """Return `left` or `right` at random."""
        return "left" if self.rng.random() < 0.5 else "right"


def _gait(motion: AngleCurves, *, period_s: float, stride: float, knee: float, arms: float) -> None:
    """Add the leg and arm motion of walking or running; amplitudes in degrees."""
    phase = motion.cycle(period_s)
    for side, shift in (("left", 0.0), ("right", np.pi)):
        swing = phase + shift
        motion.add(f"{side}_hip_flexion", stride * (np.sin(swing) + 0.25))
        lifted = np.clip(np.cos(swing + 0.35), 0, None) ** 2
        landing = np.clip(-np.cos(swing + 0.9), 0, None) ** 2
        motion.add(f"{side}_knee_flexion", knee * lifted + 0.22 * knee * landing)
        motion.add(f"{side}_shoulder_flexion", -arms * np.sin(swing))
        motion.add(f"{side}_elbow_flexion", 0.35 * arms * (0.6 - np.sin(swing)))
    motion.add("spine_twist", 0.25 * arms * np.sin(phase))
    motion.add("pelvis_roll", 3 * np.cos(phase))
    motion.heading_deg = motion.heading_deg + motion.targets(-90, 90, 3.0)


def walk(motion: AngleCurves) -> None:
    """Walking along a winding path."""
    pace = motion.rng.uniform(0.9, 1.3)
    _gait(motion, period_s=pace, stride=motion.rng.uniform(18, 28), knee=58, arms=22)
    motion.add("pelvis_pitch", 3)


def run(motion: AngleCurves) -> None:
    """Running, with both feet off the floor between steps."""
    pace = motion.rng.uniform(0.62, 0.75)
    _gait(motion, period_s=pace, stride=motion.rng.uniform(34, 42), knee=95, arms=38)
    for side in ("left", "right"):
        motion.add(f"{side}_elbow_flexion", 60)
    motion.add("pelvis_pitch", motion.rng.uniform(8, 14))
    motion.hop_mm = motion.hop_mm + 60 * motion.pulses(pace / 2)


def _arm_up(motion: AngleCurves, side: str, amount: NDArray[np.float64] | float) -> None:
    """Raise the upper arm to the side with the forearm up."""
    motion.add(f"{side}_shoulder_abduction", 85 * amount)
    motion.add(f"{side}_shoulder_twist", 70 * amount)
    motion.add(f"{side}_elbow_flexion", 50 * amount)


def wave(motion: AngleCurves) -> None:
    """Waving with one raised arm, or with both."""
    sides = ("left", "right") if motion.rng.random() < 0.3 else (motion.side(),)
    for side in sides:
        swing = np.sin(motion.cycle(motion.rng.uniform(0.6, 1.0)))
        _arm_up(motion, side, np.clip(motion.targets(0.75, 1.25, 2.5), 0, 1.2))
        motion.add(f"{side}_elbow_flexion", 22 * swing)
        motion.add(f"{side}_shoulder_abduction", 8 * swing)


def talk(motion: AngleCurves) -> None:
    """Standing and speaking with the hands; the weight shifts."""
    for side in ("left", "right"):
        active = motion.targets(0, 1, 2.0)
        motion.add(f"{side}_elbow_flexion", 75 * active)
        motion.add(f"{side}_shoulder_flexion", motion.targets(-5, 35, 1.2) * active)
        motion.add(f"{side}_shoulder_twist", motion.targets(-40, 25, 1.0) * active)
        motion.add(f"{side}_shoulder_abduction", motion.targets(0, 25, 1.5) * active)
    motion.add("pelvis_roll", motion.targets(-6, 6, 2.5))
    motion.add("head_turn", motion.targets(-35, 35, 1.5))


def _crouch(motion: AngleCurves, depth: NDArray[np.float64], abduction: float) -> None:
    """Bend hips and knees together so that the feet stay under the body."""
    for side in ("left", "right"):
        motion.add(f"{side}_hip_flexion", 88 * depth)
        motion.add(f"{side}_knee_flexion", 105 * depth)
        motion.add(f"{side}_hip_abduction", abduction * depth)


def squat(motion: AngleCurves) -> None:
    """Knee bends with the arms stretched forward."""
    depth = motion.pulses(motion.rng.uniform(2.2, 3.2)) * motion.rng.uniform(0.7, 1.0)
    _crouch(motion, depth, 14)
    motion.add("pelvis_pitch", 30 * depth)
    for side in ("left", "right"):
        motion.add(f"{side}_shoulder_flexion", 80 * depth)
        motion.add(f"{side}_elbow_flexion", -12 * depth)


def sit(motion: AngleCurves) -> None:
    """Sitting with moving hands; some sit down first."""
    settled = 1.0 / (1.0 + np.exp(-4 * (motion.time_s - motion.rng.uniform(-1.5, 1.5))))
    for side in ("left", "right"):
        motion.add(f"{side}_hip_flexion", motion.rng.uniform(76, 88) * settled)
        motion.add(f"{side}_knee_flexion", motion.targets(62, 92, 4.0) * settled)
        motion.add(f"{side}_hip_abduction", motion.targets(2, 16, 4.0) * settled)
        motion.add(f"{side}_shoulder_flexion", motion.targets(5, 40, 2.0) * settled)
        motion.add(f"{side}_shoulder_twist", motion.targets(-45, 10, 2.0) * settled)
        motion.add(f"{side}_elbow_flexion", motion.targets(20, 90, 2.0) * settled)
    motion.add("pelvis_pitch", 30 * settled * np.exp(-motion.time_s) + 4)
    motion.add("spine_bend", motion.targets(0, 25, 3.0))
    motion.add("head_turn", motion.targets(-30, 30, 2.0))


def reach(motion: AngleCurves) -> None:
    """Reaching for things high, low, in front and to the side."""
    for side in ("left", "right"):
        active = np.clip(motion.targets(-0.6, 1.3, 1.8), 0, 1)
        motion.add(f"{side}_shoulder_flexion", motion.targets(30, 150, 1.8) * active)
        motion.add(f"{side}_shoulder_abduction", motion.targets(0, 45, 1.8) * active)
        motion.add(f"{side}_elbow_flexion", motion.targets(-10, 25, 1.8) * active)
    motion.add("spine_twist", motion.targets(-25, 25, 1.8))
    motion.add("spine_side", motion.targets(-12, 12, 1.8))
    motion.add("spine_bend", motion.targets(-8, 25, 1.8))
    _crouch(motion, np.clip(motion.targets(-0.3, 0.35, 2.5), 0, 1), 4)


def bend(motion: AngleCurves) -> None:
    """Bending down to the floor and lifting something."""
    depth = motion.pulses(motion.rng.uniform(2.8, 4.0))
    motion.add("pelvis_pitch", 42 * depth)
    motion.add("spine_bend", 42 * depth)
    _crouch(motion, motion.rng.uniform(0.25, 0.6) * depth, 8)
    for side in ("left", "right"):
        motion.add(f"{side}_hip_flexion", 30 * depth)
        motion.add(f"{side}_shoulder_flexion", 70 * depth + motion.targets(0, 40, 2.0))
        motion.add(f"{side}_elbow_flexion", 45 * (1 - depth))


def box(motion: AngleCurves) -> None:
    """Punching, one fist after the other, on bent knees."""
    period = motion.rng.uniform(0.9, 1.3)
    side = motion.side()
    for arm, shift in (("left", 0.0), ("right", 0.5)):
        punch = motion.pulses(period, shift) ** 3
        motion.add(f"{arm}_shoulder_flexion", 30 + 52 * punch)
        motion.add(f"{arm}_elbow_flexion", 95 * (1 - punch) - 12 * punch)
        motion.add(f"{arm}_shoulder_twist", -15)
        motion.add("spine_twist", (-22 if arm == "left" else 22) * punch)
    motion.add(f"{side}_hip_flexion", 22)
    for leg in ("left", "right"):
        motion.add(f"{leg}_knee_flexion", 22)
        motion.add(f"{leg}_hip_abduction", 5)
    _crouch(motion, 0.1 * motion.pulses(period / 2), 0)
    motion.heading_deg = motion.heading_deg + motion.targets(-60, 60, 2.5)


def dance(motion: AngleCurves) -> None:
    """Stepping, turning and swinging the arms to a beat."""
    beat = motion.rng.uniform(0.9, 1.2)
    phase = motion.cycle(2 * beat)
    for side, shift in (("left", 0.0), ("right", np.pi)):
        step = np.clip(np.sin(phase + shift), 0, None) ** 2
        motion.add(f"{side}_hip_flexion", 38 * step)
        motion.add(f"{side}_knee_flexion", 62 * step)
        motion.add(f"{side}_hip_abduction", 16 * step)
        _arm_up(motion, side, np.clip(motion.targets(-0.2, 1.2, 2.0), 0, 1))
        motion.add(f"{side}_shoulder_flexion", 25 * np.sin(phase + shift))
        motion.add(f"{side}_elbow_flexion", 25 + 25 * np.sin(2 * phase + shift))
    motion.add("pelvis_roll", 8 * np.sin(phase))
    motion.add("spine_side", -9 * np.sin(phase))
    motion.add("spine_twist", motion.targets(-20, 20, beat))
    _crouch(motion, 0.12 * motion.pulses(beat), 4)
    motion.heading_deg = motion.heading_deg + motion.targets(-240, 240, 3.5)


ACTIONS: dict[str, Callable[[AngleCurves], None]] = {
    action.__name__: action
    for action in (walk, run, wave, talk, squat, sit, reach, bend, box, dance)
}
"""All actions by name."""
