"""What is measured on every image and every label, photographs and simulated images alike."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One measured number.

    Attributes:
        group: Heading on the page.
        of: Measured once an image, or once a label.
        unit: Its unit; empty for a ratio.
        what: One sentence for a reader of the page.
        log: Histograms have a logarithmic axis.
        target: Largest Kolmogorov-Smirnov distance that counts as calibrated, or None where the
            distance is only shown.
    """

    group: str
    of: Literal["image", "label"]
    unit: str
    what: str
    log: bool = False
    target: float | None = None


TARGET = 0.25

QUANTITIES: dict[str, Quantity] = {
    "brightness": Quantity(
        group="brightness", of="image", unit="levels", what="mean level", target=TARGET
    ),
    "brightness_median": Quantity(
        group="brightness", of="image", unit="levels", what="median level"
    ),
    "dark": Quantity(
        group="brightness", of="image", unit="levels", what="5 % of the pixels are darker"
    ),
    "bright": Quantity(
        group="brightness", of="image", unit="levels", what="5 % of the pixels are brighter"
    ),
    "clipped_share": Quantity(
        group="brightness", of="image", unit="", what="share of pixels at level 250 or above"
    ),
    "contrast": Quantity(
        group="contrast", of="image", unit="", what="standard deviation / mean", target=TARGET
    ),
    "spread": Quantity(
        group="contrast", of="image", unit="", what="(95th - 5th percentile) / median"
    ),
    "shading": Quantity(
        group="contrast",
        of="image",
        unit="",
        what="standard deviation / mean of the image blurred by a twentieth of its short side",
    ),
    "corner_fall": Quantity(
        group="contrast",
        of="image",
        unit="",
        what="mean of the four corners / mean of the centre, an eighth of each side each",
    ),
    "noise": Quantity(
        group="noise",
        of="image",
        unit="levels",
        what="standard deviation of the finest diagonal Haar detail, from its median",
        target=TARGET,
    ),
    "noise_share": Quantity(
        group="noise", of="image", unit="", what="noise / mean level of the same pixels"
    ),
    **{
        f"noise_at_{level}": Quantity(
            group="noise",
            of="image",
            unit="levels",
            what=f"noise where the level is within 25 of {level}",
        )
        for level in (50, 100, 150, 200)
    },
    "sharpness": Quantity(
        group="sharpness",
        of="image",
        unit="",
        what="detail finer than 1 px over detail of 1 to 3 px (Gaussian bands)",
    ),
    "residual": Quantity(
        group="streaks",
        of="image",
        unit="",
        what="standard deviation of the texture: level / blurred level - 1",
    ),
    "texture_skew": Quantity(
        group="streaks", of="image", unit="", what="skewness of the texture; bright lines: above 0"
    ),
    "streak_direction_deg": Quantity(
        group="streaks",
        of="image",
        unit="degrees",
        what="direction of the texture, 90 is vertical (weakest axis of the power spectrum)",
    ),
    "streak_coherence": Quantity(
        group="streaks",
        of="image",
        unit="",
        what="anisotropy of the texture's power spectrum, 0 none, 1 parallel lines",
    ),
    **{
        f"{way}_{lag}": Quantity(
            group="streaks",
            of="image",
            unit="",
            what=f"autocorrelation of the texture {lag} px {way} its direction",
        )
        for way, lags in (("along", (1, 5, 20)), ("across", (1, 5)))
        for lag in lags
    },
    "red_over_green": Quantity(
        group="colour", of="image", unit="", what="mean red / mean green (colour images)"
    ),
    "blue_over_green": Quantity(
        group="colour", of="image", unit="", what="mean blue / mean green (colour images)"
    ),
    "image_width_px": Quantity(group="size", of="image", unit="px", what="width", log=True),
    "image_height_px": Quantity(group="size", of="image", unit="px", what="height", log=True),
    "image_aspect": Quantity(group="size", of="image", unit="", what="width / height", log=True),
    "count": Quantity(group="boxes", of="image", unit="", what="labels on an image that has any"),
    "box_width_px": Quantity(
        group="boxes", of="label", unit="px", what="width of the box", log=True, target=TARGET
    ),
    "box_height_px": Quantity(
        group="boxes", of="label", unit="px", what="height of the box", log=True, target=TARGET
    ),
    "box_area_px": Quantity(
        group="boxes", of="label", unit="px²", what="width x height", log=True, target=TARGET
    ),
    "box_long_px": Quantity(
        group="boxes", of="label", unit="px", what="longer side of the box", log=True
    ),
    "mean_width_px": Quantity(
        group="boxes", of="label", unit="px", what="pixels of the mask / longer side", log=True
    ),
    "box_aspect": Quantity(
        group="boxes", of="label", unit="", what="width / height of the box", log=True
    ),
    "mask_area_px": Quantity(
        group="boxes", of="label", unit="px²", what="pixels of the mask", log=True
    ),
    "box_x": Quantity(
        group="boxes", of="label", unit="", what="centre of the box / width of the image"
    ),
    "box_y": Quantity(
        group="boxes", of="label", unit="", what="centre of the box / height of the image"
    ),
    "border_px": Quantity(
        group="boxes", of="label", unit="px", what="from the box to the nearest image border"
    ),
    "gap_px": Quantity(
        group="boxes",
        of="label",
        unit="px",
        what="to the nearest label of the same kind on the image, where there is one",
        log=True,
    ),
    "inner_gap_px": Quantity(
        group="boxes",
        of="label",
        unit="px",
        what="widest gap that one label bridges, where it is in pieces",
        log=True,
    ),
    "ring_contrast": Quantity(
        group="looks",
        of="label",
        unit="",
        what="|mean in the mask - mean of a 10 px ring| / standard deviation of the ring",
        log=True,
    ),
    "tone": Quantity(
        group="looks", of="label", unit="", what="mean level in the mask / mean level of the ring"
    ),
    "label_margin_px": Quantity(
        group="looks",
        of="label",
        unit="px",
        what="how far the mask reaches beyond what visibly differs; where that can be told",
    ),
}
