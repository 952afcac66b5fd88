"""The detector: a backbone, a neck and Ultralytics' head, in training and in use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import AssetError, DatasetError
from simgen.train.architecture import BACKBONE_LAYERS, fold_norms, frozen_for_good, make_model
from simgen.train.config import Frozen, TrainConfig
from simgen.train.crops import MEAN, STD, normalised
from simgen.train.start import IMAGENET, put_start, read_weights
from simgen.train.ultralytics_env import import_ultralytics

# Smallest score that is kept, most boxes an image, and overlap at which the weaker box goes.
_MIN_SCORE = 0.001
_MAX_BOXES = 100
_NMS_IOU = 0.5


class Detector:
    """A detector on a device.

    Attributes:
        classes: Names, in the order of the head's outputs.
        model: Ultralytics' model.
        trained: The layers that may train; those before them never do.
    """

    def __init__(
        self, config: TrainConfig, classes: Sequence[str], seed: int, *, start: bool = True
    ) -> None:
        """Build it with the initial weights of `config.weights`, the rest drawn from `seed`.

        Args:
            config: Model, task, weights, and what is frozen.
            classes: Names of what to detect.
            seed: Seed of the initial values.
            start: Whether to read a weights file; not if the weights of a run follow.

        Raises:
            ConfigError: The extra `yolo` is not installed, or the weights do not exist.
            AssetError: The weights do not fit.
        """
        import_ultralytics()
        import torch

        self.classes = tuple(classes)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._layers = BACKBONE_LAYERS[config.model]
        self._task, self._scaled = config.task, config.model == "yolo11n"
        self._short = config.precision == "bfloat16"
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = make_model(config, len(classes))
        if start or config.weights == IMAGENET:
            put_start(model, config, self.classes, self._layers)
        self._never = frozen_for_good(model, config)
        # Folded, what never trains costs half as much.
        self._folded = bool(self._never) and config.model == "mobilenet"
        for module in self._never:
            module.eval().requires_grad_(False)
        if self._folded:
            fold_norms(torch.nn.Sequential(*self._never))
        # What is ImageNet's, known by its hash, need not be kept.
        self._known = self._folded and config.weights == IMAGENET
        # Twice as quick as the default layout on a CPU, the depthwise layers above all.
        self.model: Any = model.to(self.device, memory_format=torch.channels_last)
        whole = config.freeze in ("none", "early")
        self.trained: Any = self.model.model if whole else self.model.model[self._layers :]
        self._frozen = 0
        self.freeze(config.freeze)

    def freeze(self, what: Frozen) -> None:
        """Choose what does not train, from now on; BatchNorm keeps its statistics there."""
        layers = self.model.model
        whole = {"backbone": self._layers, "neck": len(layers) - 1}
        self._frozen = whole.get(what, 0)
        for number, layer in enumerate(layers):
            if layer in self.trained:
                layer.requires_grad_(number >= self._frozen)
        for module in self._never:
            module.requires_grad_(False)
        # Fixed by Ultralytics: the weights that turn a distribution into a distance.
        layers[-1].dfl.requires_grad_(False)

    def training(self, active: bool) -> None:
        """Switch what trains between training and prediction; the rest stays as it is."""
        self.model.train(active)
        for module in (*self._never, *self.model.model[: self._frozen]):
            module.eval()

    def backbone_parameters(self) -> set[int]:
        """Return the ids of the backbone's parameters."""
        return {id(p) for p in self.model.model[: self._layers].parameters()}

    def state(self) -> dict[str, Any]:
        """Return a copy of all that may train, with its statistics."""
        state = self.trained.state_dict()
        return {k: v.detach().cpu().clone() for k, v in state.items()}

    def put(self, state: dict[str, Any]) -> None:
        """Put a `state` back."""
        self.trained.load_state_dict(state)

    def tensor(self, pixels: np.ndarray) -> Any:
        """Return normalised images, shape (B, H, W, 3), as the model's input."""
        import torch

        if self._scaled:
            # This model was made for levels in [0, 1].
            pixels = (pixels * STD + MEAN) / np.float32(255)
        # (B, H, W, 3) seen as (B, 3, H, W) is channels-last already.
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)

    def forward(self, pixels: np.ndarray) -> Any:
        """Return what the loss wants of normalised images, shape (B, H, W, 3): float32."""
        import torch

        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._short):
            return _in_full(self.model(self.tensor(pixels)))

    def predict(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Detect in one whole image at its native scale.

        Args:
            pixels: uint8, shape (H, W) or (H, W, 3).

        Returns:
            Boxes, float64, shape (N, 4), COCO x, y, width, height, clipped to the image;
            scores, float64, shape (N,), falling; class indices, int64, shape (N,).
        """
        boxes, scores, kinds, _ = self._predict(pixels, masks=False)
        return boxes, scores, kinds

    def predict_masks(
        self, pixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Segment one whole image; as `predict`, and masks, bool, shape (N, H, W).

        Raises:
            DatasetError: It was trained to detect boxes alone.
        """
        if self._task != "segment":
            raise DatasetError("this run was trained with train.task=detect and has no masks")
        return self._predict(pixels, masks=True)

    def _predict(
        self, pixels: np.ndarray, *, masks: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        import torch
        from ultralytics.utils.nms import non_max_suppression
        from ultralytics.utils.ops import process_mask

        height, width = pixels.shape[:2]
        size = (-(-height // 32) * 32, -(-width // 32) * 32)
        self.training(False)
        with torch.no_grad():
            raw = self.model(self.tensor(normalised(pixels, *size)[None]))
            raw, protos = raw[0] if self._task == "segment" else (raw, [None])
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
            drawn = np.zeros((len(found), height, width), bool)
            if masks:
                made = process_mask(protos[0], found[:, 6:], found[:, :4], size, upsample=True)
                drawn = made.numpy(force=True)[:, :height, :width].astype(bool)
        rows = found[:, :6].numpy(force=True).astype(np.float64)
        rows[:, [0, 2]] = rows[:, [0, 2]].clip(0, width)
        rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, height)
        kept = (rows[:, 2] > rows[:, 0]) & (rows[:, 3] > rows[:, 1])
        rows, drawn = rows[kept], drawn[kept]
        boxes = np.concatenate([rows[:, :2], rows[:, 2:4] - rows[:, :2]], axis=1)
        return boxes, rows[:, 4], rows[:, 5].astype(np.int64), drawn

    def save(self, file: Path) -> None:
        """Write the weights; what is frozen of ImageNet's backbone is known by its hash."""
        import torch

        layers = self.model.model
        content: dict[str, Any] = {
            "classes": list(self.classes),
            "folded": self._folded and not self._known,
            "head": _copy(layers[self._layers :]),
            "backbone": self._kept_of_backbone() or None,
        }
        part = file.with_suffix(".part")
        torch.save(content, part)
        part.replace(file)

    def load(self, file: Path) -> None:
        """Read what `save` wrote.

        Raises:
            DatasetError: The file is missing, broken, or of another detector.
        """
        try:
            saved = read_weights(file)
            if tuple(saved["classes"]) != self.classes:
                raise DatasetError(f"{file}: detects {saved['classes']}, not {list(self.classes)}")
            self.model.model[self._layers :].load_state_dict(saved["head"])
            kept = saved.get("backbone") or {}
            if kept.keys() != self._kept_of_backbone().keys():
                raise KeyError("backbone")
            backbone = self.model.model[: self._layers]
            backbone.load_state_dict({**backbone.state_dict(), **kept})
        except (AssetError, RuntimeError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{file}: cannot be loaded ({type(error).__name__}); train again"
            ) from None

    def _kept_of_backbone(self) -> dict[str, Any]:
        """Return a copy of the backbone's values, less those that are ImageNet's and frozen."""
        layers = self.model.model[: self._layers]
        known: set[int] = set()
        if self._known:
            known = {v.data_ptr() for m in self._never for v in m.state_dict().values()}
        values = {k: v for k, v in layers.state_dict().items() if v.data_ptr() not in known}
        return {k: v.detach().cpu().clone() for k, v in values.items()}


def _in_full(predictions: Any) -> Any:
    """Return nested tensors as float32."""
    if isinstance(predictions, dict):
        return {k: _in_full(v) for k, v in predictions.items()}
    if isinstance(predictions, list | tuple):
        return type(predictions)(_in_full(v) for v in predictions)
    return predictions.float()


def _copy(layers: Any) -> dict[str, Any]:
    return {k: v.detach().cpu().clone() for k, v in layers.state_dict().items()}
