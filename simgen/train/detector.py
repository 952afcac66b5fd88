"""The detector: a frozen ImageNet backbone, a light top-down neck, Ultralytics' Detect head."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import DatasetError
from simgen.train.crops import normalised
from simgen.train.ultralytics_env import import_ultralytics

# Smallest score that is kept, most boxes an image, and overlap at which the weaker box goes.
_MIN_SCORE = 0.001
_MAX_BOXES = 100
_NMS_IOU = 0.5


class Detector:
    """A detector on a device.

    Attributes:
        classes: Names, in the order of the head's outputs.
        model: Ultralytics' model; `model.model[0]` is the frozen backbone.
    """

    def __init__(
        self, classes: Sequence[str], *, levels: str, width: int, weights: Path, seed: int
    ) -> None:
        """Build it with a backbone from `weights` and a head drawn from `seed`.

        Args:
            classes: Names of what to detect.
            levels: Strides of the finest and coarsest map, `8-32` or `4-16`.
            width: Channels of the neck.
            weights: torchvision's MobileNetV2 weights.
            seed: Seed of the head's initial values.

        Raises:
            ConfigError: The extra `yolo` is not installed.
        """
        import_ultralytics()
        import torch
        from ultralytics.nn.tasks import DetectionModel

        self.classes = tuple(classes)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = DetectionModel(_architecture(levels, width, len(classes)), ch=3, verbose=False)
        backbone = model.model[0]
        state = torch.load(weights, map_location="cpu", weights_only=True)
        held = backbone.m.state_dict()
        backbone.m.load_state_dict({k: state[f"features.{k}"] for k in held})
        backbone.eval().requires_grad_(False)
        _fold_norms(backbone)
        # Twice as quick as the default layout on a CPU, the depthwise layers above all.
        self.model: Any = model.to(self.device, memory_format=torch.channels_last)

    def training(self, active: bool) -> None:
        """Switch the neck and head between training and prediction; the backbone stays frozen."""
        self.model.train(active)
        self.model.model[0].eval()

    def head_state(self) -> dict[str, Any]:
        """Return a copy of all that is trained: neck and head with their statistics."""
        state = self.model.model[1:].state_dict()
        return {k: v.detach().cpu().clone() for k, v in state.items()}

    def load_head(self, state: dict[str, Any]) -> None:
        """Put a `head_state` back."""
        self.model.model[1:].load_state_dict(state)

    def tensor(self, pixels: np.ndarray) -> Any:
        """Return normalised images, shape (B, H, W, 3), as the model's input."""
        import torch

        # (B, H, W, 3) seen as (B, 3, H, W) is channels-last already.
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)

    def predict(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Detect in one whole image at its native scale.

        Args:
            pixels: uint8, shape (H, W) or (H, W, 3).

        Returns:
            Boxes, float64, shape (N, 4), COCO x, y, width, height, clipped to the image;
            scores, float64, shape (N,), falling; class indices, int64, shape (N,).
        """
        import torch
        from ultralytics.utils.nms import non_max_suppression

        height, width = pixels.shape[:2]
        padded = normalised(pixels, -(-height // 32) * 32, -(-width // 32) * 32)
        self.training(False)
        with torch.no_grad():
            raw = self.model(self.tensor(padded[None]))
            # The time limit would cut results short on a busy machine, so there is none.
            found = non_max_suppression(
                raw,
                conf_thres=_MIN_SCORE,
                iou_thres=_NMS_IOU,
                multi_label=True,
                max_det=_MAX_BOXES,
                nc=len(self.classes),
                max_time_img=1e9,
            )[0]
        rows = found.numpy(force=True).astype(np.float64)
        rows[:, [0, 2]] = rows[:, [0, 2]].clip(0, width)
        rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, height)
        rows = rows[(rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])]
        boxes = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
        return boxes, rows[:, 4], rows[:, 5].astype(np.int64)

    def save(self, file: Path) -> None:
        """Write the trained part; the backbone is known by its hash."""
        import torch

        torch.save({"classes": list(self.classes), "head": self.head_state()}, file)

    def load(self, file: Path) -> None:
        """Read what `save` wrote.

        Raises:
            DatasetError: The file is missing, broken, or of another detector.
        """
        import torch

        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
            if tuple(saved["classes"]) != self.classes:
                raise DatasetError(f"{file}: detects {saved['classes']}, not {list(self.classes)}")
            self.load_head(saved["head"])
        except DatasetError:
            raise
        except Exception as error:  # torch raises many kinds for a broken file
            raise DatasetError(
                f"{file}: cannot be loaded ({type(error).__name__}); train again"
            ) from None


def _architecture(levels: str, width: int, num_classes: int) -> dict[str, Any]:
    """Return Ultralytics' description; a layer is [from, repeats, module, arguments]."""
    backbone = [[-1, 1, "TorchVision", [320, "mobilenet_v2", None, True, 2, True]]]
    up = ["nn.Upsample", [None, 2, "nearest"]]
    head: list[list[Any]] = [
        [0, 1, "Index", [24, 4]],  # 1: stride 4
        [0, 1, "Index", [32, 7]],  # 2: stride 8
        [0, 1, "Index", [96, 14]],  # 3: stride 16
        [0, 1, "Index", [320, 18]],  # 4: stride 32
        [4, 1, "Conv", [width, 1, 1]],  # 5
        [-1, 1, *up],
        [3, 1, "Conv", [width, 1, 1]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 1, "C3k2", [width, False]],  # 9
        [-1, 1, *up],
        [2, 1, "Conv", [width, 1, 1]],
        [[-1, 10], 1, "Concat", [1]],
        [-1, 1, "C3k2", [width, False]],  # 13
    ]
    if levels == "4-16":
        head += [
            [-1, 1, *up],
            [1, 1, "Conv", [width // 2, 1, 1]],
            [[-1, 14], 1, "Concat", [1]],
            [-1, 1, "C3k2", [width // 2, False]],  # 17
            [[17, 13, 9], 1, "Detect", ["nc"]],
        ]
    else:
        head.append([[13, 9, 5], 1, "Detect", ["nc"]])
    return {"nc": num_classes, "backbone": backbone, "head": head}


def _fold_norms(module: Any) -> None:
    """Fold every BatchNorm into the convolution before it: the same function, at half the cost."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for child in module.children():
        _fold_norms(child)
    if not isinstance(module, nn.Sequential):
        return
    for i in range(len(module) - 1):
        if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
            module[i] = fuse_conv_bn_eval(module[i], module[i + 1])
            module[i + 1] = nn.Identity()
    module.requires_grad_(False)
