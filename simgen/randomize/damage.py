"""Defects on the side of a part that can be seen, each in its zone, and marks anywhere."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from simgen.defects.kinds import kind_module
from simgen.defects.place import Kinds, keep_apart, place
from simgen.defects.profile import reach_of, surface_points
from simgen.geometry import Vec3, to_vec3
from simgen.parts.build import build_mesh
from simgen.parts.mesh import PartMesh, TexelTable
from simgen.parts.sites import Placement
from simgen.parts.zones import Zone, zone_texels
from simgen.sampling import Distribution, Streams, sample_count
from simgen.scene.spec import DefectSpec, ObjectSpec

UP: Vec3 = (0.0, 0.0, 1.0)
_ANYWHERE = Placement(edge_mm=(0.0, np.inf))
_CONES_DEG = (50.0, 75.0)
_TRIES = 16
_KINDS_TRIED = 4
_INSIDE = 0.98

Where = Callable[[TexelTable], np.ndarray]


class DamageRanges(Protocol):
    """What of a scene's ranges says how much is damaged; see conf/scene/inspection.yaml."""

    @property
    def clean_share(self) -> float: ...

    @property
    def defect_count(self) -> Distribution: ...

    @property
    def mark_count(self) -> Distribution: ...


def with_damage(
    streams: Streams,
    ranges: DamageRanges,
    k: int,
    item: ObjectSpec,
    defects: Kinds,
    marks: Kinds,
    zones: Mapping[str, Zone] | None = None,
) -> ObjectSpec:
    """Put defects on the side of a part that lies up, and marks anywhere.

    A defect or mark whose entry names a zone lies in it as a whole; where that cannot
    be done on the visible side, another kind is drawn, and after a few it is left out.

    Args:
        streams: Of the scene.
        ranges: How many, and how often none.
        k: Number of the part, for its own draws.
        item: A settled part; without a category it stays as it is.
        defects, marks: As `parse_kinds` gives them.
        zones: By name.
    """
    if item.category is None:
        return item
    zones = zones or {}
    turn = item.pose.matrix()[:3, :3]
    up = to_vec3(turn.T @ np.array(UP))
    found: list[DefectSpec] = []
    rng = streams.scene("defect count", k)
    if rng.uniform() >= ranges.clean_share:
        for j in range(sample_count(rng, ranges.defect_count)):
            draw = streams.scene("defects", 100 * k + j)
            found += _draw(draw, item, defects, zones, up)
    blemishes: list[DefectSpec] = []
    for j in range(sample_count(streams.scene("mark count", k), ranges.mark_count)):
        draw = streams.scene("marks", 100 * k + j)
        blemishes += _draw(draw, item, marks, zones, None)
    return replace(item, defects=keep_apart(found), marks=tuple(blemishes))


def _draw(
    rng: np.random.Generator,
    item: ObjectSpec,
    kinds: Kinds,
    zones: Mapping[str, Zone],
    up: Vec3 | None,
) -> list[DefectSpec]:
    """Draw one, of another kind if the first kind's zone lies out of sight, or none."""
    for _ in range(_KINDS_TRIED):
        name = kinds.pick(rng)
        drawn = _draw_kind(rng, item, kinds, name, zones, up)
        if drawn or not kinds.zone.get(name, ""):
            return drawn
    return []


def _draw_kind(
    rng: np.random.Generator,
    item: ObjectSpec,
    kinds: Kinds,
    name: str,
    zones: Mapping[str, Zone],
    up: Vec3 | None,
) -> list[DefectSpec]:
    """Draw one defect (seen from `up`) or mark (anywhere), or none where there is no place."""
    mesh = build_mesh(item.shape)
    kind = kinds.kind[name]
    sample = kind_module(kind).sample
    facing = () if up is None else (up,)
    zone = kinds.zone.get(name, "")
    if not zone:
        default = _ANYWHERE if up is None else Placement()
        site = place(
            rng, kind, mesh, item.finish, default=default, facing=facing, cone_deg=_CONES_DEG[0]
        )
        return [] if site is None else [sample(rng, kinds.ranges[name], site)]
    inside = zone_texels(item.shape, zones[zone], f"scene.zones.{zone}")
    where: Where = lambda table: inside  # noqa: E731
    for cone_deg in _CONES_DEG:
        for _ in range(_TRIES):
            # What a kind says of itself holds in a zone too: a break is at an edge everywhere.
            site = place(
                rng,
                kind,
                mesh,
                item.finish,
                default=_ANYWHERE,
                facing=facing,
                cone_deg=cone_deg,
                where=where,
            )
            if site is None:
                break
            defect = sample(rng, kinds.ranges[name], site)
            if _lies_in(defect, mesh, inside):
                return [defect]
    return []


def _lies_in(defect: DefectSpec, mesh: PartMesh, inside: np.ndarray) -> bool:
    """Return whether a defect's outline lies in a zone; a body or break only has to start there."""
    module = kind_module(defect.kind)
    if defect.missing_material or not hasattr(module, "profile"):
        return True
    table = mesh.texels
    near = surface_points(defect, table.positions_mm, table.normals, reach_of(defect))
    distance = module.profile(defect, near.u_mm, near.v_mm).distance_mm
    # Half a texel wider, so that a hairline between texels covers some.
    covered = near.index[distance <= mesh.texel_mm / 2]
    return len(covered) > 0 and float(inside[covered].mean()) >= _INSIDE
