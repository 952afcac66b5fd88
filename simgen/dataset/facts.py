"""What card and Croissant file both state of a dataset, as plain sentences."""

import re
from dataclasses import dataclass, field
from typing import Any

from simgen.config.render import RenderConfig
from simgen.dataset.assets import Asset
from simgen.dataset.compare import ManifestChanges
from simgen.dataset.licences import Terms, is_limited
from simgen.dataset.parent import Parent

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
_MOST_NAMES = 200


class Tally:
    """Counts labels as they are written, a few numbers whatever their number.

    Attributes:
        images_with_defect: Number of images that have one.
        sizes_mm: Names that occur in `defect_mm`.
    """

    def __init__(self, categories: tuple[tuple[str, str], ...]) -> None:
        self._is_defect = [supercategory == "defect" for _, supercategory in categories]
        self._last: object = None
        self._sizes_mm: set[str] = set()
        self.images_with_defect = 0

    def add(self, record: dict[str, Any]) -> None:
        """Count an annotation; those of one image come one after another."""
        if not self._is_defect[record["category_id"] - 1]:
            return
        if record.get("image_id") != self._last:
            self._last = record.get("image_id")
            self.images_with_defect += 1
        sizes = record.get("defect_mm")
        if isinstance(sizes, dict) and len(self._sizes_mm) < _MOST_NAMES:
            self._sizes_mm |= {n for n in sizes if _NAME.fullmatch(n)}

    @property
    def sizes_mm(self) -> tuple[str, ...]:
        """Names that occur in `defect_mm`, sorted."""
        return tuple(sorted(self._sizes_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A dataset that is being finished.

    Attributes:
        config: Its job.
        manifest: Its manifest, hashes of derived files excepted.
        tally: What was counted of its labels.
        assets: Files that it was made with, and what their licences come to.
        parent: The version before.
        changes: What changed since.
    """

    config: RenderConfig
    manifest: dict[str, Any]
    tally: Tally
    assets: tuple[tuple[Asset, Terms], ...] = field(default=())
    parent: Parent | None = None
    changes: ManifestChanges | None = None

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.config.dataset.name or self.config.scene_name

    @property
    def scenes(self) -> int:
        """Number of scenes, of which one may have several frames."""
        config = self.config
        return -(
            -int(self.manifest["frames"]) // (config.views_per_scene * config.exposures_per_view)
        )

    def names(self, supercategory: str) -> list[str]:
        """Return the names of its categories of one supercategory."""
        found = self.manifest["categories"]
        return [c["name"] for c in found if c["supercategory"] == supercategory]

    def count(self, supercategory: str) -> int:
        """Return its number of labels of one supercategory."""
        return sum(self.manifest["instances"][name] for name in self.names(supercategory))


def purpose(facts: Facts) -> str:
    """Return what the dataset is for."""
    return facts.config.dataset.purpose or (
        "Labelled training images for a detector where photographs of defects are too few."
    )


def bottleneck(facts: Facts) -> str:
    """Return which lack of real data it is made for; empty if the config names none."""
    lack = facts.config.dataset.bottleneck
    return ": ".join(text for text in (lack.slice, lack.reason) if text)


def contents(facts: Facts) -> str:
    """Return how much there is of what."""
    images, with_defect = facts.manifest["frames"], facts.tally.images_with_defect
    size = facts.config.image
    return (
        f"{images} computer-generated images of {facts.scenes} scenes, at most {size.width} x"
        f" {size.height} pixels, with masks and boxes of {facts.count('part')} parts and"
        f" {facts.count('defect')} defects; {images - with_defect} images show no defect"
    )


def not_for(facts: Facts) -> list[str]:
    """Return what it must not be used for: what holds of all such datasets, then the config's."""
    parts, defects = ", ".join(facts.names("part")), ", ".join(facts.names("defect"))
    found = [
        "Not a holdout: it cannot measure how well a detector does on real parts; only real"
        " photographs that no training source has seen can.",
        "Not a statistic of production: how often a defect occurs and how large it is was drawn"
        " from ranges in config.yaml.",
        "Not for accepting or rejecting parts on its own: a model trained on it needs an"
        " evaluation on real parts first.",
        f"Not for what its ranges do not cover: it labels parts ({parts or 'none'}) and defects"
        f" ({defects or 'none'}) of scene {facts.config.scene_name} as config.yaml describes them,"
        " and says nothing of other parts, defects, cameras or light.",
    ]
    for asset, terms in facts.assets:
        for name in terms.by_name:
            why = "limits commercial use or derived works" if is_limited(name) else "is not known"
            found.append(
                f"Not for what {name} forbids: {asset.path} is under that licence, which {why} and"
                " was allowed by name in dataset.allow_licences."
            )
    return [*found, *facts.config.dataset.not_for]


def limits(facts: Facts) -> list[str]:
    """Return what is known to be missing or peculiar."""
    labels, erased = facts.config.labels, facts.manifest["erased"]
    kinds = ", ".join(f"{name} {count}" for name, count in erased.items())
    found = [
        f"{sum(erased.values())} faint defects{f' ({kinds})' if kinds else ''} fell below"
        f" labels.min_contrast = {labels.min_contrast:g} and were erased from image and labels, so"
        " that nothing visible is unlabelled and nothing labelled is invisible."
    ]
    empty = [name for name, count in facts.manifest["instances"].items() if count == 0]
    if empty:
        found.append(f"No label of: {', '.join(empty)}.")
    if labels.merge_mm:
        found.append(f"Defects of a kind within {labels.merge_mm:g} mm are one label.")
    if labels.pad_px or any(labels.pad_px_by_kind.values()):
        apart = "".join(f", of {k} {n} px" for k, n in sorted(labels.pad_px_by_kind.items()))
        found.append(
            f"Masks of defects are {labels.pad_px} px{apart} wider than the defects (negative:"
            " narrower)."
        )
    if labels.polygons:
        found.append("Masks are polygons, which cannot have holes: holes are filled.")
    if len(facts.manifest["made_with"]) > 1:
        found.append(
            "Shards were made with several combinations of driver and versions, listed under"
            " 'Made with'."
        )
    return found


def attributions(facts: Facts) -> list[str]:
    """Return whom and what licences of assets ask to be named or kept."""
    licence = facts.config.dataset.licence
    found = []
    for asset, terms in facts.assets:
        if terms.attribution:
            found.append(
                f"{asset.path}: {asset.source}, {', '.join(terms.attribution)}; name its author."
            )
        if terms.share_alike:
            found.append(
                f"{asset.path} is under {', '.join(terms.share_alike)}: works derived from it are"
                f" to be shared alike; see whether images of it are, since this dataset is"
                f" {licence}."
            )
    return found


def source_type(facts: Facts) -> str:
    """Return IPTC's term for where the images come from, as a URI."""
    term = facts.config.dataset.digital_source_type
    return f"http://cv.iptc.org/newscodes/digitalsourcetype/{term}"


def generations(facts: Facts) -> str:
    """Return how far the pixels are from a camera."""
    if facts.config.dataset.digital_source_type == "algorithmicMedia":
        return (
            "None of its pixels come from a camera, from another dataset or from a trained model:"
            " they are computed from a description in 3-D, which is stored with each frame."
        )
    return (
        "One: photographs went into its scenes and were rendered with them; no image of another"
        " dataset and no trained model is between."
    )
