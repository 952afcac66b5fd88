"""Train and val by scene: which side a scene is on depends on its number alone.

Multiples of the golden ratio fill a turn evenly, however many there are; a scene is train
where its multiple lies below the share. So the share is met within two or three scenes, a
longer dataset moves no earlier scene, and nothing is drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from simgen.errors import ConfigError

TRAIN, VAL = "train", "val"
_TURN = 1 << 64
# The golden ratio's fraction of a turn. From half a turn on, small datasets have both sides:
# a share of 0.9 needs five scenes.
_STEP = 0x9E3779B97F4A7C15
_START = 1 << 63


def side_of(scene: int, share: float | None) -> str:
    """Return `train` or `val` for a scene; without a share all are train."""
    if share is None:
        return TRAIN
    return TRAIN if (_START + scene * _STEP) % _TURN < share * _TURN else VAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How a split came out.

    Attributes:
        share: What was asked for, None for no split.
        images: Images by side.
        scenes: Scenes by side.
    """

    share: float | None
    images: dict[str, int]
    scenes: dict[str, int]

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that there are."""
        return (TRAIN,) if self.share is None else (TRAIN, VAL)

    def record(self) -> dict[str, Any]:
        """Return it for a file."""
        total = max(1, sum(self.images.values()))
        return {
            "asked": self.share,
            "train_share": round(self.images[TRAIN] / total, 6),
            "images": {side: self.images[side] for side in self.sides},
            "scenes": {side: self.scenes[side] for side in self.sides},
        }


def count_split(images: Iterable[dict[str, Any]], share: float | None) -> Split:
    """Count images and scenes on both sides.

    Args:
        images: COCO images in the order of their frames, so that a scene's come together.
        share: Share of train, in (0, 1), or None.

    Raises:
        ConfigError: One side would be empty.
    """
    counts, scenes = {TRAIN: 0, VAL: 0}, {TRAIN: 0, VAL: 0}
    before = None
    for image in images:
        side = side_of(image["scene"], share)
        counts[side] += 1
        scenes[side] += image["scene"] != before
        before = image["scene"]
    if share is not None and 0 in counts.values():
        full, empty = (TRAIN, VAL) if counts[VAL] == 0 else (VAL, TRAIN)
        raise ConfigError(
            f"split: {share:g} puts all {scenes[full]} scenes into {full} and none into {empty};"
            " render more scenes, or choose a share nearer to 0.5"
        )
    return Split(share=share, images=counts, scenes=scenes)
