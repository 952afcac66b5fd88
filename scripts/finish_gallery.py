"""Render every finish and every overlay, for docs/finishes.md.

Usage: python scripts/finish_gallery.py [--out docs/img/finishes] [--only rusted,oil] [--software]

One picture each: a chamfered plate with holes and a cylinder that lies beside it, under a
bar light and a bright hall; the second half of the picture is the same under another seed
and with the other end of the ranges.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config.render import RendererConfig
from simgen.defects.surface import build_surfaces
from simgen.finishes import FINISHES, OVERLAY_VALUES
from simgen.geometry import Vec3, axis_rotation, look_at, quaternion_of
from simgen.render.raster import Raster
from simgen.scene.spec import (
    CameraSpec,
    EnvironmentSpec,
    FinishSpec,
    LightSpec,
    ObjectSpec,
    PanelSpec,
    PoseSpec,
    SceneSpec,
    SensorSpec,
    ShapeSpec,
)
from simgen.sensor.develop import develop

ROOT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, QUALITY = 420, 300, 80
TEXEL_MM = 0.16
STEEL = (0.56, 0.55, 0.53)


def metal(kind: str, roughness: float, anisotropy: float, **values: float) -> FinishSpec:
    """Return a bright steel finish."""
    return FinishSpec(
        kind=kind, colour=STEEL, roughness=roughness, metalness=1.0, anisotropy=anisotropy,
        direction=(1.0, 0.0, 0.0), values={"edge_mm": 0.6, **values},
    )  # fmt: skip


def paint(colour: Vec3, **values: float) -> FinishSpec:
    """Return a glossy coat."""
    return FinishSpec(
        kind="painted", colour=colour, roughness=0.35, metalness=0.0,
        values={"edge_mm": 0.8, "peel_slope": 0.01, **values},
    )  # fmt: skip


# Two ends of what a config would draw.
LOOKS: dict[str, tuple[FinishSpec, FinishSpec]] = {
    "ground": (
        metal("ground", 0.34, 0.5, line_mm=0.2, line_length_mm=6.0, line_slope=0.03),
        metal("ground", 0.45, 0.3, line_mm=0.3, line_length_mm=15.0, line_slope=0.06),
    ),
    "brushed": (
        metal("brushed", 0.34, 0.75, line_mm=0.2, line_length_mm=50.0, line_slope=0.02),
        metal("brushed", 0.42, 0.85, line_mm=0.3, line_length_mm=90.0, hair=0.9, sheaf=0.04),
    ),
    "turned": (
        metal("turned", 0.3, 0.7, line_mm=0.25, line_slope=0.03),
        metal("turned", 0.35, 0.6, line_mm=0.25, feed_mm=0.9, feed_slope=0.10),
    ),
    "polished": (
        metal("polished", 0.10, 0.3, line_slope=0.003),
        metal("polished", 0.17, 0.5, line_slope=0.008, haze=0.5, wave_slope=0.004),
    ),
    "cast": (
        FinishSpec(
            kind="cast", colour=(0.26, 0.26, 0.27), roughness=0.6, metalness=0.7,
            values={"bump_mm": 0.6, "bump_slope": 0.1, "edge_mm": 1.0},
        ),
        FinishSpec(
            kind="cast", colour=(0.42, 0.42, 0.43), roughness=0.55, metalness=0.9,
            values={"bump_mm": 1.1, "bump_slope": 0.16, "edge_mm": 1.4},
        ),
    ),
    "galvanized": (
        FinishSpec(
            kind="galvanized", colour=(0.56, 0.58, 0.61), roughness=0.42, metalness=0.9,
            values={"spangle_mm": 6.0, "edge_mm": 0.5},
        ),
        FinishSpec(
            kind="galvanized", colour=(0.50, 0.52, 0.55), roughness=0.5, metalness=0.9,
            values={"spangle_mm": 12.0, "spangle_tone": 0.12, "spangle_slope": 0.02},
        ),
    ),
    "painted": (paint((0.03, 0.12, 0.35)), paint((0.75, 0.75, 0.72), peel_slope=0.02)),
    "rusted": (
        metal("rusted", 0.4, 0.2, rust=0.3, rust_mm=8.0, rust_age=0.25),
        metal("rusted", 0.45, 0.0, rust=0.75, rust_mm=14.0, rust_age=0.9),
    ),
    "worktop": (
        FinishSpec(kind="worktop", colour=(0.30, 0.30, 0.31), roughness=0.6, metalness=0.0),
        FinishSpec(
            kind="worktop", colour=(0.42, 0.33, 0.22), roughness=0.7, metalness=0.0,
            direction=(1.0, 0.0, 0.0), values={"line_tone": 0.06, "line_slope": 0.02},
        ),
    ),
    "wear": (
        paint((0.45, 0.04, 0.03), edge_wear=0.9, wear_mm=1.0),
        metal("ground", 0.4, 0.3, line_mm=0.2, edge_wear=1.0, wear_mm=1.6),
    ),
    "oil": (
        metal("ground", 0.4, 0.4, line_mm=0.2, oil=0.45, oil_film=0.25),
        metal("cast", 0.6, 0.0, oil=0.6, oil_film=0.8),
    ),
    "soil": (
        metal("polished", 0.2, 0.4, soil=0.35, soil_mm=2.0, soil_length_mm=16.0),
        metal("turned", 0.3, 0.6, line_mm=0.25, soil=0.5, oil=0.3),
    ),
}  # fmt: skip


def main() -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/img/finishes")
    parser.add_argument("--only", default=",".join(LOOKS), help="names, separated by commas")
    parser.add_argument("--software", action="store_true", help="software GL beside a GPU")
    args = parser.parse_args()
    assert set(LOOKS) == {*FINISHES, *OVERLAY_VALUES}
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    raster = Raster(RendererConfig(allow_software=args.software))
    for name in args.only.split(","):
        pair = [picture(raster, finish, seed) for seed, finish in enumerate(LOOKS[name])]
        strip = np.concatenate([pair[0], np.full((HEIGHT, 4, 3), 255, np.uint8), pair[1]], axis=1)
        path = args.out / f"{name}.jpg"
        cv2.imwrite(str(path), strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(path)
    raster.close()


def picture(raster: Raster, finish: FinishSpec, seed: int) -> np.ndarray:
    """Return a finish on the two parts, (HEIGHT, WIDTH, 3) uint8 RGB."""
    scene = specimen(dataclasses.replace(finish, seed=7 + seed))
    drawn = raster.open(scene, [build_surfaces(o) for o in scene.objects])
    try:
        linear = drawn.colour()
    finally:
        drawn.close()
    size = (WIDTH, HEIGHT)
    levels = develop(linear, scene.sensor, origin=(0, 0), camera_size=size, noise=None)
    return (levels + np.float32(0.5)).astype(np.uint8)


def specimen(finish: FinishSpec) -> SceneSpec:
    """Return the scene of one picture."""
    turned = finish.around
    on_plate = dataclasses.replace(finish, direction=(0, 0, 1)) if turned else finish
    on_rod = dataclasses.replace(finish, direction=(0, 0, 1))
    plate = ObjectSpec(
        name="plate",
        shape=ShapeSpec(
            kind="plate", texel_mm=TEXEL_MM,
            size_mm={"length": 52.0, "width": 34.0, "thickness": 6.0, "corner": 4.0,
                     "chamfer": 0.8, "holes": 2.0, "hole": 7.0},
        ),
        finish=on_plate,
        pose=PoseSpec(
            position_mm=(-2.0, -8.0, 3.0), quaternion=quaternion_of(axis_rotation((0, 0, 1), 14.0))
        ),
    )  # fmt: skip
    lying = axis_rotation((0, 0, 1), 14.0) @ axis_rotation((0, 1, 0), 90.0)
    rod = ObjectSpec(
        name="rod",
        shape=ShapeSpec(
            kind="cylinder", texel_mm=TEXEL_MM,
            size_mm={"radius": 8.0, "length": 46.0, "chamfer": 0.8},
        ),
        finish=on_rod,
        pose=PoseSpec(position_mm=(-8.0, 22.0, 8.0), quaternion=quaternion_of(lying)),
    )  # fmt: skip
    bench = ObjectSpec(
        name="bench",
        shape=ShapeSpec(
            kind="bench", texel_mm=2.0, size_mm={"length": 600.0, "width": 600.0, "thickness": 5.0}
        ),
        finish=FinishSpec(
            kind="worktop", colour=(0.10, 0.11, 0.12), roughness=0.8, metalness=0.0,
            values={"grain": 0.0, "blotch": 0.0},
        ),
        casts_shadow=False,
    )  # fmt: skip
    eye, target = (18.0, -170.0, 165.0), (-3.0, 3.0, 2.0)
    return SceneSpec(
        scene="finishes",
        objects=(plate, rod, bench),
        lights=(
            LightSpec(
                kind="bar", position_mm=(-330.0, 120.0, 220.0), target_mm=target,
                axis=(0.3, 0.9, 0.0), size_mm=220.0, irradiance=1.2, shadow=True,
            ),
            LightSpec(
                kind="disc", position_mm=(260.0, -120.0, 320.0), target_mm=target,
                axis=(0.0, 0.0, 1.0), size_mm=70.0, irradiance=0.8,
            ),
        ),
        environment=EnvironmentSpec(
            zenith=(0.5, 0.52, 0.55), horizon=(0.28, 0.28, 0.27), ground=(0.07, 0.07, 0.07),
            panels=(
                PanelSpec(azimuth_deg=112, elevation_deg=52, width_deg=40, height_deg=14,
                          radiance=1.3, softness=0.2),
                PanelSpec(azimuth_deg=20, elevation_deg=30, width_deg=24, height_deg=40,
                          radiance=1.1, softness=0.3),
            ),
            intensity=0.8,
        ),
        camera=CameraSpec(
            width=WIDTH, height=HEIGHT, fx=1180.0, fy=1180.0, cx=(WIDTH - 1) / 2,
            cy=(HEIGHT - 1) / 2,
            pose=PoseSpec(position_mm=eye, quaternion=quaternion_of(look_at(eye, target))),
        ),
        sensor=SensorSpec(exposure=0.8, contrast=0.2),
    )  # fmt: skip


if __name__ == "__main__":
    main()
