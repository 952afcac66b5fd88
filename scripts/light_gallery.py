"""Render the same parts under every inspection rig, and write docs/lighting.md around it.

Usage: python scripts/light_gallery.py [--out docs] [--rigs ring,dome] [--software]

One picture a rig, its ranges at their defaults. The tables are read from the rigs' ranges.
--rigs draws some pictures only.
"""

import argparse
import dataclasses
import inspect
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import compose
from simgen.config.render import ImageConfig, RendererConfig, parse_render
from simgen.defects.describe import describe_fields
from simgen.defects.kinds import KINDS
from simgen.defects.surface import build_surfaces
from simgen.geometry import axis_rotation, look_at, quaternion_of
from simgen.parts.build import build_mesh
from simgen.parts.sites import Site
from simgen.randomize.camera import centred
from simgen.randomize.lighting import LightRanges, on_light_table, sample_lighting
from simgen.randomize.part import sample_finish
from simgen.randomize.rigs import RIGS, Rigs
from simgen.render.raster import Raster
from simgen.sampling import FrameIndex, Streams, stream
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import (
    DefectSpec,
    FinishSpec,
    ObjectSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)
from simgen.sensor import develop, noise_field, quantize

ROOT = Path(__file__).resolve().parent.parent
SIZE_PX = 440
QUALITY = 80
FLANGE = {
    "diameter": 64.0, "thickness": 7.0, "bore": 18.0, "hub_diameter": 32.0, "hub_height": 8.0,
    "bolts": 4.0, "bolt_hole": 6.0,
}  # fmt: skip
PLATE = {"length": 62.0, "width": 44.0, "thickness": 5.0, "chamfer": 0.6, "corner": 5.0}
HOLES = {**PLATE, "holes": 2.0, "hole": 7.0}
# Kind, finish in the scene `inspection`, dimensions, place, turn about z.
PARTS = (
    ("flange", "turned", FLANGE, (-38.0, 36.0), 10.0),
    ("plate", "ground", PLATE, (36.0, 38.0), 25.0),
    ("plate", "painted", HOLES, (-38.0, -36.0), -20.0),
    ("plate", "cast", HOLES, (34.0, -34.0), 65.0),
)


def main() -> None:
    """Render and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    parser.add_argument("--rigs", default="")
    parser.add_argument("--software", action="store_true", help="without a GPU")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    names = [n for n in args.rigs.split(",") if n] or ["bench", *RIGS]
    folder = args.out / "img" / "lighting"
    folder.mkdir(parents=True, exist_ok=True)
    raster = Raster(RendererConfig(allow_software=args.software))
    config = parse_render(compose("render", ["+scene=inspection"]))
    ranges = parse_ranges(load_family("inspection"), config.scene)
    objects = parts(ranges)
    for name in names:
        image = picture(raster, objects, only(ranges.lights, name))
        cv2.imwrite(
            str(folder / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
    raster.close()
    (args.out / "lighting.md").write_text(page(ranges.lights))


def only(lights: LightRanges, name: str) -> LightRanges:
    """Return the ranges with one rig alone."""
    rigs = {
        f.name: dataclasses.replace(getattr(Rigs(), f.name), weight=float(f.name == name))
        for f in dataclasses.fields(Rigs)
    }
    return dataclasses.replace(lights, rigs=Rigs(**rigs))


def parts(ranges) -> tuple[ObjectSpec, ...]:  # noqa: ANN001
    """Return a bench and four parts on it, a scratch and a dent on each."""
    rng = stream(2, 0, "light gallery")
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench",
            size_mm={"length": 840.0, "width": 840.0, "thickness": 20.0},
            texel_mm=1.4,
        ),
        finish=FinishSpec(kind="worktop", colour=(0.2, 0.2, 0.21), roughness=0.7, metalness=0.0),
        body="fixed",
        casts_shadow=False,
    )
    made = [bench]
    for k, (kind, finish, size, (x, y), turn) in enumerate(PARTS):
        thick = size["thickness"]
        process = (1.0, 0.0, 0.0)
        shape = ShapeSpec(kind=kind, size_mm=size, texel_mm=0.25)
        low = float(build_mesh(shape).vertices_mm[:, 2].min())
        top, rise = low + thick, -low
        quaternion = quaternion_of(axis_rotation((0.0, 0.0, 1.0), turn))
        made.append(
            ObjectSpec(
                name=f"{kind}{k}",
                category=kind,
                shape=shape,
                finish=sample_finish(rng, ranges.finishes[finish], process),
                pose=PoseSpec(position_mm=(x, y, rise), quaternion=quaternion),
                defects=(
                    defect("scratch", rng, (-4.0, -14.0 if kind == "plate" else -23.0, top)),
                    defect("dent", rng, (10.0, 10.0 if kind == "plate" else 22.0, top)),
                ),
            )
        )
    return tuple(made)


def defect(kind: str, rng: np.random.Generator, at: tuple[float, float, float]) -> DefectSpec:
    """Return a defect of default ranges on a face that looks up."""
    site = Site(
        anchor_mm=at, normal=(0.0, 0.0, 1.0), tangent=(1.0, 0.0, 0.0), edge_mm=8.0,
        edge_direction=(0.0, 1.0, 0.0),
    )  # fmt: skip
    return KINDS[kind].sample(rng, KINDS[kind].Ranges(), site)


def picture(raster: Raster, objects: tuple[ObjectSpec, ...], lights: LightRanges) -> np.ndarray:
    """Return the parts under one rig, shape (SIZE_PX, SIZE_PX, 3), uint8."""
    eye, target = (30.0, -95.0, 470.0), (0.0, 0.0, 0.0)
    camera = centred(
        ImageConfig(width=SIZE_PX, height=SIZE_PX), 2.5 * SIZE_PX, eye, look_at(eye, target)
    )
    streams = Streams(seed=11, index=FrameIndex(frame=0, scene=0, view=0, exposure=0))
    lighting = sample_lighting(streams, lights, target, camera)
    scene = SceneSpec(
        scene="light gallery",
        objects=on_light_table(objects, lighting.glow),
        lights=lighting.lights,
        environment=lighting.environment,
        camera=camera,
        sensor=SensorSpec(
            exposure=0.85, contrast=0.2, defocus_px=0.4, shot_noise=0.006, read_noise=0.002
        ),
    )
    drawn = raster.open(scene, [build_surfaces(o) for o in scene.objects])
    try:
        levels = develop(
            drawn.colour(), scene.sensor, origin=(0, 0), camera_size=(SIZE_PX, SIZE_PX),
            noise=noise_field(scene.sensor, SIZE_PX, SIZE_PX),
        )  # fmt: skip
        return quantize(levels, scene.sensor)
    finally:
        drawn.close()


def page(lights: LightRanges) -> str:
    """Return docs/lighting.md."""
    lines = [
        "# Inspection lighting",
        "",
        "Written by `scripts/light_gallery.py`; do not edit by hand.",
        "",
        "A scene's light is one of the rigs below, drawn by weight; all views of a scene share it.",
        "A rig with weight 0 does not occur, and by itself only the bench does. Any key left out",
        "has its default.",
        "",
        "```yaml",
        "scene:",
        "  lights:",
        "    rigs:",
        "      bench: {weight: 2}",
        "      dome: {weight: 1}",
        "      dark_field: {weight: 1, irradiance: {loguniform: [0.3, 1.2]}, elevation_deg: 12}",
        "```",
        "",
        "`irradiance` is what arrives at the middle of the parts, in units in which pi makes a",
        "white surface there have radiance 1: of the dome and the dark field on a surface that",
        "looks up, of the others on one that looks at the lamp. `room` is the intensity of the",
        "hall behind the rig, 0 for none. Lengths are for a part seen from about half a metre;",
        "`own_part` scales them with the part. What is drawn becomes `lights`, `environment` and",
        "for a light table the `glow` of the bench's finish in the SceneSpec; nothing else",
        "carries light.",
        "",
        "Pictures: a turned flange and a ground, a painted and a cast plate with a scratch and a",
        "dent each, every rig with its defaults and the same camera and exposure.",
        "",
    ]
    for name in ("bench", *RIGS):
        lines += section(name, lights)
    return "\n".join(lines).rstrip() + "\n"


def section(name: str, lights: LightRanges) -> list[str]:
    """Return the Markdown lines of one rig."""
    kind = type(getattr(Rigs(), name))
    about = " ".join(inspect.getdoc(kind).split())
    if name in RIGS:
        about = " ".join(inspect.getdoc(RIGS[name]).split()).removeprefix("Draw ") + " " + about
        about = about[0].upper() + about[1:]
    rows = [f"| `{r.key}` | {r.unit} | {r.default} | {r.limits} |" for r in describe_fields(kind)]
    lines = [
        f"## {name}",
        "",
        about,
        "",
        f"![{name}](img/lighting/{name}.jpg)",
        "",
        "| key | unit | default | allowed |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
    ]
    if name == "bench":
        keys = [f.name for f in dataclasses.fields(lights) if f.name != "rigs"]
        listed = ", ".join(f"`{k}`" for k in keys)
        lines += [f"Beside `rigs` under `scene.lights`, without defaults: {listed}.", ""]
    return lines


if __name__ == "__main__":
    main()
