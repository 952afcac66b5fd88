"""The detectors' layers: MobileNetV2 with a light neck, or Ultralytics' YOLO11n."""

from typing import Any

from simgen.train.config import TrainConfig

# Layers of each model that are its backbone; what follows but the last is the neck.
BACKBONE_LAYERS = {"mobilenet": 1, "yolo11n": 11}
# Of the backbone, how many go before its first map of stride 16; MobileNetV2 is one layer of many.
_EARLY = {"mobilenet": 7, "yolo11n": 5}


def make_model(config: TrainConfig, num_classes: int) -> Any:
    """Return an Ultralytics model with random weights; `import_ultralytics` comes first."""
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel

    segments = config.task == "segment"
    kind = SegmentationModel if segments else DetectionModel
    if config.model == "yolo11n":
        name = "yolo11n-seg.yaml" if segments else "yolo11n.yaml"
        return kind(name, ch=3, nc=num_classes, verbose=False)
    return kind(_description(config, num_classes), ch=3, verbose=False)


def frozen_for_good(model: Any, config: TrainConfig) -> list[Any]:
    """Return the modules of an Ultralytics model that never train with this recipe."""
    if config.freeze == "none":
        return []
    if config.freeze == "early":
        inside = model.model[0].m if config.model == "mobilenet" else model.model
        return list(inside[: _EARLY[config.model]])
    return list(model.model[: BACKBONE_LAYERS[config.model]])


def fold_norms(module: Any) -> None:
    """Fold every BatchNorm into the convolution before it: the same function, at half the cost."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for child in module.children():
        fold_norms(child)
    if not isinstance(module, nn.Sequential):
        return
    for i in range(len(module) - 1):
        if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
            module[i] = fuse_conv_bn_eval(module[i], module[i + 1])
            module[i + 1] = nn.Identity()
    module.requires_grad_(False)


def _description(config: TrainConfig, num_classes: int) -> dict[str, Any]:
    """Return what Ultralytics builds from; a layer is [from, repeats, module, arguments]."""
    width = config.width
    backbone = [[-1, 1, "TorchVision", [320, "mobilenet_v2", None, True, 2, True]]]
    up = ["nn.Upsample", [None, 2, "nearest"]]
    last: list[Any] = ["Detect", ["nc"]]
    if config.task == "segment":
        last = ["Segment", ["nc", 32, width]]
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
    if config.levels == "4-16":
        head += [
            [-1, 1, *up],
            [1, 1, "Conv", [width // 2, 1, 1]],
            [[-1, 14], 1, "Concat", [1]],
            [-1, 1, "C3k2", [width // 2, False]],  # 17
            [[17, 13, 9], 1, *last],
        ]
    else:
        head.append([[13, 9, 5], 1, *last])
    return {"nc": num_classes, "backbone": backbone, "head": head}
