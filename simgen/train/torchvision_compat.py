"""Import torchvision beside a torch without the matching compiled operators.

A torchvision wheel built for CUDA does not import beside a CPU-only torch, although its
models are plain Python. Its operator `nms` is then declared here, on OpenCV.
"""

import importlib
import sys
import types
from typing import Any

import cv2
import numpy as np

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> types.ModuleType:
    """Return torchvision, with a working `torchvision.ops.nms` in either case.

    Calling it again is cheap. Call it before ultralytics is imported.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    # What a failed import leaves behind would be taken for the finished package.
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _declare_operators()
    torchvision = importlib.import_module("torchvision")
    # torchvision.ops.nms refuses to run unless its compiled library was found; ours stands in.
    boxes = importlib.import_module("torchvision.ops.boxes")
    boxes._assert_has_ops = lambda: None  # type: ignore[attr-defined]
    return torchvision


def nms_opencv(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Return the boxes that greedy non-maximum suppression keeps, by falling score.

    Args:
        boxes: Shape (N, 4), x1, y1, x2, y2.
        scores: Shape (N,), at least 0.
        iou_threshold: A box is dropped if it overlaps a kept one by more than this.

    Returns:
        Indices, shape (K,), int64.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    corners = np.asarray(boxes, np.float64)
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    # OpenCV ignores scores of 0 and leaves ties open: ranks have neither, the first of equals wins.
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order), 0, -1)
    kept = cv2.dnn.NMSBoxes(sizes.tolist(), ranks.tolist(), 0.0, float(iou_threshold))
    return np.asarray(kept, np.int64).reshape(-1)


def _declare_operators() -> None:
    import torch

    def nms(dets: Any, scores: Any, iou_threshold: float) -> Any:
        kept = nms_opencv(dets.numpy(force=True), scores.numpy(force=True), iou_threshold)
        return torch.from_numpy(kept).to(dets.device)

    for name in ("nms", "qnms"):
        try:
            torch.library.define(f"torchvision::{name}", _SCHEMA)
        except RuntimeError:
            continue  # Declared before.
        if name == "nms":
            torch.library.impl("torchvision::nms", "default", nms)
