"""Formulas of the baselines: frames, cameras, projections, penalties, and who waits for whom."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from synrep.baselines.config import KudoConfig, RepNetConfig
from synrep.baselines.kudo import KudoGenerator, KudoTraining, project_rotated
from synrep.baselines.repnet import (
    RepNetCritic,
    RepNetGenerator,
    camera_loss,
    pose_penalty,
    scaled_rotation,
    to_body_frame,
)
from synrep.baselines.training import Block
from synrep.config import DataConfig
from synrep.datasets.views import load_views
from synrep.skeleton import HUMAN36M_16, HUMAN36M_17, Skeleton

angles = st.floats(-np.pi, np.pi)
CRITIC = RepNetConfig(pose_width=8, kcs_width=8)


def rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    """A rotation (3, 3) by three angles, in float64."""
    parts = []
    for axis, angle in enumerate((yaw, pitch, roll)):
        one, two = (index for index in range(3) if index != axis)
        part = np.eye(3)
        part[one, one] = part[two, two] = np.cos(angle)
        part[one, two], part[two, one] = -np.sin(angle), np.sin(angle)
        parts.append(part)
    return torch.from_numpy(parts[0] @ parts[1] @ parts[2])


def some_poses(count: int = 40) -> Tensor:
    """Poses (count, 17, 3) of the built-in motion, in float64."""
    return load_views(DataConfig(), "validation").evenly_spaced(count).poses.double()


@given(angles, angles, angles)
def test_body_frame_forgets_rotation_alone(yaw: float, pitch: float, roll: float) -> None:
    """A turned pose comes out the same; distances between joints stay; no pose is mirrored."""
    poses = some_poses(5)
    found = to_body_frame(poses, HUMAN36M_17)
    torch.testing.assert_close(
        to_body_frame(poses @ rotation(yaw, pitch, roll), HUMAN36M_17), found
    )
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(poses, poses))
    turned = torch.linalg.lstsq(poses, found).solution
    torch.testing.assert_close(torch.linalg.det(turned), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("skeleton", [HUMAN36M_17, HUMAN36M_16], ids=str)
def test_body_frame_faces_the_camera(skeleton: Skeleton) -> None:
    """The thorax is straight above the hip, left hip and shoulder to the right of the image."""
    poses = some_poses()[:, HUMAN36M_17.indices(*skeleton.joints)]
    found = to_body_frame(poses, skeleton)
    thorax = found[:, skeleton.index("Thorax")]
    assert (thorax[:, 1] < 0).all()
    torch.testing.assert_close(thorax[:, ::2], torch.zeros_like(thorax[:, ::2]))
    names = ("LHip", "LShoulder", "RHip", "RShoulder")
    left_hip, left, right_hip, right = found[:, skeleton.indices(*names)].unbind(1)
    across = left_hip + left - right_hip - right
    assert (across[:, 0] > 0).all()
    torch.testing.assert_close(across[:, 2], torch.zeros_like(across[:, 2]))


def test_a_person_without_extent_has_finite_coordinates() -> None:
    """If all joints coincide, the result contains no NaN."""
    assert not to_body_frame(torch.zeros(2, 17, 3), HUMAN36M_17).any()


@given(angles, angles, angles, st.floats(0.1, 10))
def test_two_rows_of_a_rotation_are_completed(
    yaw: float, pitch: float, roll: float, scale: float
) -> None:
    """The third row is restored with its sign and length, and the camera costs nothing."""
    whole = scale * rotation(yaw, pitch, roll)[None]
    torch.testing.assert_close(scaled_rotation(whole[:, :2]), whole)
    assert camera_loss(whole[:, :2]).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize(
    ("rows", "cost"),
    [
        ([[1.0, 0, 0], [0, 0, 0]], 2**0.5),
        ([[1.0, 0, 0], [1, 0, 0]], 2**0.5),
        ([[2.0, 0, 0], [0, 1, 0]], 0.6 * 2**0.5),
    ],
)
def test_other_cameras_cost(rows: list[list[float]], cost: float) -> None:
    """Rows of different lengths, or in one direction; worked out by hand."""
    assert camera_loss(torch.tensor([rows])).item() == pytest.approx(cost)


def test_lifted_poses_lie_where_the_camera_projects_them() -> None:
    """X and y of the lifted pose are the projection of the predicted pose, and sizes scale."""
    torch.manual_seed(0)
    generator = RepNetGenerator(RepNetConfig(width=16), 17)
    keypoints = torch.rand(6, 17, 2)
    poses, camera = generator(keypoints)
    lifted = generator.lift(keypoints)
    assert not poses[:, 0].any()
    torch.testing.assert_close(lifted[..., :2], poses @ camera.mT)
    third = scaled_rotation(camera)[:, 2]
    torch.testing.assert_close((third[:, None] * camera).sum(-1), torch.zeros(6, 2))
    torch.testing.assert_close(lifted[..., 2], (poses * third[:, None]).sum(-1))


@pytest.mark.parametrize("fake", ["other poses", "one point"])
def test_kcs_penalty_is_finite(fake: str) -> None:
    """Also where all joints lie in one point, and so are the gradients of all weights."""
    torch.manual_seed(0)
    critic = RepNetCritic(CRITIC, HUMAN36M_17)
    real = some_poses(6).float()
    made = real.flip(0) if fake == "other poses" else torch.zeros_like(real)
    penalty = pose_penalty(critic, real, made, torch.linspace(0, 1, 6)[:, None, None])
    weights = [weight for name, weight in critic.named_parameters() if "bias" not in name]
    assert torch.isfinite(penalty)
    gradients = torch.autograd.grad(penalty, weights)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert all(gradient.any() for gradient in gradients)


def test_kcs_penalty_matches_finite_differences() -> None:
    """The inner gradient norm, through the KCS, equals that of numerical differentiation."""
    torch.manual_seed(0)
    critic = RepNetCritic(CRITIC, HUMAN36M_17).double()
    pose = some_poses(1)
    squares = 0.0
    for position in range(pose.numel()):
        step = torch.zeros(pose.numel(), dtype=torch.float64)
        step[position] = 1e-6
        there, back = (critic(pose + sign * step.view_as(pose)).item() for sign in (1, -1))
        squares += ((there - back) / 2e-6) ** 2
    penalty = pose_penalty(critic, pose, torch.zeros_like(pose), torch.ones(1, 1, 1).double())
    assert penalty.item() == pytest.approx((squares**0.5 - 1) ** 2, rel=1e-4)


def test_the_critic_sees_more_than_the_kcs() -> None:
    """A mirrored pose has the same KCS, and another score."""
    torch.manual_seed(0)
    critic = RepNetCritic(CRITIC, HUMAN36M_17).double()
    poses = some_poses(3)
    mirrored = poses * torch.tensor([1.0, 1.0, -1.0])
    torch.testing.assert_close(critic.kcs(mirrored), critic.kcs(poses))
    assert (critic(mirrored) - critic(poses)).abs().min() > 1e-6


@given(angles)
def test_turned_poses_keep_height_and_distance(turn: float) -> None:
    """Two rotations 90 degrees apart together show x and depth; y is unchanged."""
    poses = some_poses(5)
    turns = torch.full((5,), turn, dtype=torch.float64)
    found, quarter = project_rotated(poses, turns), project_rotated(poses, turns + np.pi / 2)
    torch.testing.assert_close(found[..., 1], poses[..., 1])
    torch.testing.assert_close(
        found[..., 0].square() + quarter[..., 0].square(), poses[..., ::2].square().sum(-1)
    )


def test_turned_poses_are_seen_from_known_sides() -> None:
    """From the front x is unchanged, from behind it is inverted, from the side it is the depth."""
    poses = some_poses(3)
    turns = torch.tensor([0.0, np.pi, np.pi / 2], dtype=torch.float64)
    front, behind, side = project_rotated(poses, turns)
    torch.testing.assert_close(front, poses[0, :, :2])
    torch.testing.assert_close(behind[:, 0], -poses[1, :, 0])
    torch.testing.assert_close(side[:, 0], poses[2, :, 2])


def test_copied_x_and_y() -> None:
    """The lifted pose keeps the 2D pose, and its root has no depth."""
    torch.manual_seed(0)
    keypoints = torch.rand(4, 17, 2)
    lifted = KudoGenerator(KudoConfig(width=8), 17).lift(keypoints)
    assert torch.equal(lifted[..., :2], keypoints)
    assert not lifted[:, 0, 2].any()
    assert lifted[:, 1:, 2].any()


def kudo(cap: float, slope: float = 0.2) -> KudoTraining:
    """A training of eight updates."""
    content = {"iterations": 8, "reports": 8, "batch_size": 64, "width": 16}
    text = json.dumps(content | {"accuracy_cap": cap, "slope": slope, "evaluation": {"views": 50}})
    return KudoTraining(KudoConfig.model_validate_json(text), threads=1)


@pytest.mark.parametrize(
    ("real", "fake", "waits"),
    [(5.0, -5.0, "critic"), (-5.0, 5.0, "generator"), (5.0, 5.0, "")],
    ids=["always right", "always wrong", "half right"],
)
def test_the_side_that_is_ahead_waits(real: float, fake: float, waits: str) -> None:
    """A nearly perfect critic is not updated; nor is the generator if the critic is often wrong."""
    training = kudo(cap=0.9)
    networks = training.gan.networks

    class Fixed(torch.nn.Module):
        """The critic with its scores shifted, to set its accuracy."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = networks["critic"]

        def forward(self, poses: Tensor) -> Tensor:
            shift = torch.full((len(poses), 1), real)
            shift[len(poses) // 2 :] = fake
            return self.inner(poses) + shift

    before = {
        name: [weight.clone() for weight in network.parameters()]
        for name, network in networks.items()
    }
    networks["critic"] = Fixed()
    training.gan.iterate(0)
    for name, network in networks.items():
        moved = any(
            not torch.equal(weight, old)
            for weight, old in zip(network.parameters(), before[name], strict=True)
        )
        assert moved == (name != waits), name


def test_a_linear_output_is_linear_beyond_the_block() -> None:
    """Without the last activation, the output is the input plus the residual branch."""
    torch.manual_seed(0)
    block = Block(4, 0.3, linear_output=True)
    x = torch.randn(9, 4)
    wanted = x + block.second(block.first(x))
    assert (wanted < 0).any()
    assert torch.equal(block(x), wanted)
    closed = Block(4, 0.3)
    closed.load_state_dict(block.state_dict())
    torch.testing.assert_close(closed(x), torch.where(wanted < 0, 0.3 * wanted, wanted))
