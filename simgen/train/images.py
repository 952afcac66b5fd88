"""What a detector trains on and is judged by: images in memory with their labelled objects."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledObject:
    """One labelled defect.

    Attributes:
        kind: Name of the class after mapping, `crack`.
        box: COCO (x, y, width, height) in pixels.
        mask: Visible pixels inside the box rounded outwards, bool, shape (h, w), or None
            if the source gave no mask.
        corner: Column and row of the mask's first pixel.
        attributes: What the source says about it: `visibility`, `contrast`, and its own
            `attributes`.
    """

    kind: str
    box: tuple[float, float, float, float]
    mask: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One image and the defects on it.

    Attributes:
        image_id: Its id in its COCO file.
        file: Where it was read from.
        pixels: uint8, read-only, shape (H, W) mono or (H, W, 3) RGB.
        part: The physical part that it shows; images of one part are one sample.
        objects: Its defects; an image without any is clean.
        attributes: What the source says about it, `exposure` for instance.
    """

    image_id: int
    file: Path
    pixels: np.ndarray
    part: str
    objects: tuple[LabelledObject, ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def content_sha256(self) -> str:
        """Hash of the decoded pixels: the same picture under any name or file format."""
        data = repr(self.pixels.shape).encode() + self.pixels.tobytes()
        return hashlib.sha256(data).hexdigest()

    @property
    def is_clean(self) -> bool:
        """Whether nothing is labelled on it."""
        return not self.objects

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of defect on it."""
        return frozenset(o.kind for o in self.objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A named set of labelled images: a real split or a rendered dataset.

    Attributes:
        name: The name that a mix gives ratios to, `real`.
        images: In the order of their ids.
        sha256: Hash of labels and image files together.
    """

    name: str
    images: tuple[LabelledImage, ...]
    sha256: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds that occur, sorted."""
        return tuple(sorted({k for image in self.images for k in image.kinds}))

    def parts_by_kind(self) -> dict[str, int]:
        """Return the number of distinct parts that carry each kind."""
        return {k: len({i.part for i in self.images if k in i.kinds}) for k in self.kinds}

    def summary(self) -> dict[str, object]:
        """Return counts for a log or a report."""
        return {
            "images": len(self.images),
            "clean_images": sum(i.is_clean for i in self.images),
            "parts": len({i.part for i in self.images}),
            "parts_by_kind": self.parts_by_kind(),
            "sha256": self.sha256,
        }
