"""BOP, scenewise: poses, depth and visibility of parts, and their models.

The format is that of bop_toolkit's docs/bop_datasets_format.md. A folder holds a thousand
frames; frame = 1000 x scene_id + im_id.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from simgen.dataset.audit import stored_scene
from simgen.dataset.check_outputs import is_pose
from simgen.dataset.pictures import read_image
from simgen.dataset.stored import is_number
from simgen.errors import ConfigError, RenderError
from simgen.export.bop_models import Models, write_records
from simgen.export.folder import Images, put_image
from simgen.export.note import one_line, write_json
from simgen.export.source import ExportFrame, Source
from simgen.export.split import Split, side_of
from simgen.label.cast import require_embree
from simgen.scene.spec import ObjectSpec

NEEDED = ("depth", "instances", "poses")
_CHUNK = 1000
_UNSEEN = [-1, -1, -1, -1]


def require_outputs(source: Source) -> None:
    """Check that the dataset has what BOP needs, and the ray caster is there.

    Raises:
        ConfigError: It lacks an output, or embreex is not installed.
    """
    missing = [kind for kind in NEEDED if not getattr(source.config.outputs, kind)]
    if missing:
        keys = " ".join(f"outputs.{kind}=true" for kind in missing)
        raise ConfigError(
            f"format=bop: needs {', '.join(missing)}, which the dataset lacks; render it into"
            f" another out with {keys}"
        )
    try:
        require_embree()
    except RenderError:
        raise ConfigError('format=bop: needs embreex; pip install "simgen[audit]"') from None


def write_bop(
    source: Source,
    frames: Iterable[ExportFrame],
    folder: Path,
    split: Split,
    *,
    images: Images,
    own_files: bool,
) -> dict[str, Any]:
    """Write a BOP dataset.

    Args:
        source: The dataset.
        frames: Its frames, with depth, instances, poses and scenes.
        folder: An empty folder.
        split: Which sides there are.
        images: Copy or link images and depth images.
        own_files: See `audit.stored_scene`.

    Raises:
        ConfigError: A camera has distortion, which BOP has no field for.
        DatasetError: A record, pose or image is damaged.
        AssetError: A scene names a file of the user's, which it may not.
    """
    (folder / "models").mkdir()
    models = Models(folder / "models", one_line(source))
    scenes = {side: _Scenes(folder / side) for side in split.sides}
    unit = source.config.outputs.depth_unit_mm
    poses = 0
    for frame in frames:
        scene = scenes[side_of(frame.image["scene"], split.share)]
        written = _frame(frame, scene.folder_of(frame.number), models, unit, images, own_files)
        scene.add(frame.number, *written)
        poses += len(written[1])
        if frame.number == 0:
            _write_camera(folder / "camera.json", written[0], frame)
    for scene in scenes.values():
        scene.finish()
    models.finish()
    (folder / "dataset_info.md").write_text(_INFO.format(origin=one_line(source)))
    return {"poses": poses, "models": len(models)}


def _frame(
    frame: ExportFrame, folder: Path, models: Models, unit: float, images: Images, own_files: bool
) -> tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]:
    """Write a frame's images and masks; return its camera, poses and visibility."""
    name = f"{frame.number % _CHUNK:06d}"
    camera, k = _camera(frame, unit)
    pixels = read_image(frame.picture.path)
    kind = folder / ("gray" if pixels.ndim == 2 else "rgb")
    kind.mkdir(exist_ok=True)
    put_image(frame, kind / f"{name}{frame.suffix}", images)
    (folder / "depth" / f"{name}.png").write_bytes(frame.outputs["depth"].read())
    depth = read_image(frame.outputs["depth"].path)
    ids = read_image(frame.outputs["instances"].path)
    size = (frame.image["height"], frame.image["width"])
    if depth.shape != size or ids.shape != size or depth.dtype != np.uint16:
        raise frame.damaged("depth or instances are not 16 bit of the image's size")
    frame.outputs["instances"].verify()
    poses: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    for number, item, rotation, translation in _parts(frame, own_files):
        category = str(item.category)
        model = models.of(item.shape, category)
        place = rotation @ model.middle_mm + translation
        covered, corner = models.silhouette(item.shape, category, rotation, place, k, size)
        visible = ids == number
        info, whole = _visibility(covered, corner, visible, depth)
        mask = f"{name}_{len(poses):06d}.png"
        _write_mask(folder / "mask" / mask, whole)
        _write_mask(folder / "mask_visib" / mask, visible)
        poses.append(
            {
                "obj_id": model.number,
                "cam_R_m2c": rotation.reshape(-1).tolist(),
                "cam_t_m2c": place.tolist(),
            }
        )
        seen.append(info)
    return camera, poses, seen


def _parts(
    frame: ExportFrame, own_files: bool
) -> Iterable[tuple[int, ObjectSpec, np.ndarray, np.ndarray]]:
    """Yield (instance id, object, R, t in mm) of each labelled part, camera from part."""
    scene = stored_scene(frame.record, own_files=own_files)
    stored = (frame.pose or {}).get("objects")
    if not isinstance(stored, list) or len(stored) != len(scene.objects):
        raise frame.damaged("poses are not those of its scene")
    for number, (item, pose) in enumerate(zip(scene.objects, stored, strict=True), start=1):
        if item.category is None:
            continue
        known = pose if isinstance(pose, dict) else {}
        place: Any = known.get("camera_from_part")
        if not is_pose(place) or known.get("instance") != number:
            raise frame.damaged(f"pose of instance {number} is not as documented")
        rotation = np.array(place["R"], np.float64).reshape(3, 3)
        yield number, item, rotation, np.array(place["t_mm"], np.float64)


def _camera(frame: ExportFrame, unit: float) -> tuple[dict[str, Any], np.ndarray]:
    camera = (frame.pose or {}).get("camera")
    camera = camera if isinstance(camera, dict) else {}
    k: Any = camera.get("K")
    lens, world = camera.get("distortion"), camera.get("camera_from_world")
    numbers = isinstance(k, list) and len(k) == 9 and all(is_number(v) for v in k)
    if (
        not numbers
        or not isinstance(lens, list)
        or not world
        or not is_pose(world)
        or min(k[0], k[4]) <= 0
    ):
        raise frame.damaged("its camera is not as documented")
    if any(v != 0 for v in lens):
        raise ConfigError(
            f"format=bop: frame {frame.number} has lens distortion, which BOP has no field for;"
            " render into another out with the camera's k1, k2, k3, p1 and p2 at 0"
        )
    record = {
        "cam_K": k,
        "depth_scale": unit,
        "cam_R_w2c": world["R"],
        "cam_t_w2c": world["t_mm"],
    }
    return record, np.array(k, np.float64).reshape(3, 3)


def _visibility(
    covered: np.ndarray, corner: tuple[int, int], visible: np.ndarray, depth: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """Return a part's line of scene_gt_info and its silhouette within the image."""
    height, width = visible.shape
    x, y = corner
    whole = visible.copy()
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + covered.shape[1], width), min(y + covered.shape[0], height)
    outside = int(covered.sum())
    if left < right and top < bottom:
        within = covered[top - y : bottom - y, left - x : right - x]
        whole[top:bottom, left:right] |= within
        outside -= int(within.sum())
    # Where a defect was raised over the silhouette, its pixels count as the part's too.
    total = int(whole.sum()) + outside
    shown = int(visible.sum())
    box = _UNSEEN
    if shown:
        rows, columns = np.nonzero(covered)
        ys, xs = np.nonzero(whole)
        box = _box(np.concatenate([columns + x, xs]), np.concatenate([rows + y, ys]))
    return {
        "bbox_obj": box,
        "bbox_visib": _box(*np.nonzero(visible)[::-1]) if shown else _UNSEEN,
        "px_count_all": total,
        "px_count_valid": int((depth[whole] > 0).sum()),
        "px_count_visib": shown,
        "visib_fract": shown / total if total else 0.0,
    }, whole


def _box(xs: np.ndarray, ys: np.ndarray) -> list[int]:
    """Return a box as BOP's toolkit has it: between pixel centres, one less than COCO's."""
    x, y = int(xs.min()), int(ys.min())
    return [x, y, int(xs.max()) - x, int(ys.max()) - y]


def _write_mask(path: Path, mask: np.ndarray) -> None:
    done, data = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    if not done:
        raise ValueError(f"OpenCV cannot encode a mask of {mask.shape}")
    path.write_bytes(data.tobytes())


def _write_camera(path: Path, camera: dict[str, Any], frame: ExportFrame) -> None:
    k = camera["cam_K"]
    record = {"fx": k[0], "fy": k[4], "cx": k[2], "cy": k[5], "depth_scale": camera["depth_scale"]}
    write_json(path, record | {"width": frame.image["width"], "height": frame.image["height"]})


class _Scenes:
    """The scene folders of one side; the records of one are in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = -1
        self._records: tuple[dict[int, Any], dict[int, Any], dict[int, Any]] = ({}, {}, {})

    def folder_of(self, number: int) -> Path:
        """Return the folder of a frame, made if it is the first there."""
        chunk = number // _CHUNK
        place = self._folder / f"{chunk:06d}"
        if chunk != self._open:
            self.finish()
            self._open = chunk
            for kind in ("depth", "mask", "mask_visib"):
                (place / kind).mkdir(parents=True)
        return place

    def add(
        self,
        number: int,
        camera: dict[str, Any],
        poses: list[dict[str, Any]],
        seen: list[dict[str, Any]],
    ) -> None:
        for records, value in zip(self._records, (camera, poses, seen), strict=True):
            records[number % _CHUNK] = value

    def finish(self) -> None:
        """Write the records of the folder that is open."""
        if self._open < 0:
            return
        place = self._folder / f"{self._open:06d}"
        names = ("scene_camera.json", "scene_gt.json", "scene_gt_info.json")
        for name, records in zip(names, self._records, strict=True):
            write_records(place / name, records)
            records.clear()


_INFO = """# BOP export

{origin}

* Layout: BOP scenewise. frame = 1000 x scene_id + im_id. Camera axes are OpenCV's.
* Models: each shape that a part has, undamaged, in mm, its bounding box centred; what each is
  says models/shapes.json. Damage is in images, depth and mask_visib, not in models.
* mask: the model's silhouette in its pose, and the part's visible pixels. mask_visib: exact,
  from the renderer's ids at pixel centres.
* Symmetries are not stated: they are unknown, and a defect or a thread breaks them.
* bbox_obj and bbox_visib are as bop_toolkit has them: between pixel centres.
"""
