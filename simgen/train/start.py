"""What a training starts from: ImageNet's backbone, chance, or a file that is read weights-only.

A checkpoint of unknown origin is data, never code: everything here is loaded with
`torch.load(weights_only=True)`, and what does not fit is refused in one message.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simgen.errors import AssetError, ConfigError
from simgen.train.config import TrainConfig
from simgen.train.weights import SHA256, mobilenet_weights

IMAGENET, NONE = "imagenet", "none"


def start_sha256(config: TrainConfig) -> str:
    """Return the hash of the initial weights, which every arm shares; empty from scratch.

    Raises:
        ConfigError: They do not exist, or belong to another model.
    """
    if config.weights == NONE:
        return ""
    if config.weights == IMAGENET:
        if config.model != "mobilenet":
            raise ConfigError(
                f"train.weights: imagenet is MobileNetV2's, not {config.model}'s; give weights of"
                f" its own, as {config.model}.pt, or none"
            )
        return SHA256
    try:
        return hashlib.sha256(Path(config.weights).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(
            f"train.weights: {config.weights} cannot be read ({error.strerror}); give imagenet,"
            " none, or a file that is here: other weights are not fetched"
        ) from None


def put_start(model: Any, config: TrainConfig, classes: tuple[str, ...], layers: int) -> None:
    """Put the initial weights into a model.

    Args:
        model: Ultralytics' model.
        config: Whose `weights` say which.
        classes: What is to be detected.
        layers: Layers of the backbone.

    Raises:
        AssetError: The file is no checkpoint, or another model's.
        ConfigError: See `start_sha256`.
    """
    start_sha256(config)
    if config.weights == NONE:
        return
    if config.weights == IMAGENET:
        _put_backbone(model, read_weights(mobilenet_weights()))
        return
    file = Path(config.weights)
    saved = read_weights(file)
    try:
        if "head" in saved:
            _put_run(model, saved, config, classes, layers)
        elif config.model == "mobilenet":
            _put_backbone(model, saved)
        else:
            model.load(saved, verbose=False)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise AssetError(
            f"train.weights: {file} does not fit model={config.model} task={config.task}"
            f" levels={config.levels} width={config.width} ({reason}); give weights of that model"
        ) from None


def read_weights(file: Path) -> Mapping[str, Any]:
    """Return a checkpoint's content, loaded weights-only.

    Raises:
        AssetError: It is broken, or holds more than weights.
    """
    import torch

    try:
        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:
            # Ultralytics' own files hold its model classes: its list of known ones, no others.
            from ultralytics.nn.tasks import torch_safe_load

            if file.suffix != ".pt":
                raise
            saved = torch_safe_load(str(file), safe_only=True)[0]
    except Exception as error:  # torch and pickle raise many kinds for foreign files
        raise AssetError(
            f"{file}: is no checkpoint of weights alone ({type(error).__name__}) and will not be"
            " loaded; give a file of tensors"
        ) from None
    if not isinstance(saved, Mapping):
        raise AssetError(f"{file}: holds no weights by name; give a state dict or a run's file")
    return saved


def _put_backbone(model: Any, state: Mapping[str, Any]) -> None:
    held = model.model[0].m.state_dict()
    model.model[0].m.load_state_dict({k: state[f"features.{k}"] for k in held})


def _put_run(
    model: Any, saved: Mapping[str, Any], config: TrainConfig, classes: tuple[str, ...], layers: int
) -> None:
    if tuple(saved["classes"]) != classes:
        raise ValueError(f"it detects {saved['classes']}, not {list(classes)}")
    if saved.get("folded"):
        raise ValueError("its frozen backbone was neither ImageNet's nor trained")
    backbone, kept = model.model[:layers], saved.get("backbone") or {}
    if not kept.keys() >= backbone.state_dict().keys():
        # What a run did not train of ImageNet's it does not keep.
        _put_backbone(model, read_weights(mobilenet_weights()))
    backbone.load_state_dict({**backbone.state_dict(), **kept})
    model.model[layers:].load_state_dict(saved["head"])
