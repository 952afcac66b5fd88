"""What one frame yields: its image and its annotations, before any file format."""

from dataclasses import dataclass, field

import numpy as np

from simgen.scene.spec import SceneSpec


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A visible part or defect in one image.

    Attributes:
        category: `flange`, `scratch`, ...
        supercategory: `part` or `defect`.
        mask: Visible pixels, shape (H, W), bool, never empty.
        amodal_bbox: COCO box of the part alone, or the defect on its part alone,
            clipped to the image.
        visibility: Visible over amodal pixels, in (0, 1].
        part: For a defect, index of its part's annotation in the frame; None if
            the part itself has no visible pixel.
        contrast, contrast_ring: See docs/annotations.md; defects only.
        defect_mm: Sampled sizes of the defect in mm; defects only.
        missing_material: Material was removed here.
    """

    category: str
    supercategory: str
    mask: np.ndarray
    amodal_bbox: tuple[float, float, float, float]
    visibility: float
    part: int | None = None
    contrast: float | None = None
    contrast_ring: float | None = None
    defect_mm: dict[str, float] = field(default_factory=dict)
    missing_material: bool = False


@dataclass(frozen=True, kw_only=True)
class FrameGeometry:
    """The surface behind each pixel of a frame's image; see `render.buffers.LabelBuffers`.

    Attributes:
        ids: Instance ids, shape (H, W), uint32; 0 is background, k + 1 is `objects[k]`.
        depth_mm: Distance along the viewing axis, shape (H, W), float32; 0 is background.
        normal: Part-local smooth normal, shape (H, W, 3), float32.
    """

    ids: np.ndarray
    depth_mm: np.ndarray
    normal: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A finished frame.

    Attributes:
        index: Frame number from 0.
        scene_index: Scene number; frames of one scene show the same physical parts.
        view, exposure: Position within the scene.
        image: uint8, shape (H, W) mono or (H, W, 3) RGB.
        annotations: Parts first, then defects.
        spec: The settled SceneSpec.
        erased: Number of defects erased for too little contrast, by kind.
        geometry: What depth and poses are made of; None if the renderer has none.
    """

    index: int
    scene_index: int
    view: int
    exposure: int
    image: np.ndarray
    annotations: tuple[Annotation, ...]
    spec: SceneSpec
    erased: dict[str, int] = field(default_factory=dict)
    geometry: FrameGeometry | None = None
