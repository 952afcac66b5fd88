"""Which kinds a scene draws, how often, and the rule that they do not overlap."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from simgen.config import bounded, parse
from simgen.defects.kinds import kind_module
from simgen.errors import ConfigError
from simgen.geometry import Vec3, to_vec3
from simgen.parts.mesh import PartMesh, TexelTable
from simgen.parts.sites import Placement, Site, pick_feature, pick_site, surface_tangent
from simgen.parts.zones import Zone, check_zones
from simgen.sampling import Distribution
from simgen.scene.spec import DefectSpec, FinishSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRanges:
    """One entry of `scene.defects` or `scene.marks`.

    `weight` is how often it is drawn among its like; `kind` defaults to the entry's
    name; `zone`, a name in `scene.zones`, is where it may lie, "" for anywhere; `sizes`
    fills the kind's own `Ranges`.
    """

    weight: float = bounded(1.0, low=0)
    kind: str = ""
    zone: str = ""
    sizes: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """Parsed entries: for each name its kind, its ranges, its weight and its zone."""

    kind: dict[str, str]
    ranges: dict[str, Any]
    weights: dict[str, float]
    zone: dict[str, str]

    def pick(self, rng: np.random.Generator) -> str:
        """Draw a name by weight."""
        names = sorted(self.weights)
        p = np.array([self.weights[n] for n in names])
        return names[int(rng.choice(len(names), p=p / p.sum()))]


def check_kinds(
    defects: Mapping[str, KindRanges],
    clean_share: float,
    marks: Mapping[str, KindRanges],
    mark_count: Distribution,
    zones: Mapping[str, Zone] | None = None,
) -> None:
    """Check a scene's `defects` and `marks`, and that there are some where some will be drawn.

    Raises:
        ConfigError: See `parse_kinds`, `check_zones` and `require_choice`.
    """
    check_zones(parse_kinds(defects, "scene.defects").zone, zones or {}, "scene.defects")
    check_zones(parse_kinds(marks, "scene.marks", marks=True).zone, zones or {}, "scene.marks")
    if clean_share < 1:
        require_choice({n: e.weight for n, e in defects.items()}, "scene.defects")
    if mark_count.support()[1] > 0:
        require_choice({n: e.weight for n, e in marks.items()}, "scene.marks")


def require_choice(weights: Mapping[str, float], key: str) -> None:
    """Check that one of several can be drawn by weight.

    Raises:
        ConfigError: There is none, or no weight is above 0.
    """
    if not weights:
        raise ConfigError(f"{key}: is empty; give it at least one entry")
    if sum(weights.values()) <= 0:
        raise ConfigError(f"{key}: all weights are 0; set one above 0")


def parse_kinds(entries: Mapping[str, KindRanges], key: str, *, marks: bool = False) -> Kinds:
    """Parse the entries' own ranges.

    Args:
        entries: By name.
        key: Dotted config key of `entries`.
        marks: They are distractors, which leave the shape as it is.

    Raises:
        ConfigError: A kind or a key in `sizes` is unknown, a range is wrong, or a mark
            would remove material.
    """
    kind, ranges = {}, {}
    for name, entry in entries.items():
        kind[name] = entry.kind or name
        module = kind_module(kind[name], f"{key}.{name}")
        if marks and not hasattr(module, "profile"):
            raise ConfigError(
                f"{key}.{name}.kind: {kind[name]!r} removes material, which a mark may not; "
                "put it under scene.defects"
            )
        ranges[name] = parse(module.Ranges, entry.sizes or {}, f"{key}.{name}.sizes")
    return Kinds(
        kind=kind,
        ranges=ranges,
        weights={n: e.weight for n, e in entries.items()},
        zone={n: e.zone for n, e in entries.items()},
    )


def place(
    rng: np.random.Generator,
    kind: str,
    mesh: PartMesh,
    finish: FinishSpec,
    *,
    default: Placement | None = None,
    edge_mm: tuple[float, float] | None = None,
    facing: Sequence[Vec3] = (),
    cone_deg: float = 60.0,
    where: Callable[[TexelTable], np.ndarray] | None = None,
) -> Site | None:
    """Draw where on a part a kind occurs, by the kind's own rule (`PLACEMENT`).

    The site's tangent is the direction that the finish's process has there, its tone the
    finish's.

    Args:
        rng: Generator of this draw.
        kind: Of a defect or a mark.
        mesh, finish: The part's.
        default: The rule of kinds that say none.
        edge_mm: Overrules the rule's distance to a sharp edge.
        facing, cone_deg: See `pick_site`.
        where: Further predicate, texel table to a mask; a feature counts where it covers
            the texels around.

    Returns:
        The site, or None where there is no such place.
    """
    own: Placement | None = getattr(kind_module(kind), "PLACEMENT", None)
    rule = own or default or Placement()
    if rule.on_feature:
        site = pick_feature(rng, mesh, facing=facing, cone_deg=cone_deg, where=where)
    else:
        site = pick_site(
            rng, mesh, edge_mm=edge_mm or rule.edge_mm, facing=facing, cone_deg=cone_deg,
            where=where,
        )  # fmt: skip
    if site is None:
        return None
    direction = process_direction(finish, np.asarray(site.anchor_mm))
    tangent = to_vec3(surface_tangent(np.asarray(site.normal), direction))
    return replace(site, tangent=tangent, tone=float(np.mean(finish.colour)))


def process_direction(finish: FinishSpec, position_mm: np.ndarray) -> Vec3:
    """Return the part-local direction of a finish's lines at a place; turned ones run around."""
    if finish.kind != "turned":
        return finish.direction
    around = np.cross(finish.direction, position_mm)
    return to_vec3(around) if np.linalg.norm(around) > 1e-6 else finish.direction


def keep_apart(defects: Sequence[DefectSpec], gap_mm: float = 0.5) -> tuple[DefectSpec, ...]:
    """Return the defects that overlap none before them, by the distance of their anchors."""
    kept: list[DefectSpec] = []
    for defect in defects:
        anchor = np.asarray(defect.anchor_mm)
        clear = all(
            np.linalg.norm(anchor - np.asarray(k.anchor_mm)) > _radius(defect) + _radius(k) + gap_mm
            for k in kept
        )
        if clear:
            kept.append(defect)
    return tuple(kept)


def _radius(defect: DefectSpec) -> float:
    if defect.points:
        return max(float(np.hypot(p[0], p[1])) for p in defect.points)
    if "reach_mm" in defect.values:
        return defect.values["reach_mm"]
    size = defect.size_mm
    if defect.missing_material:
        return max(size["length"] / 2, size["width"]) * 1.2
    # Irregular outlines reach up to 1.9 times beyond the ellipse, rarely 1.4.
    return 0.7 * max(size.values())
