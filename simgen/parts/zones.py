"""Zones: where on a part a kind of defect may occur, as a mask over its texels."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from simgen.config import bounded, parse, suggest
from simgen.errors import AssetError, ConfigError
from simgen.geometry import Vec3
from simgen.parts.build import build_mesh
from simgen.parts.mesh import FaceTraits, PartMesh
from simgen.scene.files import find_file
from simgen.scene.spec import ShapeSpec, to_json

MAX_MASK_PX = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One entry of `scene.zones`: the places that satisfy every condition that is set.

    Attributes:
        groups: Names in the part's file: of groups, materials, sub-meshes or (STEP)
            colours; a face has one of them.
        normal: Direction in the part's frame; the surface's lies within `cone_deg` of it.
        mask: Image in the texture coordinates of the part's file, bright where allowed.
        colour: Colour of the file's vertices in [0, 1], to within `colour_within` (the
            largest difference of a channel).
        edge_mm: Nearest and farthest distance to a sharp edge.
        curvature_per_mm: Lowest and highest curvature, 1 / radius, where the surface
            bends most; above 0 outward (a shaft), below 0 inward (a bore), 0 flat.
        invert: All other places instead.
    """

    groups: tuple[str, ...] = ()
    normal: Vec3 | None = None
    cone_deg: float = bounded(30.0, above=0, high=180)
    mask: str = ""
    colour: tuple[float, float, float] | None = bounded(None, low=0, high=1)
    colour_within: float = bounded(0.25, above=0, high=1)
    edge_mm: tuple[float, float] | None = bounded(None, low=0)
    curvature_per_mm: tuple[float, float] | None = None
    invert: bool = False

    def __post_init__(self) -> None:
        if self.normal is not None and not any(self.normal):
            raise ValueError("normal must not be all 0; [0, 0, 1] is along z")
        for name in ("edge_mm", "curvature_per_mm"):
            limits = getattr(self, name)
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name}: [{limits[0]:g}, {limits[1]:g}] is reversed")
        conditions = (self.normal, self.colour, self.edge_mm, self.curvature_per_mm)
        if not self.groups and not self.mask and all(c is None for c in conditions):
            raise ValueError(
                "names no place; set groups, normal, mask, colour, edge_mm or curvature_per_mm"
            )


def check_zones(used: Mapping[str, str], zones: Mapping[str, Zone], key: str) -> None:
    """Check that the zones which entries name exist.

    Args:
        used: Zone's name by entry, "" for none.
        zones: By name.
        key: Dotted config key of the entries.

    Raises:
        ConfigError: There is no such zone.
    """
    for name, zone in used.items():
        if zone and zone not in zones:
            tail = suggest(zone, zones) or "; add it under scene.zones"
            raise ConfigError(f"{key}.{name}.zone: no zone {zone!r}{tail}")


def require_places(shape: ShapeSpec, zones: Mapping[str, Zone]) -> None:
    """Check that every zone exists on a part.

    Raises:
        ConfigError, AssetError: See `zone_texels`; also where a zone is empty.
    """
    for name, zone in zones.items():
        key = f"scene.zones.{name}"
        if not zone_texels(shape, zone, key).any():
            raise ConfigError(f"{key}: no place on the part satisfies it; widen its conditions")


def zone_texels(shape: ShapeSpec, zone: Zone, key: str) -> np.ndarray:
    """Return which texels of a shape lie in a zone, shape (N,), bool, read-only.

    Args:
        shape: Any shape; `groups`, `mask` and `colour` need one from a file.
        zone: The conditions.
        key: Dotted config key of the zone, for messages.

    Raises:
        ConfigError: A group is unknown, or the file has no texture coordinates or colours.
        AssetError: The mask is missing or cannot be read.
    """
    return _cached(to_json(shape), to_json(zone), key)


@lru_cache(maxsize=64)
def _cached(shape_text: str, zone_text: str, key: str) -> np.ndarray:
    shape = parse(ShapeSpec, json.loads(shape_text))
    zone = parse(Zone, json.loads(zone_text), key)
    mesh = build_mesh(shape)
    inside = _inside(mesh, zone, key) ^ zone.invert
    inside.flags.writeable = False
    return inside


def _inside(mesh: PartMesh, zone: Zone, key: str) -> np.ndarray:
    table = mesh.texels
    inside = np.ones(len(table.rows), bool)
    if zone.groups:
        inside &= _faces_of(mesh.traits, zone.groups, key)[table.face]
    if zone.normal is not None:
        direction = np.asarray(zone.normal, np.float32)
        limit = np.cos(np.deg2rad(zone.cone_deg)) * np.linalg.norm(direction)
        inside &= table.normals @ direction >= limit - 1e-4
    if zone.edge_mm is not None:
        inside &= (table.edge_mm >= zone.edge_mm[0]) & (table.edge_mm <= zone.edge_mm[1])
    if zone.curvature_per_mm is not None:
        low, high = zone.curvature_per_mm
        curvature = face_curvature(mesh)[table.face]
        inside &= (curvature >= low) & (curvature <= high)
    if zone.mask:
        values = None if mesh.traits is None else mesh.traits.uv
        if values is None:
            raise ConfigError(
                f"{key}.mask: the part has no texture coordinates of its own; export it with"
                " them (OBJ, GLB), or use groups, normal, edge_mm or curvature_per_mm"
            )
        inside &= _painted(zone.mask, _at_texels(mesh, values), key)
    if zone.colour is not None:
        values = None if mesh.traits is None else mesh.traits.colours
        if values is None:
            raise ConfigError(
                f"{key}.colour: the part has no vertex colours; export it with them (PLY, GLB,"
                " OBJ), or use groups, normal, edge_mm or curvature_per_mm"
            )
        difference = np.abs(_at_texels(mesh, values) - np.asarray(zone.colour, np.float32))
        inside &= difference.max(axis=1) <= zone.colour_within
    return inside


def face_curvature(mesh: PartMesh) -> np.ndarray:
    """Return each face's curvature of largest size, 1/mm, positive outward, shape (F,), float32."""
    p = mesh.vertices_mm.astype(np.float64)[mesh.faces]
    n = mesh.normals.astype(np.float64)[mesh.faces]
    mean = n.sum(axis=1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    x = p[:, 1] - p[:, 0]
    x -= np.einsum("ij,ij->i", x, mean)[:, None] * mean
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    axes = np.stack([x, np.cross(mean, x)], axis=2)
    # The shape operator S takes a step along the surface to the normal's change.
    steps = np.stack([p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]], axis=1) @ axes
    turns = np.stack([n[:, 1] - n[:, 0], n[:, 2] - n[:, 0]], axis=1) @ axes
    area = steps[:, 0, 0] * steps[:, 1, 1] - steps[:, 0, 1] * steps[:, 1, 0]
    safe = np.abs(area) > 1e-9
    inverse = np.stack(
        [
            np.stack([steps[:, 1, 1], -steps[:, 0, 1]], axis=1),
            np.stack([-steps[:, 1, 0], steps[:, 0, 0]], axis=1),
        ],
        axis=1,
    )
    shape = inverse @ turns / np.where(safe, area, 1.0)[:, None, None]
    middle = (shape[:, 0, 0] + shape[:, 1, 1]) / 2
    cross = (shape[:, 0, 1] + shape[:, 1, 0]) / 2
    spread = np.hypot((shape[:, 0, 0] - shape[:, 1, 1]) / 2, cross)
    largest = np.where(middle >= 0, middle + spread, middle - spread)
    return np.where(safe, largest, 0.0).astype(np.float32)


def _faces_of(traits: FaceTraits | None, names: tuple[str, ...], key: str) -> np.ndarray:
    if traits is None or not traits.groups:
        raise ConfigError(
            f"{key}.groups: the part names no groups; give its faces groups or materials (OBJ,"
            " GLB) or colours (STEP), or use normal, edge_mm or curvature_per_mm"
        )
    for name in names:
        if name not in traits.groups:
            raise ConfigError(f"{key}.groups: no group {name!r}{suggest(name, traits.groups)}")
    return np.any([traits.groups[name] for name in names], axis=0)


def _at_texels(mesh: PartMesh, values: np.ndarray) -> np.ndarray:
    """Return values given by corner, (F, 3, K), at each texel, (N, K), float32."""
    table = mesh.texels
    p = mesh.vertices_mm[mesh.faces[table.face]]
    a, b, to = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0], table.positions_mm - p[:, 0]
    aa, bb, ab = (np.einsum("ij,ij->i", u, v) for u, v in ((a, a), (b, b), (a, b)))
    ta, tb = np.einsum("ij,ij->i", to, a), np.einsum("ij,ij->i", to, b)
    area = np.maximum(aa * bb - ab * ab, 1e-12)
    second, third = (bb * ta - ab * tb) / area, (aa * tb - ab * ta) / area
    # Carried on beyond a chart's border, as the texels' positions are.
    weights = np.stack([1 - second - third, second, third], axis=1)
    return np.einsum("nc,nck->nk", weights, values[table.face]).astype(np.float32)


def _painted(path: str, uv: np.ndarray, key: str) -> np.ndarray:
    try:
        found = find_file(path)
    except AssetError as error:
        raise AssetError(f"{key}.mask: {error}") from None
    image = cv2.imread(str(found), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise AssetError(f"{key}.mask: {path}: no image that can be read; save it as PNG")
    height, width = image.shape
    if max(height, width) > MAX_MASK_PX:
        raise AssetError(
            f"{key}.mask: {path}: {width} x {height} pixels, at most {MAX_MASK_PX} a side;"
            " save it smaller"
        )
    known = np.isfinite(uv).all(axis=1)
    place = np.where(known[:, None], uv, 0.0)
    place = place - np.floor(place)
    column = np.minimum((place[:, 0] * width).astype(int), width - 1)
    row = np.minimum(((1 - place[:, 1]) * height).astype(int), height - 1)
    return known & (image[row, column] >= 128)
