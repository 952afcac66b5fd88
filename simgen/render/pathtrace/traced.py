"""A part's material for Mitsuba's compiled variants, written in Python.

It is traced into the kernel once an object. The scalar variant would call it for every
bounce, so that one takes meshes apart instead; see `grain`.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from simgen.finishes import Maps
from simgen.render.pathtrace.grain import Charted
from simgen.render.pathtrace.material import Covered, principled, surface_values, texture
from simgen.scene.spec import FinishSpec

_LEAST_FACING = 0.02


def covered_whole(
    mi: Any, mesh: Charted, maps: Maps, finish: FinishSpec, matrix: np.ndarray
) -> Covered:
    """Return a mesh that stands at `matrix` as one piece with its material."""
    height, width = maps.colour.shape[:2]
    values = surface_values(maps, (slice(0, height), slice(0, width)), lines=True)
    bsdf = _bsdf_class(mi.variant())(mi.Properties())
    bsdf.inner = principled(mi, values)
    bsdf.slope = mi.load_dict(texture(mi, maps.slope[..., :3]))
    bsdf.stand_at(matrix, finish)
    glow = None
    if finish.glow > 0:
        shine = texture(mi, finish.glow * values["base_color"])
        glow = mi.load_dict({"type": "area", "radiance": shine})
    return Covered(
        vertices_mm=mesh.vertices_mm,
        normals=mesh.normals,
        uv=mesh.texels / np.array([width, height]),
        faces=mesh.faces,
        bsdf=bsdf,
        glow=glow,
    )


@lru_cache(maxsize=4)
def _bsdf_class(variant: str) -> type:
    """Return the class for the variant that `mitsuba` is set to."""
    import drjit as dr
    import mitsuba as mi

    class Grained(mi.BSDF):
        """A BSDF in the frame of our maps' normal and process lines, as in colour.frag."""

        def __init__(self, props: Any) -> None:
            mi.BSDF.__init__(self, props)
            flags = mi.BSDFFlags
            self.m_components = [
                flags.DiffuseReflection | flags.FrontSide,
                flags.GlossyReflection | flags.FrontSide | flags.Anisotropic,
            ]
            self.m_flags = self.m_components[0] | self.m_components[1]

        def stand_at(self, matrix: np.ndarray, finish: FinishSpec) -> None:
            # Opaque numbers, so that all objects share one piece of code.
            def vector(values: Any) -> Any:
                made = mi.Vector3f(*(float(x) for x in values))
                dr.make_opaque(made)
                return made

            lead = finish.values.get("lead_mm", 0.0)
            self.axes = [vector(matrix[:3, k]) for k in range(3)]
            self.place = vector(matrix[:3, 3])
            self.direction = vector(finish.direction)
            self.around = vector([float(finish.around or lead > 0)] * 3)
            self.rise = vector([lead / (2 * np.pi)] * 3)

        def frame(self, si: Any, active: Any) -> Any:
            def to_world(v: Any) -> Any:
                return self.axes[0] * v.x + self.axes[1] * v.y + self.axes[2] * v.z

            slope = self.slope.eval_3(si, active)
            n = si.to_local(si.sh_frame.n - to_world(mi.Vector3f(slope)))
            n = dr.normalize(n)
            facing = dr.dot(n, si.wi)
            turned = dr.normalize(n + si.wi * (_LEAST_FACING - facing))
            n = dr.select(facing < _LEAST_FACING, turned, n)
            off = si.p - self.place
            local = mi.Vector3f(*(dr.dot(axis, off) for axis in self.axes))
            circle = dr.cross(self.direction, local) + self.rise * self.direction
            lines = self.around * circle + (1 - self.around) * self.direction
            s = dr.cross(n, si.to_local(to_world(lines)))
            length = dr.norm(s)
            s = dr.select(length > 1e-4, s / length, mi.coordinate_system(n)[0])
            return mi.Frame3f(s, dr.cross(n, s), n)

        def turned(self, si: Any, active: Any) -> tuple[Any, Any]:
            frame = self.frame(si, active)
            inner = mi.SurfaceInteraction3f(si)
            inner.wi = frame.to_local(si.wi)
            return frame, inner

        def sample(self, ctx: Any, si: Any, sample1: Any, sample2: Any, active: Any = True) -> Any:
            frame, inner = self.turned(si, active)
            drawn, weight = self.inner.sample(ctx, inner, sample1, sample2, active)
            wo = frame.to_world(drawn.wo)
            keep = active & (drawn.wo.z * wo.z > 0)
            drawn.wo = wo
            return drawn, weight & keep

        def eval(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> Any:
            frame, inner = self.turned(si, active)
            own = frame.to_local(wo)
            return self.inner.eval(ctx, inner, own, active & (own.z * wo.z > 0))

        def pdf(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> Any:
            frame, inner = self.turned(si, active)
            own = frame.to_local(wo)
            return self.inner.pdf(ctx, inner, own, active & (own.z * wo.z > 0))

        def eval_pdf(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> Any:
            frame, inner = self.turned(si, active)
            own = frame.to_local(wo)
            return self.inner.eval_pdf(ctx, inner, own, active & (own.z * wo.z > 0))

        def traverse(self, callback: Any) -> None:
            return None

        def to_string(self) -> str:
            return "Grained[]"

    return Grained
