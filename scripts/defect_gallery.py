"""Render every defect kind and distractor close up, and write docs/defects.md around it.

Usage: python scripts/defect_gallery.py [--out docs] [--kinds pit,crack] [--software]

One picture a kind: flat and curved parts with the finishes of the scene `inspection`,
each drawn from the kind's default ranges, below it the same with its label outlined.
The tables are read from the kinds' `Ranges`. --kinds draws some pictures only, of kinds in
./defects too.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import compose
from simgen.config.render import LabelConfig, RenderConfig, parse_render
from simgen.defects.describe import describe
from simgen.defects.kinds import DEFECTS, DISTRACTORS, KINDS, kind_module
from simgen.defects.place import place
from simgen.geometry import look_at, quaternion_of, to_vec3
from simgen.label.frame import make_frame
from simgen.parts.build import build_mesh
from simgen.parts.sites import Placement, Site
from simgen.pipeline import FrameRenderer, render_view
from simgen.randomize.part import sample_finish
from simgen.sampling import FrameIndex, stream
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import (
    CameraSpec,
    DefectSpec,
    EnvironmentSpec,
    LightSpec,
    ObjectSpec,
    PanelSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)

ROOT = Path(__file__).resolve().parent.parent
TILE_PX = 208
QUALITY = 78
FINEST_PX_MM = 0.05
FIRST = FrameIndex(frame=0, scene=0, view=0, exposure=0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A part to show a defect on, and its finish in the scene `inspection`."""

    part: str
    size_mm: dict[str, float]
    finish: str
    facing: tuple[float, float, float] = (0.0, 0.0, 1.0)


PLATE = {"length": 64.0, "width": 46.0, "thickness": 4.0, "chamfer": 0.5}
ROLL = {"radius": 16.0, "length": 56.0, "chamfer": 0.6}
LOOKS = (
    Look(part="plate", size_mm=PLATE, finish="ground"),
    Look(part="plate", size_mm=PLATE, finish="painted"),
    Look(part="plate", size_mm=PLATE, finish="cast"),
    Look(part="cylinder", size_mm=ROLL, finish="turned", facing=(1.0, 0.0, 0.0)),
    Look(part="cylinder", size_mm=ROLL, finish="brushed", facing=(1.0, 0.0, 0.0)),
)
# For kinds that are at a hole.
HOLES = {**PLATE, "holes": 4.0, "hole": 7.0}
FLANGE = {
    "diameter": 64.0, "thickness": 7.0, "bore": 18.0, "hub_diameter": 30.0, "hub_height": 7.0,
    "bolts": 4.0, "bolt_hole": 6.0,
}  # fmt: skip
LOOKS_WITH_FEATURES = (
    Look(part="plate", size_mm=HOLES, finish="ground"),
    Look(part="plate", size_mm=HOLES, finish="painted"),
    Look(part="plate", size_mm=HOLES, finish="cast"),
    Look(part="flange", size_mm=FLANGE, finish="turned"),
    Look(part="flange", size_mm=FLANGE, finish="cast"),
)


def main() -> None:
    """Draw the pictures and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--kinds", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--software", action="store_true", help="render without a GPU")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    software = str(args.software).lower()
    config = parse_render(
        compose("render", ["+scene=inspection", f"renderer.allow_software={software}"])
    )
    folder = args.out / "img" / "defects"
    folder.mkdir(parents=True, exist_ok=True)
    renderer = FrameRenderer(config)
    for kind in args.kinds.split(",") if args.kinds else sorted(KINDS):
        strip = picture(renderer, config, kind, args.seed)
        cv2.imwrite(str(folder / f"{kind}.jpg"), strip, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(folder / f"{kind}.jpg")
    renderer.close()
    if not args.kinds:
        (args.out / "defects.md").write_text(page())


def picture(renderer: FrameRenderer, config: RenderConfig, kind: str, seed: int) -> np.ndarray:
    """Return the strip of one kind, BGR: all looks, and below each its label if it has one."""
    placement = getattr(kind_module(kind), "PLACEMENT", Placement())
    looks = LOOKS_WITH_FEATURES if placement.on_feature else LOOKS
    tiles = [portrait(renderer, config, kind, look, seed) for look in looks]
    rows = [np.concatenate([image for image, _ in tiles], axis=1)]
    if kind not in DISTRACTORS:
        rows.append(np.concatenate([labelled for _, labelled in tiles], axis=1))
    return np.concatenate(rows)


def portrait(
    renderer: FrameRenderer, config: RenderConfig, kind: str, look: Look, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a close-up of one defect, and the same with its label outlined, BGR."""
    ranges = parse_ranges(load_family("inspection"), config.scene)
    rng = stream(seed, 0, f"gallery {kind} on {look.part} {look.finish}")
    process = (0.0, 0.0, 1.0) if look.part == "cylinder" else (1.0, 0.0, 0.0)
    shape = ShapeSpec(kind=look.part, size_mm=look.size_mm, texel_mm=0.3)
    part = ObjectSpec(
        name=look.part, category=look.part, shape=shape, body="none",
        finish=sample_finish(rng, ranges.finishes[look.finish], process),
    )  # fmt: skip
    defect, site = _draw(rng, kind, part, look)
    camera, pixel_mm = _camera(defect, site, rng)
    part = dataclasses.replace(part, shape=dataclasses.replace(shape, texel_mm=0.9 * pixel_mm))
    labelled = kind not in DISTRACTORS
    part = dataclasses.replace(part, **{"defects" if labelled else "marks": (defect,)})
    scene = SceneSpec(
        scene="gallery", objects=(part,), lights=_lights(site, rng), environment=_studio(rng),
        camera=camera, sensor=_sensor(seed),
    )  # fmt: skip
    config = dataclasses.replace(config, labels=LabelConfig(min_contrast=0.0))
    frame = make_frame(FIRST, scene, render_view(renderer._renderer, scene, config), config.labels)
    image = np.ascontiguousarray(frame.image[..., ::-1])
    outlined = image.copy()
    for annotation in frame.annotations:
        if annotation.supercategory == "defect":
            edges, _ = cv2.findContours(
                annotation.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE
            )
            cv2.drawContours(outlined, edges, -1, (60, 60, 255), 1)
    return image, outlined


def _draw(
    rng: np.random.Generator, kind: str, part: ObjectSpec, look: Look
) -> tuple[DefectSpec, Site]:
    module = kind_module(kind)
    site = place(
        rng, kind, build_mesh(part.shape), part.finish,
        default=Placement(edge_mm=(9.0, np.inf)), facing=(look.facing,), cone_deg=25.0,
    )  # fmt: skip
    if site is None:
        raise SystemExit(f"{kind}: no place on the {look.part}")
    return module.sample(rng, module.Ranges(), site), site


def _extent(defect: DefectSpec) -> float:
    if getattr(kind_module(defect.kind), "PLACEMENT", Placement()).on_feature:
        # A thing that is not there shows by its fellows that are.
        return 40.0
    if defect.points:
        return 2 * max(float(np.hypot(p[0], p[1])) + p[2] for p in defect.points)
    return max(defect.size_mm.get("length", 0.0), max(defect.size_mm.values()))


def _camera(defect: DefectSpec, site: Site, rng: np.random.Generator) -> tuple[CameraSpec, float]:
    """Return a camera above the defect, tilted a little, and the size of its pixels in mm."""
    pixel = max(1.35 * _extent(defect) / TILE_PX, FINEST_PX_MM)
    normal, along = np.asarray(site.normal), np.asarray(site.tangent)
    turn = rng.uniform(0, 2 * np.pi)
    across = np.cross(normal, along)
    tilt = np.tan(np.deg2rad(rng.uniform(8, 28)))
    away = normal + tilt * (np.cos(turn) * along + np.sin(turn) * across)
    eye = np.asarray(defect.anchor_mm) + 320.0 * away / np.linalg.norm(away)
    target = to_vec3(np.asarray(defect.anchor_mm))
    middle = (TILE_PX - 1) / 2
    focal = 320.0 / pixel
    pose = PoseSpec(
        position_mm=to_vec3(eye), quaternion=quaternion_of(look_at(to_vec3(eye), target))
    )
    camera = CameraSpec(
        width=TILE_PX, height=TILE_PX, fx=focal, fy=focal, cx=middle, cy=middle, pose=pose
    )
    return camera, pixel


def _lights(site: Site, rng: np.random.Generator) -> tuple[LightSpec, ...]:
    """Return a key lamp from the side and a weak one opposite."""
    normal, along = np.asarray(site.normal), np.asarray(site.tangent)
    across = np.cross(normal, along)
    turn = rng.uniform(0, 2 * np.pi)
    lights = []
    for angle, height, power, size in ((turn, 0.75, 1.6, 60.0), (turn + 2.6, 1.4, 0.5, 150.0)):
        way = np.cos(angle) * along + np.sin(angle) * across + height * normal
        at = np.asarray(site.anchor_mm) + 500.0 * way / np.linalg.norm(way)
        lights.append(
            LightSpec(
                kind="disc",
                position_mm=to_vec3(at),
                target_mm=site.anchor_mm,
                axis=(0.0, 0.0, 1.0),
                size_mm=size,
                irradiance=power,
                shadow=not lights,
            )  # fmt: skip
        )
    return tuple(lights)


def _studio(rng: np.random.Generator) -> EnvironmentSpec:
    panels = tuple(
        PanelSpec(
            azimuth_deg=float(rng.uniform(0, 360)),
            elevation_deg=float(rng.uniform(10, 80)),
            width_deg=50.0,
            height_deg=35.0,
            radiance=1.5,
            softness=0.5,
        )  # fmt: skip
        for _ in range(4)
    )
    return EnvironmentSpec(
        zenith=(0.42, 0.43, 0.45), horizon=(0.4, 0.4, 0.39), ground=(0.25, 0.24, 0.23),
        panels=panels,
    )  # fmt: skip


def _sensor(seed: int) -> SensorSpec:
    return SensorSpec(
        exposure=0.62, contrast=0.2, defocus_px=0.4, shot_noise=0.008, read_noise=0.002,
        noise_seed=seed,
    )  # fmt: skip


def page() -> str:
    """Return docs/defects.md."""
    head = [
        "# Defects and distractors",
        "",
        "Written by `scripts/defect_gallery.py`; do not edit by hand.",
        "",
        "A defect is a shape in millimetres on a part's surface, with its relief and material; its",
        "outline is its label. A distractor is the same without the label. Which is which decides",
        "the scene's config: what stands under `scene.defects` is labelled, what stands under",
        "`scene.marks` is not. Each entry there has a `weight`, a `kind` (default: its own name)",
        "and `sizes`, whose keys are those of the tables below:",
        "",
        "```yaml",
        "scene:",
        "  defects:",
        "    scratch: {weight: 1.2, sizes: {length_mm: {loguniform: [8, 40]}}}",
        "    fine_scratch: {kind: scratch, sizes: {width_mm: 0.1, depth_mm: 0.01}}",
        "  marks:",
        "    fingerprint: {weight: 0.2}",
        "```",
        "",
        "Pictures: kinds with their default ranges on a ground, a painted and a cast plate, and on",
        "a turned and a brushed cylinder (missing features: on flanges); below them the labels.",
        "A kind of your own: see [CONTRIBUTING.md](../CONTRIBUTING.md#add-a-defect-kind).",
    ]
    lines = [*head, "", "## Defects", ""]
    for kind in sorted(DEFECTS):
        lines += section(kind)
    lines += ["## Distractors", ""]
    for kind in sorted(DISTRACTORS):
        lines += section(kind)
    return "\n".join(lines).rstrip() + "\n"


def section(kind: str) -> list[str]:
    """Return the Markdown lines of one kind."""
    described = describe(KINDS[kind])
    rows = [f"| `{r.key}` | {r.unit} | {r.default} | {r.limits} |" for r in described.rows]
    return [
        f"### {kind}",
        "",
        described.summary,
        "",
        f"![{kind}](img/defects/{kind}.jpg)",
        "",
        described.meaning,
        "",
        "| key | unit | default | allowed |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]


if __name__ == "__main__":
    main()
