"""The trainings, exports and views whose bits are recorded; they vary most fields there are."""

from __future__ import annotations

from typing import Any

from synrep.baselines.config import KudoConfig, RepNetConfig, SupervisedConfig
from synrep.baselines.kudo import KudoTraining
from synrep.baselines.repnet import RepNetTraining
from synrep.baselines.supervised import SupervisedTraining

SMALL: dict[str, Any] = {
    "iterations": 24,
    "reports": 3,
    "batch_size": 32,
    "generator.width": 24,
    "reprojection_network.width": 20,
    "critic.branch_width": 16,
    "evaluation.views": 200,
    "guard.collapse_after": 1000,
}
PLAIN: dict[str, dict[str, Any]] = {
    "default-tanh": {},
    "tanh-scaled": {"seed": 5, "kcs.weighting": {"family": "tanh", "scale": 0.7, "power": 2.0}},
    "spectral-separate": {
        "seed": 1,
        "critic.lipschitz": "spectral_norm",
        "reprojection": "separate",
    },
    "perspective": {
        "seed": 2,
        "generator.lift": "perspective",
        "generator.distance": 6.0,
        "generator.batch_norm": False,
        "kcs.weighting": {"family": "band", "reach": 2},
    },
    "dropout-noise-ema": {
        "seed": 3,
        "generator.dropout": 0.3,
        "data.noise_px": 5.0,
        "data.noise_seed": 7,
        "optim.ema": 0.9,
        "optim.decay": "linear",
        "kcs.weighting": {"family": "exponential", "rate": 0.4},
    },
    "unpaired-upper-rescale": {
        "seed": 4,
        "data.unpaired_split": True,
        "kcs.entries": "upper",
        "kcs.rescale": True,
        "kcs.weighting": {"family": "gaussian", "sigma": 1.5},
    },
    "clipping-without-reprojection": {
        "seed": 6,
        "critic.lipschitz": "weight_clipping",
        "reprojection": "none",
        "critic.head": "linear",
        "optim.beta1": 0.5,
        "kcs.weighting": {"family": "uniform"},
    },
    "cosine-features-xyz": {
        "seed": 7,
        "kcs.cosine": True,
        "critic.gp_inputs": "pose+features",
        "loss.angle_norm": "xyz",
        "data.pair_real": False,
        "kcs.weighting": {"family": "power", "exponent": 1.3},
    },
    "free-floor-steps": {
        "seed": 8,
        "critic.steps": 2,
        "optim.clip_grad_norm": 0.01,
        "optim.decay": "exponential",
        "loss.lambda_reprojection": 0.5,
        "kcs.floor": 0.2,
        "kcs.diagonal": 2.0,
        "kcs.weighting": {"family": "free", "weights": [1.0, 0.5, 0.25, 0.1, 0.0, 0.3]},
    },
    "orthographic-16-bones": {
        "seed": 9,
        "data.joints": 16,
        "data.input_2d": "orthographic",
        "data.scale_ref": "radius_3d",
        "generator.blocks": 1,
        "generator.init": "kaiming",
        "evaluation.scale": "bone_length",
        "evaluation.alignment": "rigid",
        "kcs.weighting": {"family": "linear", "reach": 4.0},
        "critic.lipschitz": "none",
    },
    "fro-stride-nmpjpe": {
        "seed": 10,
        "data.scale_ref": "xy_fro",
        "data.train_stride": 5,
        "data.test_stride": 5,
        "data.cameras": 2,
        "data.camera_seed": 3,
        "generator.init": "normal",
        "generator.output_gain": 1.0,
        "evaluation.scale": "nmpjpe",
        "reprojection_network.blocks": 2,
    },
    "constant-scale-detected-name": {
        "seed": 11,
        "data.noise_px": 2.0,
        "data.real_2d": "detected",
        "evaluation.scale": "constant",
    },
    "store-two-splits": {"seed": 12, "data.poses": "two-splits"},
    "store-keypoints": {"seed": 13, "data.poses": "keypoints", "data.real_2d": "detected"},
    "float64": {"seed": 14},
    "diverges": {"seed": 15, "optim.lr_generator": 1e12, "optim.lr_discriminator": 1e12},
}
EXPORTED = ("default-tanh", "perspective", "dropout-noise-ema", "fro-stride-nmpjpe")
EVALUATED = ("default-tanh", "perspective", "orthographic-16-bones", "store-two-splits")
FUSED: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "defaults": (
        {},
        [
            {"generator.dropout": 0.2},
            {
                "seed": 4,
                "loss.lambda_angle": 3.0,
                "critic.gp_weight": 3.0,
                "reports": 6,
                "generator.slope": 0.2,
                "generator.init": "kaiming",
                "kcs.weighting": {"family": "band", "reach": 2},
                "optim.lr_generator": 1e-3,
            },
            {
                "seed": 9,
                "iterations": 20,
                "optim.decay": "linear",
                "optim.ema": 0.9,
                "optim.clip_grad_norm": 0.01,
                "optim.lr_discriminator": 1e-3,
                "loss.lambda_reprojection": 0.5,
                "generator.dropout": 0.5,
                "generator.slope": 0.0,
                "kcs.diagonal": 2.0,
            },
            {"seed": 3, "optim.lr_generator": 1e12, "optim.lr_discriminator": 1e12},
        ],
    ),
    "spectral-separate-steps": (
        {"critic.lipschitz": "spectral_norm", "reprojection": "separate", "critic.steps": 2},
        [
            {"seed": 1, "optim.lr_generator": 3e-4},
            {"seed": 2, "optim.lr_reprojection": 1e-3, "kcs.weighting": {"family": "uniform"}},
        ],
    ),
    "perspective-cosine": (
        {"generator.lift": "perspective", "kcs.cosine": True, "generator.batch_norm": False},
        [
            {"seed": 1, "generator.distance": 6.0},
            {"seed": 2, "kcs.weighting": {"family": "gaussian", "sigma": 1.0}},
        ],
    ),
    "clipping-unpaired": (
        {
            "critic.lipschitz": "weight_clipping",
            "reprojection": "none",
            "data.unpaired_split": True,
            "kcs.entries": "upper",
            "data.noise_px": 3.0,
        },
        [
            {"seed": 1, "critic.clip": 0.02, "optim.lr_discriminator": 3e-4},
            {"seed": 2, "kcs.rescale": True, "kcs.floor": 0.3},
        ],
    ),
    "penalised-features": (
        {"critic.gp_inputs": "pose+features", "loss.angle_norm": "xyz", "critic.head": "linear"},
        [{"seed": 1}, {"seed": 2, "kcs.weighting": {"family": "exponential", "rate": 1.0}}],
    ),
}
SHORT = {"iterations": 24, "reports": 3, "batch_size": 32, "evaluation.views": 200}
BASELINES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "repnet": (RepNetTraining, RepNetConfig, {"width": 24, "pose_width": 16, "kcs_width": 16}),
    "repnet-camera": (
        RepNetTraining,
        RepNetConfig,
        {
            "seed": 2,
            "width": 24,
            "pose_width": 16,
            "kcs_width": 16,
            "frame": "camera",
            "data.noise_px": 3.0,
        },
    ),
    "kudo": (KudoTraining, KudoConfig, {"width": 24}),
    "kudo-capped": (
        KudoTraining,
        KudoConfig,
        {"seed": 2, "width": 24, "accuracy_cap": 0.51},
    ),
    "supervised": (SupervisedTraining, SupervisedConfig, {"generator.width": 24}),
    "supervised-perspective": (
        SupervisedTraining,
        SupervisedConfig,
        {
            "seed": 2,
            "generator.width": 24,
            "generator.lift": "perspective",
            "data.joints": 16,
            "generator.dropout": 0.2,
        },
    ),
}
VIEWS: dict[str, dict[str, Any]] = {
    "default": {},
    "noise": {"noise_px": 5.0, "noise_seed": 7},
    "orthographic": {"input_2d": "orthographic", "scale_ref": "radius_3d"},
    "sixteen": {"joints": 16, "scale_ref": "xy_fro"},
    "cameras": {"cameras": 2, "camera_seed": 3, "train_stride": 5, "test_stride": 7},
    "keypoints": {"poses": "keypoints"},
}
