"""What the parts lie on: a bench, and by chance a tray on it."""

from dataclasses import dataclass

from simgen.config import bounded
from simgen.randomize.part import FinishRanges, pick_design, sample_finish
from simgen.sampling import Distribution, Streams
from simgen.scene.spec import ObjectSpec, ShapeSpec

TRAY_SHEET_MM = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRanges:
    """What the parts lie on; in a tray with chance `tray_share`.

    `designs` is how many sizes of tray there are in the whole dataset; None: any.
    """

    tray_share: float = bounded(low=0, high=1)
    designs: int | None = bounded(None, low=1)
    tray_mm: Distribution = bounded(above=0)
    area_mm: Distribution = bounded(above=0)
    bench: FinishRanges
    tray: FinishRanges


def sample_support(
    streams: Streams, ranges: SupportRanges, scale: float = 1.0
) -> tuple[tuple[ObjectSpec, ...], float]:
    """Draw the bench, a tray on it by chance, and the side of the square that parts fall on.

    Args:
        streams: Of the frame.
        ranges: Sizes and finishes.
        scale: Of all sizes, for parts much larger or smaller than a hand.
    """
    rng = streams.scene("support")
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench",
            # Never so thin that what falls could pass through it between two steps.
            size_mm={"length": 840.0 * scale, "width": 840.0 * scale, "thickness": 20.0},
            texel_mm=2.2 * scale,
        ),
        finish=sample_finish(rng, ranges.bench, (1.0, 0.0, 0.0)),
        body="fixed",
        casts_shadow=False,
    )
    area = scale * ranges.area_mm.sample(rng)
    if rng.uniform() >= ranges.tray_share:
        return (bench,), area
    drawer = pick_design(streams, rng, "tray", ranges.designs)
    side = scale * ranges.tray_mm.sample(drawer)
    tray = ObjectSpec(
        name="tray",
        shape=ShapeSpec(
            kind="tray",
            size_mm={
                "length": side,
                "width": 0.8 * side,
                "height": TRAY_SHEET_MM + scale * float(drawer.uniform(10, 28)),
                "wall": TRAY_SHEET_MM,
                "floor": TRAY_SHEET_MM,
            },
            texel_mm=1.0 * scale,
        ),
        finish=sample_finish(rng, ranges.tray, (1.0, 0.0, 0.0)),
        body="fixed",
    )
    return (bench, tray), min(area, 0.72 * side)
