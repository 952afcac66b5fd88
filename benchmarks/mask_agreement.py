"""Defect masks against an independent computation, and their sizes against what was asked for.

Usage: python benchmarks/mask_agreement.py [--defects 300] [--seed 0] [--size 320]

Each defect is drawn on a flat, cylindrical, spherical or bent part, from any side, every
third time through a distorting lens. The judge shares nothing with the label pass but the
mesh and the specs: rays through pixel centres (trimesh, Embree), lengths on the surface
from the part's own formula, and the outline as discs along a line or as a polygon. A
pixel's point in mm lies inside the widened outline or it does not.

Prints the share of pixels that agree, of those in the defects' boxes and of those that
either calls defect; how far the others lie from the outline; and the errors of sizes.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import shapely
import trimesh
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config.render import RendererConfig
from simgen.defects.kinds import KINDS
from simgen.defects.outlines import blob_radius
from simgen.defects.surface import Surface, SurfacePair
from simgen.finishes import Maps
from simgen.geometry import look_at, quaternion_of, to_vec3
from simgen.label.masks import view_masks
from simgen.parts.build import build_mesh
from simgen.parts.sites import pick_site
from simgen.render.raster import Raster
from simgen.sampling import stream
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    EnvironmentSpec,
    FinishSpec,
    ObjectSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)

STEEL = FinishSpec(kind="ground", colour=(0.5, 0.5, 0.5), roughness=0.5, metalness=0.2)
LENS = (-0.18, 0.06, 0.002, -0.0015, 0.0)
# Roughness, squareness and harmonics of the kinds whose outline is one blob.
BLOBS = {
    "corrosion": (0.2, 2.0, 14),
    "fray": (0.3, 2.0, 7),
    "stain": (0.16, 2.0, 7),
    "wear": (0.07, 3.2, 7),
}
LINES = ("crack", "scratch")
KINDS_TESTED = (*LINES, "blowhole", "pit", *BLOBS)
# How far beyond its half pixel an outline is widened, see docs/annotations.md.
WIDEN = 0.55


@dataclass(frozen=True, kw_only=True)
class Place:
    """A part, which side of it carries the defects, and that side's own geometry.

    `flat` maps part-local points (N, 3) to lengths on the surface (N, 2), and says which
    points are on the side at all; None for the sphere, which cannot be laid flat.
    """

    shape: ShapeSpec
    facing: tuple[float, float, float]
    flat: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None
    reach_mm: float


def plate() -> Place:
    """Return a plate's upper face."""

    def flat(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p[:, :2], np.abs(p[:, 2] - 3.0) < 1e-3

    size = {"length": 70.0, "width": 60.0, "thickness": 6.0}
    shape = ShapeSpec(kind="plate", size_mm=size, texel_mm=0.5)
    return Place(shape=shape, facing=(0.0, 0.0, 1.0), flat=flat, reach_mm=14.0)


def roll(radius: float) -> Place:
    """Return a cylinder's wall."""

    def flat(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        around = np.arctan2(p[:, 1], p[:, 0])
        on = np.abs(np.hypot(p[:, 0], p[:, 1]) - radius) < 0.02 * radius
        return np.stack([radius * around, p[:, 2]], axis=1), on & (np.abs(p[:, 2]) < 29.999)

    shape = ShapeSpec(kind="cylinder", size_mm={"radius": radius, "length": 60.0}, texel_mm=0.5)
    return Place(shape=shape, facing=(1.0, 0.0, 0.0), flat=flat, reach_mm=14.0)


def ball(radius: float) -> Place:
    """Return a sphere."""
    shape = ShapeSpec(kind="sphere", size_mm={"radius": radius}, texel_mm=0.5)
    return Place(shape=shape, facing=(0.0, 0.0, 1.0), flat=None, reach_mm=0.0)


def bend(inner: float) -> Place:
    """Return a bracket's outside: a face, its bend, and the other face."""
    thickness, leg = 3.0, 40.0
    outer = inner + thickness

    def flat(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, z = p[:, 0] + leg / 2, p[:, 2] + leg / 2
        angle = np.clip(np.arctan2(outer - x, outer - z), 0, np.pi / 2)
        along = np.where(
            x > outer,
            x - outer,
            np.where(z > outer, -np.pi / 2 * outer - (z - outer), -outer * angle),
        )
        off = np.where(x > outer, z, np.where(z > outer, x, outer - np.hypot(outer - x, outer - z)))
        return np.stack([along, p[:, 1]], axis=1), np.abs(off) < 0.02 * outer

    size = {"leg_a": leg, "leg_b": leg, "width": 44.0, "thickness": thickness, "bend": inner}
    shape = ShapeSpec(kind="bracket", size_mm={**size, "holes": 0.0}, texel_mm=0.5)
    return Place(shape=shape, facing=(-0.35, 0.0, -1.0), flat=flat, reach_mm=10.0)


PLACES = (plate(), roll(9.0), roll(22.0), ball(16.0), bend(4.0), bend(12.0))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One defect: pixel counts, the farthest disagreement in pixels, and sizes in mm.

    `sizes` maps a name to (asked for, measured, one pixel's footprint); empty where a part
    of the defect is hidden, cut off by a border or beyond its kind's limits.
    """

    kind: str
    place: str
    distorted: bool
    box_px: int
    union_px: int
    wrong_px: int
    farthest_px: float
    sizes: dict[str, tuple[float, float, float]]


def main() -> None:
    """Draw, judge and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--defects", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=320)
    args = parser.parse_args()
    raster = Raster(RendererConfig(allow_software=True, supersample=1))
    verdicts: list[Verdict] = []
    number = 0
    while len(verdicts) < args.defects:
        verdict = judge(raster, seed=args.seed, number=number, size_px=args.size)
        number += 1
        if verdict is not None:
            verdicts.append(verdict)
    raster.close()
    groups: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        groups[f"kind {verdict.kind}"].append(verdict)
        groups[f"part {verdict.place}"].append(verdict)
        groups["lens" if verdict.distorted else "no lens"].append(verdict)
    groups["all"] = verdicts
    for name in sorted(groups):
        print(summary(name, groups[name]))
    for verdict in verdicts:
        for name, (asked, got, px) in verdict.sizes.items():
            if not within(asked, got, px):
                print(
                    f"  {verdict.kind} on {verdict.place}: {name} {got:.2f} mm,"
                    f" asked for {asked:.2f}, pixel {px:.2f}"
                )


def summary(name: str, verdicts: list[Verdict]) -> str:
    """Return one line on some defects."""
    wrong = sum(v.wrong_px for v in verdicts)
    box, union = sum(v.box_px for v in verdicts), sum(v.union_px for v in verdicts)
    sizes = [s for v in verdicts for s in v.sizes.values()]
    good = sum(within(*s) for s in sizes)
    return (
        f"{name:16s} {len(verdicts):4d} defects, {100 * (1 - wrong / box):.3f} % of {box} pixels"
        f" agree ({100 * (1 - wrong / union):.3f} % of the defects' {union}), farthest"
        f" {max(v.farthest_px for v in verdicts):.2f} px, {good} of {len(sizes)} sizes within 5 %"
        " or a pixel"
    )


def within(asked_mm: float, measured_mm: float, pixel_mm: float) -> bool:
    """Return whether a size is within 5 % or one pixel's footprint of what was asked for."""
    return abs(measured_mm - asked_mm) <= max(0.05 * asked_mm, pixel_mm)


def judge(raster: Raster, *, seed: int, number: int, size_px: int) -> Verdict | None:
    """Draw one defect and return the verdict, or None where it cannot be seen."""
    rng = stream(seed, number, "mask agreement")
    place = PLACES[number % len(PLACES)]
    kind = KINDS_TESTED[(number // len(PLACES)) % len(KINDS_TESTED)]
    distorted = (number + number // len(PLACES)) % 3 == 2
    spec = draw_scene(rng, place, kind, size_px, distorted=distorted)
    (defect,) = spec.objects[0].defects
    drawn = raster.open(spec, bare(spec))
    try:
        masks = view_masks(spec, drawn, drawn.labels())
    finally:
        drawn.close()
    shape = (spec.camera.height, spec.camera.width)
    label = masks.defects[0].visible if masks.defects else np.zeros(shape, bool)
    seen = cast(spec, place, defect)
    truth = seen.inside(defect)
    union = label | truth
    if union.sum() < 12:
        return None
    box = box_of(union, 5)
    wrong = label != truth
    return Verdict(
        kind=kind,
        place=place.shape.kind,
        distorted=distorted,
        box_px=int(box.sum()),
        union_px=int(union.sum()),
        wrong_px=int(wrong.sum()),
        farthest_px=seen.farthest_px(defect, truth, wrong),
        sizes=seen.sizes(defect, label),
    )


def draw_scene(
    rng: np.random.Generator, place: Place, kind: str, size_px: int, *, distorted: bool
) -> SceneSpec:
    """Return one part with one defect that fills a good part of the picture."""
    mesh = build_mesh(place.shape)
    process = to_vec3(rng.normal(size=3))
    site = pick_site(
        rng, mesh, edge_mm=(place.reach_mm, np.inf), facing=(place.facing,), cone_deg=35.0,
        process_direction=process,
    )  # fmt: skip
    assert site is not None, place.shape.kind
    module = KINDS[kind]
    defect = module.sample(rng, module.Ranges(), site)
    reach = max(reach_mm(defect), 1.5)
    normal, along = np.asarray(site.normal), np.asarray(site.tangent)
    turn, tilt = rng.uniform(0, 2 * np.pi), np.tan(np.deg2rad(rng.uniform(0, 60)))
    side = np.cos(turn) * along + np.sin(turn) * np.cross(normal, along)
    away = (normal + tilt * side) / np.hypot(1, tilt)
    distance = float(rng.uniform(180, 400))
    eye = to_vec3(np.asarray(site.anchor_mm) + distance * away)
    # From a few pixels across to most of the picture.
    focal = distance * size_px * float(np.exp(rng.uniform(np.log(0.12), np.log(0.42)))) / reach
    middle = (size_px - 1) / 2
    camera = CameraSpec(
        width=size_px, height=size_px, fx=focal, fy=focal, cx=middle, cy=middle,
        pose=PoseSpec(
            position_mm=eye, quaternion=quaternion_of(look_at(eye, site.anchor_mm))
        ),
        distortion=(0.0,) * 5,
    )  # fmt: skip
    if distorted:
        # The lens's figures are for rays at a slope of 1; ours are at most size / 2 focal.
        slope = size_px / focal
        k1, k2, p1, p2, k3 = LENS
        camera = replace(
            camera, distortion=(k1 / slope**2, k2 / slope**4, p1 / slope, p2 / slope, k3)
        )
    item = ObjectSpec(
        name="part", category="part", shape=place.shape, finish=STEEL, defects=(defect,),
        body="none",
    )  # fmt: skip
    return SceneSpec(
        scene="agreement", objects=(item,), lights=(), environment=EnvironmentSpec(),
        camera=camera, sensor=SensorSpec(),
    )  # fmt: skip


def bare(spec: SceneSpec) -> list[SurfacePair]:
    """Return surfaces without material: the label pass needs none."""
    dot = np.full((1, 1, 4), 128, np.uint8)
    maps = Maps(colour=dot, slope=np.zeros((1, 1, 4), np.float16), extra=dot)
    surfaces = [Surface(mesh=build_mesh(o.shape), maps=maps, finish=o.finish) for o in spec.objects]
    return [SurfacePair(clean=s, damaged=s) for s in surfaces]


def reach_mm(defect: DefectSpec) -> float:
    """Return the distance of the outline's farthest point from the anchor, about."""
    if defect.points:
        return max(float(np.hypot(p[0], p[1])) + p[2] for p in defect.points)
    return 0.5 * float(np.hypot(defect.size_mm["length"], defect.size_mm["width"]))


@dataclass(kw_only=True)
class Seen:
    """What rays through pixel centres hit.

    Attributes:
        on: Pixels that see the defect's side within its kind's limits, (H, W), bool.
        uv: Lengths from the anchor in the defect's frame, (H, W, 2), float64, mm.
        step_x, step_y: How they change to the next pixel, (H, W, 2).
    """

    on: np.ndarray
    uv: np.ndarray
    step_x: np.ndarray
    step_y: np.ndarray

    def inside(self, defect: DefectSpec) -> np.ndarray:
        """Return which pixels lie inside the widened outline, (H, W), bool."""
        result = np.zeros(self.on.shape, bool)
        at = self.on & (np.abs(self.uv).max(axis=-1) < reach_mm(defect) + 3.0)
        uv, sx, sy = self.uv[at], self.step_x[at], self.step_y[at]
        if defect.kind in LINES:
            result[at] = beyond_discs(defect, uv, sx, sy) <= 0
        else:
            result[at] = shapely.contains_xy(polygon(defect), uv[:, 0], uv[:, 1])
        return result

    def farthest_px(self, defect: DefectSpec, truth: np.ndarray, wrong: np.ndarray) -> float:
        """Return how far the farthest of some pixels lies from the widened outline, in pixels.

        Where a mask ends because the part or the kind's limit does, in whole pixels.
        """
        if not wrong.any():
            return 0.0
        inside = truth.astype(np.uint8)
        steps = [cv2.distanceTransform(m, cv2.DIST_C, 3)[wrong] for m in (1 - inside, inside)]
        uv, sx, sy = (a[wrong] for a in (self.uv, self.step_x, self.step_y))
        if defect.kind in LINES:
            gap = np.abs(beyond_discs(defect, uv, sx, sy))
        else:
            gap = shapely.distance(polygon(defect).boundary, shapely.points(uv))
            gap /= np.minimum(np.linalg.norm(sx, axis=1), np.linalg.norm(sy, axis=1))
        return float(np.minimum(gap, np.maximum(*steps)).max())

    def sizes(self, defect: DefectSpec, mask: np.ndarray) -> dict[str, tuple[float, float, float]]:
        """Return asked for, measured and footprint of length and width, if all is seen."""
        around = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        border = mask[[0, -1]].any() or mask[:, [0, -1]].any()
        if not mask.any() or border or not self.on[around].all():
            return {}
        uv, sx, sy = self.uv[mask], self.step_x[mask], self.step_y[mask]
        asked = defect.size_mm
        if defect.kind not in LINES:
            px = [float(np.hypot(sx[:, k], sy[:, k]).max()) for k in (0, 1)]
            got = [float(np.ptp(uv[:, k])) + px[k] for k in (0, 1)]
            return {
                "length": (asked["length"], got[0], px[0]),
                "width": (asked["width"], got[1], px[1]),
            }
        main = [p for p in defect.points if p[3] == 0]
        strands = len({p[3] for p in defect.points})
        if defect.kind == "scratch" and strands > 1:
            return {}
        at, half, along, normal = sampled(main)
        reach, nearest = cKDTree(at).query(uv)
        pixel = np.maximum(np.linalg.norm(sx, axis=1), np.linalg.norm(sy, axis=1))
        own = reach < np.maximum(half[nearest], WIDEN * pixel) + 0.01
        uv, sx, sy, nearest = uv[own], sx[own], sy[own], nearest[own]
        n = normal[nearest]
        across = ((uv - at[nearest]) * n).sum(axis=1)
        px_n = np.hypot((sx * n).sum(axis=1), (sy * n).sum(axis=1))
        t = np.stack([n[:, 1], -n[:, 0]], axis=1)
        px_t = np.hypot((sx * t).sum(axis=1), (sy * t).sum(axis=1))
        # The widest place: the span of pixels in a piece three pixels long.
        bins = (along[nearest] / (3 * px_t.mean())).astype(int)
        spans = [np.ptp(across[bins == b]) for b in np.unique(bins)]
        widest = max(asked["width"], 2 * WIDEN * float(px_n.mean()))
        ends = float(np.ptp(along[nearest])) + float(px_t.mean())
        return {
            "length": (asked["length"], ends, float(px_t.max())),
            "width": (widest, float(max(spans)) + 0.5 * float(px_n.mean()), float(px_n.max())),
        }


def cast(spec: SceneSpec, place: Place, defect: DefectSpec) -> Seen:
    """Cast rays through all pixel centres and lay what they hit flat around the anchor."""
    mesh = build_mesh(place.shape)
    body = trimesh.Trimesh(mesh.vertices_mm.astype(np.float64), mesh.faces, process=False)
    origin, rays = pixel_rays(spec.camera)
    face = body.ray.intersects_first(np.broadcast_to(origin, rays.shape), rays)
    hit = face >= 0
    corner, normal = body.triangles[face, 0], body.face_normals[face]
    reach = ((corner - origin) * normal).sum(axis=1) / (rays * normal).sum(axis=1)
    points = origin + reach[:, None] * rays
    points[~hit] = 0
    shape = (spec.camera.height, spec.camera.width)
    uv, on, tangents = laid_flat(place, defect, points)
    steps = []
    turned = spec.camera.pose.matrix()[:3, :3]
    for axis in (0, 1):
        shift = np.zeros(2)
        shift[axis] = 1.0
        beside = (ray_slopes(spec.camera, shift) @ turned.T).reshape(-1, 3)
        length = ((corner - origin) * normal).sum(axis=1) / (beside * normal).sum(axis=1)
        move = origin + length[:, None] * beside - points
        steps.append(np.einsum("nij,nj->ni", tangents, move).reshape(*shape, 2))
    return Seen(
        on=(hit & on).reshape(shape), uv=uv.reshape(*shape, 2), step_x=steps[0], step_y=steps[1]
    )


def laid_flat(
    place: Place, defect: DefectSpec, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lengths (N, 2), which points count, and the lengths' derivatives (N, 2, 3)."""
    anchor = np.asarray(defect.anchor_mm)
    n = np.asarray(defect.normal) / np.linalg.norm(defect.normal)
    t = np.asarray(defect.tangent) - n * (np.asarray(defect.tangent) @ n)
    t /= np.linalg.norm(t)
    b = np.cross(n, t)
    limit = np.deg2rad(defect.values.get("max_turn_deg", 40.0))
    tiny = 1e-4
    if place.flat is None:

        def flat(p: np.ndarray) -> np.ndarray:
            radius = np.linalg.norm(anchor)
            unit = p / np.maximum(np.linalg.norm(p, axis=1, keepdims=True), 1e-9)
            angle = np.arccos(np.clip(unit @ n, -1, 1))
            flat_dir = np.stack([unit @ t, unit @ b], axis=1)
            length = np.maximum(np.linalg.norm(flat_dir, axis=1, keepdims=True), 1e-12)
            return radius * angle[:, None] * flat_dir / length

        unit = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
        on = unit @ n > np.cos(limit)
    else:
        chart = place.flat
        around = np.stack(
            [anchor + tiny * t, anchor - tiny * t, anchor + tiny * b, anchor - tiny * b]
        )
        here, _ = chart(anchor[None])
        near, _ = chart(around)
        frame = np.stack([near[0] - near[1], near[2] - near[3]], axis=1) / (2 * tiny)
        back = np.linalg.inv(frame)

        def flat(p: np.ndarray) -> np.ndarray:
            return (chart(p)[0] - here) @ back.T

        _, on = chart(points)
        on = on & (normals_of(place, points) @ n > np.cos(limit))
    uv = flat(points)
    derivatives = np.stack(
        [(flat(points + tiny * e) - flat(points - tiny * e)) / (2 * tiny) for e in np.eye(3)],
        axis=-1,
    )
    return uv, on, derivatives


def normals_of(place: Place, p: np.ndarray) -> np.ndarray:
    """Return the analytic unit normals of a side that can be laid flat."""
    if place.shape.kind == "plate":
        return np.tile([0.0, 0.0, 1.0], (len(p), 1))
    if place.shape.kind == "cylinder":
        n = p * [1.0, 1.0, 0.0]
    else:
        size = place.shape.size_mm
        outer = size["bend"] + size["thickness"]
        x, z = p[:, 0] + size["leg_a"] / 2, p[:, 2] + size["leg_b"] / 2
        n = np.stack([np.minimum(x - outer, 0), 0 * x, np.minimum(z - outer, 0)], axis=1)
        n[(x > outer)] = [0, 0, -1]
        n[(z > outer)] = [-1, 0, 0]
    return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)


def pixel_rays(camera: CameraSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the eye (3,) and the unit rays of all pixel centres (H * W, 3) in the world."""
    rays = ray_slopes(camera, np.zeros(2)) @ camera.pose.matrix()[:3, :3].T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return np.asarray(camera.pose.position_mm, np.float64), rays


def ray_slopes(camera: CameraSpec, shift: np.ndarray) -> np.ndarray:
    """Return camera-frame rays (x, y, 1) of pixel centres moved by `shift`, (H * W, 3).

    The lens is inverted by Newton steps on OpenCV's published model.
    """
    y, x = np.mgrid[0 : camera.height, 0 : camera.width].astype(np.float64)
    want = np.stack(
        [(x + shift[0] - camera.cx) / camera.fx, (y + shift[1] - camera.cy) / camera.fy], axis=-1
    ).reshape(-1, 2)
    at = want.copy()
    if any(camera.distortion):
        for _ in range(30):
            error = lens(at, camera.distortion) - want
            tiny = 1e-7
            columns = [
                (lens(at + tiny * e, camera.distortion) - lens(at - tiny * e, camera.distortion))
                / (2 * tiny)
                for e in np.eye(2)
            ]
            at -= np.linalg.solve(np.stack(columns, axis=-1), error[..., None])[..., 0]
            if np.abs(error).max() < 1e-13:
                break
    return np.concatenate([at, np.ones((len(at), 1))], axis=1)


def lens(p: np.ndarray, distortion: tuple[float, ...]) -> np.ndarray:
    """Return where a lens puts ideal points (N, 2), both as slopes."""
    k1, k2, p1, p2, k3 = distortion
    x, y = p[:, 0], p[:, 1]
    r = x * x + y * y
    radial = 1 + r * (k1 + r * (k2 + r * k3))
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r + 2 * x * x),
            y * radial + p1 * (r + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )


def sampled(
    rows: list[tuple[float, ...]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points every 0.01 mm along a strand, half widths, lengths and normals."""
    path = np.array([row[:3] for row in rows])
    at, half, along, normal = [path[:1, :2]], [path[:1, 2]], [np.zeros(1)], [np.array([[0.0, 1.0]])]
    start = 0.0
    for a, b in zip(path, path[1:], strict=False):
        d = b[:2] - a[:2]
        length = float(np.hypot(*d))
        s = np.linspace(0, 1, max(int(length / 0.01), 2) + 1)[:, None]
        at.append(a[:2] + s * d)
        half.append(a[2] + s[:, 0] * (b[2] - a[2]))
        along.append(start + s[:, 0] * length)
        normal.append(np.tile(np.array([-d[1], d[0]]) / max(length, 1e-12), (len(s), 1)))
        start += length
    normal[0] = normal[1][:1] if len(normal) > 1 else normal[0]
    return (
        np.concatenate(at), np.concatenate(half), np.concatenate(along), np.concatenate(normal)
    )  # fmt: skip


def beyond_discs(
    defect: DefectSpec, uv: np.ndarray, step_x: np.ndarray, step_y: np.ndarray
) -> np.ndarray:
    """Return how far points lie outside the discs along the strands, in pixels, negative inside.

    Discs are at least a pixel wide.
    """
    result = np.full(len(uv), np.inf)
    for strand in sorted({p[3] for p in defect.points}):
        at, half, _, _ = sampled([p for p in defect.points if p[3] == strand])
        near, which = cKDTree(at).query(uv, k=min(150, len(at)))
        # The nearest discs by their middles, then the one whose border is nearest of these.
        best = np.argmin(near - half[which], axis=1)
        row = np.arange(len(uv))
        distance, nearest = near[row, best], which[row, best]
        toward = uv - at[nearest]
        toward /= np.maximum(np.linalg.norm(toward, axis=1, keepdims=True), 1e-12)
        pixel = np.hypot((step_x * toward).sum(axis=1), (step_y * toward).sum(axis=1))
        pixel = np.maximum(pixel, 1e-9)
        result = np.minimum(result, (distance - np.maximum(half[nearest], WIDEN * pixel)) / pixel)
    return result


def polygon(defect: DefectSpec) -> shapely.Geometry:
    """Return a blob's outline, or the union of several, as a polygon of many corners."""
    size, values = defect.size_mm, defect.values
    if defect.kind in BLOBS:
        roughness, square, harmonics = BLOBS[defect.kind]
    else:
        roughness, square, harmonics = values["outline"], values["squareness"], 7
    lobes = defect.points or ((0.0, 0.0, 0.0, size["length"] / 2, size["width"] / 2),)
    pieces = []
    for k, (u, v, _, half_u, half_v, *_) in enumerate(lobes):
        angle = np.linspace(0, 2 * np.pi, 4001)[:-1]
        c, s = np.cos(angle), np.sin(angle)
        radius = (np.abs(c) ** square + np.abs(s) ** square) ** (-1 / square)
        radius *= blob_radius(angle, defect.seed + k, roughness, harmonics)
        ring = np.stack([radius * c, radius * s], axis=1)
        low, high = ring.min(axis=0), ring.max(axis=0)
        ring = (ring - (low + high) / 2) * 2 / (high - low) * [half_u, half_v] + [u, v]
        pieces.append(shapely.Polygon(ring).buffer(0))
    whole = shapely.union_all(pieces)
    shapely.prepare(whole)
    return whole


def box_of(mask: np.ndarray, margin: int) -> np.ndarray:
    """Return the box around a mask as a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.zeros_like(mask)
    box[
        max(rows[0] - margin, 0) : rows[-1] + margin + 1,
        max(columns[0] - margin, 0) : columns[-1] + margin + 1,
    ] = True
    return box


if __name__ == "__main__":
    main()
