"""A renderer of flat shapes: quick, deterministic, with labels that obey every convention.

Worker processes import it by name, as they import the real one.
"""

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from simgen.config.render import RenderConfig, parse_render
from simgen.errors import RenderError
from simgen.label.annotation import Annotation, Frame
from simgen.sampling import FrameIndex, stream
from simgen.scene.spec import CameraSpec, EnvironmentSpec, PoseSpec, SceneSpec, SensorSpec

CATEGORIES = (("disc", "part"), ("plate", "part"), ("scratch", "defect"), ("pit", "defect"))


def config(out: Path, **keys: Any) -> RenderConfig:
    """Return a small render config for the stand-in."""
    scene = {"name": "flat", **keys.pop("scene", {})}
    image = {"width": 64, "height": 48, **keys.pop("image", {})}
    defaults = {"frames": 6, "shard_size": 2, "workers": 1, "dataset": {"name": "flat"}}
    return parse_render({"scene": scene, "out": str(out), "image": image, **defaults, **keys})


class StandIn:
    """Draws one disc or plate a frame, usually with a scratch and a pit on it."""

    def __init__(self, config: RenderConfig) -> None:
        self._config = config

    def facts(self) -> dict[str, Any]:
        """Say what draws."""
        return {"renderer": "stand-in", "software": True}

    def close(self) -> None:
        """Nothing to release."""

    def frame(self, index: int) -> Frame:
        """Draw frame `index`; `scene.fail`, `scene.die` name frames that go wrong."""
        self._misbehave(index)
        size = self._config.image
        place = FrameIndex.of(
            index,
            views_per_scene=self._config.views_per_scene,
            exposures_per_view=self._config.exposures_per_view,
        )
        rng = stream(self._config.seed, place.scene, "flat")
        image = stream(self._config.seed, index, "noise").integers(
            20, 60, (size.height, size.width, 3), dtype=np.uint8
        )
        part = np.zeros((size.height, size.width), np.uint8)
        is_disc = bool(rng.uniform() < 0.5)
        centre = (int(rng.integers(20, size.width - 20)), int(rng.integers(18, size.height - 18)))
        if is_disc:
            cv2.circle(part, centre, 15, 1, -1)
        else:
            low, high = (centre[0] - 14, centre[1] - 12), (centre[0] + 14, centre[1] + 12)
            cv2.rectangle(part, low, high, 1, -1)
        part[centre[1] - 1 : centre[1] + 2, centre[0] - 1 : centre[0] + 2] = 0
        image[part == 1] = 150
        annotations = [self._part("disc" if is_disc else "plate", part == 1)]
        for kind, end in (("scratch", (centre[0] + 8, centre[1] - 6)), ("pit", centre)):
            if rng.uniform() < 0.8:
                mask = np.zeros_like(part)
                start = (centre[0] - 9, centre[1] + (5 if kind == "scratch" else 0))
                cv2.line(mask, start, end if kind == "scratch" else start, 1, 2)
                visible = (mask == 1) & (part == 1)
                image[visible] = 220
                annotations.append(self._defect(kind, visible))
        return Frame(
            index=index,
            scene_index=place.scene,
            view=place.view,
            exposure=place.exposure,
            image=image,
            annotations=tuple(annotations),
            spec=_spec(size.width, size.height, index),
            erased={"pit": 1} if index % 3 == 0 else {},
        )

    def _misbehave(self, index: int) -> None:
        scene = self._config.scene
        if index == scene.get("fail"):
            raise RenderError("scene.fail: cannot be drawn; choose another")
        if index == scene.get("bug"):
            raise ZeroDivisionError("a bug")
        marker = scene.get("die_once")
        if marker and index == 1 and not Path(marker).exists():
            Path(marker).touch()
            os._exit(9)
        if index == scene.get("die"):
            os._exit(9)
        if scene.get("slow") and index > 0:
            import time

            time.sleep(float(scene["slow"]))

    def _part(self, category: str, mask: np.ndarray) -> Annotation:
        return Annotation(
            category=category,
            supercategory="part",
            mask=mask,
            amodal_bbox=_box(mask),
            visibility=0.9,
        )

    def _defect(self, category: str, mask: np.ndarray) -> Annotation:
        return Annotation(
            category=category,
            supercategory="defect",
            mask=mask,
            amodal_bbox=_box(mask),
            visibility=1.0,
            part=0,
            contrast=4.0,
            contrast_ring=3.0,
            defect_mm={"length_mm": 3.0},
        )


def _box(mask: np.ndarray) -> tuple[float, float, float, float]:
    ys, xs = np.nonzero(mask)
    return (
        float(xs.min()),
        float(ys.min()),
        float(xs.max() - xs.min() + 1),
        float(ys.max() - ys.min() + 1),
    )


def _spec(width: int, height: int, index: int) -> SceneSpec:
    camera = CameraSpec(
        width=width, height=height, fx=50.0, fy=50.0, cx=0.0, cy=0.0, pose=PoseSpec()
    )
    return SceneSpec(
        scene="flat",
        objects=(),
        lights=(),
        environment=EnvironmentSpec(intensity=1.0 + index),
        camera=camera,
        sensor=SensorSpec(),
    )
