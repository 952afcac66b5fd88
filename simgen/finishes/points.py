"""Points: a run of a part's texels as finishes see them, and the frame of the process there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simgen.finishes.noise import relief, speckle
from simgen.parts.mesh import TexelTable
from simgen.scene.spec import FinishSpec

_UNIT = np.eye(3, dtype=np.float32)
# Where two parts of a normal differ by less, their planes' fields are mixed.
_SEAM = 0.2


@dataclass(frozen=True, kw_only=True)
class ProcessFrame:
    """Where points lie along and across the process.

    Attributes:
        across_mm, along_mm: Lengths, shape (n,).
        across: Unit direction in which `across_mm` grows, shape (3, n) or (3, 1).
        depth_mm: How far below the land a point lies, shape (n,), None if not known.
    """

    across_mm: np.ndarray
    along_mm: np.ndarray
    across: np.ndarray
    depth_mm: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Points:
    """Texels, components first: numpy is slow along an axis of three.

    Attributes:
        position: Part-local mm, shape (3, n), float32.
        normal: Unit, shape (3, n).
        edge_mm: Distance to the nearest sharp edge, shape (n,).
        edge_direction: Unit vector toward it, shape (n, 3).
        texel_mm: Distance between neighbouring texels.
        frame: Along and across the process.
    """

    position: np.ndarray
    normal: np.ndarray
    edge_mm: np.ndarray
    edge_direction: np.ndarray
    texel_mm: float
    frame: ProcessFrame

    @property
    def count(self) -> int:
        """Return n."""
        return len(self.edge_mm)

    def speckle(self, cell_mm: float, seed: int) -> np.ndarray:
        """Return `noise.speckle` on the planes that the surface faces most, shape (n,)."""
        u, v, _ = self._plane
        values, seam = speckle(u, v, cell_mm, seed), self._seam
        if seam is not None:
            values = values.copy()
            other = speckle(seam.u, seam.v, cell_mm, seed)
            values[seam.index] = seam.mixed(values[seam.index], other)
        return values

    def relief(self, cell_mm: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return `noise.relief`: a height (n,) and its gradient on the surface (3, n)."""
        u, v, facing = self._plane
        height, du, dv = relief(u, v, cell_mm, seed).T[:3]
        slope = _along_plane(du, dv, facing)
        seam = self._seam
        if seam is not None:
            height = height.copy()
            h, du, dv = relief(seam.u, seam.v, cell_mm, seed).T[:3]
            height[seam.index] = seam.mixed(height[seam.index], h)
            other = _along_plane(du, dv, seam.facing)
            slope[:, seam.index] = seam.mixed(slope[:, seam.index], other)
        return height, self.tangent(slope)

    def tile(
        self, look: Callable[[np.ndarray, np.ndarray], np.ndarray], aside_mm: np.ndarray
    ) -> np.ndarray:
        """Return what `look` finds at flat coordinates, moved aside by (n,) mm: (n,) or (n, C)."""
        u, v, _ = self._plane
        values, seam = look(u + aside_mm, v - aside_mm), self._seam
        if seam is not None:
            values = values.copy()
            by = aside_mm[seam.index]
            other = look(seam.u + by, seam.v - by)
            values[seam.index] = seam.mixed(values[seam.index].T, other.T).T
        return values

    @cached_property
    def _plane(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coordinates (u, v) on the plane that the surface faces most, and which: 0 x, 1 y, 2 z."""
        size = np.abs(self.normal)
        facing = (size[1] > size[0]).astype(np.int8)
        facing[size[2] > np.maximum(size[0], size[1])] = 2
        return (*_on_plane(self.position, facing), facing)

    @cached_property
    def _seam(self) -> "_Seam | None":
        """Points that face two planes nearly alike."""
        facing = self._plane[2]
        most = np.abs(self.normal).max(axis=0)
        # Beyond this nothing is near in second place.
        near = np.flatnonzero(most < np.float32(0.81))
        if not len(near):
            return None
        size, first, most = np.abs(self.normal[:, near]), facing[near], most[near]
        for axis in range(3):
            size[axis][first == axis] = 0
        next_most = size.max(axis=0)
        close = np.flatnonzero(next_most > most - np.float32(_SEAM))
        if not len(close):
            return None
        near, second = near[close], size[:, close].argmax(axis=0).astype(np.int8)
        share = 0.5 + (most[close] - next_most[close]) * np.float32(0.5 / _SEAM)
        u, v = _on_plane(self.position[:, near], second)
        return _Seam(index=near, u=u, v=v, facing=second, share=share)

    def take(self, index: np.ndarray) -> "Points":
        """Return some of the points; they keep no frame of their own."""
        return Points(
            position=self.position.take(index, axis=1),
            normal=self.normal.take(index, axis=1),
            edge_mm=self.edge_mm[index],
            edge_direction=self.edge_direction[index],
            texel_mm=self.texel_mm,
            frame=self.frame,
        )

    def tangent(self, gradient: np.ndarray) -> np.ndarray:
        """Return `gradient` (3, n) without its part along the normal, in place."""
        along = (gradient * self.normal).sum(axis=0)
        gradient -= along * self.normal
        return gradient


@dataclass(frozen=True, kw_only=True)
class _Seam:
    """Points where the field on one plane goes over into that on the next one.

    Attributes:
        index: Which points, shape (m,).
        u, v, facing: On the plane that they face second most.
        share: Of the first plane, from 0.5 to 1.
    """

    index: np.ndarray
    u: np.ndarray
    v: np.ndarray
    facing: np.ndarray
    share: np.ndarray

    def mixed(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return both fields (..., m) mixed, their deviation kept."""
        a, b = self.share, 1 - self.share
        mixed: np.ndarray = (a * first + b * second) / np.sqrt(a * a + b * b)
        return mixed


def _on_plane(p: np.ndarray, facing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # The planes' noise is not the same: they are far apart in the tile.
    away_u, away_v = np.float32(211.3), np.float32(173.7)
    one = int(facing[0])
    if (facing == one).all():
        u, v = p[1 if one == 0 else 0], p[2 if one < 2 else 1]
        return u + away_u if one == 0 else u, v + away_v if one == 1 else v
    u, v = p[0].copy(), p[1].copy()
    on_x = facing == 0
    np.copyto(u, p[1], where=on_x)
    np.copyto(v, p[2], where=facing < 2)
    u += on_x * away_u
    v += (facing == 1) * away_v
    return u, v


def _along_plane(du: np.ndarray, dv: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Return slopes (n,) along a plane's u and v as a gradient, (3, n)."""
    gradient = np.zeros((3, len(du)), np.float32)
    np.copyto(gradient[0], du, where=facing > 0)
    np.copyto(gradient[1], du, where=facing == 0)
    np.copyto(gradient[1], dv, where=facing == 2)
    np.copyto(gradient[2], dv, where=facing < 2)
    return gradient


def points_of(texels: TexelTable, part: slice, spec: FinishSpec, texel_mm: float) -> Points:
    """Return the texels of a slice."""
    position = np.ascontiguousarray(texels.positions_mm[part].T)
    normal = np.ascontiguousarray(texels.normals[part].T)
    return Points(
        position=position,
        normal=normal,
        edge_mm=texels.edge_mm[part],
        edge_direction=texels.edge_direction[part],
        texel_mm=texel_mm,
        frame=_frame(spec, position, normal),
    )


def texel_size_mm(texels: TexelTable) -> float:
    """Return the typical distance of neighbouring texels in mm, to two digits.

    Rounded, so that a part of a table gives the same.
    """
    count = len(texels.rows)
    if count < 2:
        return 1.0
    first = np.arange(0, count - 1, max(count // 512, 1))
    first = first[texels.columns[first + 1] - texels.columns[first] == 1]
    if not len(first):
        return 1.0
    step = texels.positions_mm[first + 1] - texels.positions_mm[first]
    return float(f"{np.median(np.sqrt((step * step).sum(axis=1))):.2g}")


def _frame(spec: FinishSpec, p: np.ndarray, n: np.ndarray) -> ProcessFrame:
    """Return the frame of a process along or around `direction`, or along a helix about it.

    The helix has the lead `values.lead_mm`; `values.land_radius_mm` is the radius of what is
    no groove.
    """
    axis = np.asarray(spec.direction, np.float32)
    axis = axis / np.linalg.norm(axis)
    lead = spec.values.get("lead_mm", 0.0)
    if not (spec.around or lead > 0):
        return _straight(axis, p, n)
    height = axis @ p
    radial = p - height * axis[:, None]
    radius = np.sqrt((radial * radial).sum(axis=0))
    e1 = np.cross(axis, np.roll(axis, 1) if np.ptp(np.abs(axis)) > 0.1 else _UNIT[0])
    e2 = e1 / np.linalg.norm(e1)
    e1 = np.cross(e2, axis)
    angle = np.arctan2(e2 @ radial, e1 @ radial)
    land = spec.values.get("land_radius_mm", 0.0)
    depth = np.clip(np.float32(land) - radius, 0, None) if land > 0 else None
    outward = radial / np.maximum(radius, np.float32(1e-3))
    if lead > 0:
        return _helix(axis, float(lead), height, angle, outward, radius, n, depth)
    # On faces lines are spaced in radius, on walls in height.
    on_face = np.abs(axis @ n) > np.float32(0.7)
    return ProcessFrame(
        across_mm=np.where(on_face, radius, height),
        # There and back: without a seam where the angle starts anew.
        along_mm=np.abs(angle) * 20,
        across=np.where(on_face, outward, axis[:, None]),
        depth_mm=depth,
    )


def _straight(axis: np.ndarray, p: np.ndarray, n: np.ndarray) -> ProcessFrame:
    """One constant axis a facing keeps the coordinate continuous over gently curved faces."""
    first, second = sorted(np.argsort(np.abs(axis), kind="stable")[:2].tolist())
    on_first = np.abs(n[first]) < np.abs(n[second])
    if on_first.all() or not on_first.any():
        only = first if on_first[0] else second
        return ProcessFrame(across_mm=p[only], along_mm=axis @ p, across=_UNIT[only][:, None])
    across_mm = p[second].copy()
    np.copyto(across_mm, p[first], where=on_first)
    across = np.zeros_like(p)
    across[first], across[second] = on_first, ~on_first
    return ProcessFrame(across_mm=across_mm, along_mm=axis @ p, across=across)


def _helix(
    axis: np.ndarray,
    lead: float,
    height: np.ndarray,
    angle: np.ndarray,
    outward: np.ndarray,
    radius: np.ndarray,
    n: np.ndarray,
    depth: np.ndarray | None,
) -> ProcessFrame:
    """A strip one lead wide is wound up; its borders run along the process, so none shows."""
    turns = angle * np.float32(1 / (2 * np.pi))
    strip = np.rint(height * np.float32(1 / lead) - turns)
    turns += strip
    tangent = np.cross(axis, outward, axis=0) * radius
    tangent += axis[:, None] * np.float32(lead / (2 * np.pi))
    across = np.cross(n, tangent, axis=0)
    across /= np.maximum(np.sqrt((across * across).sum(axis=0)), np.float32(1e-6))
    # Counted the way in which the height grows.
    across *= np.where(axis @ across < 0, np.float32(-1), np.float32(1))
    return ProcessFrame(
        across_mm=height - np.float32(lead) * turns,
        along_mm=turns * np.float32(2 * np.pi * 20),
        across=across,
        depth_mm=depth,
    )
