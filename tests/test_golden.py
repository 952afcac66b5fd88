"""Pictures by raster against kept ones, compared by statistics of regions.

    python -m pytest tests/test_golden.py --regenerate-golden

draws tests/golden/*.png anew after a change that is meant; look at them before they are kept.
The scenes are written down here, so that no change of what a scene draws moves them. Drivers
differ in single pixels at edges and in the last bits of texture filters; light, material, shadow
or a lost texture move the mean, the spread or the pattern of some region.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import scenes
from simgen.config.render import RendererConfig
from simgen.defects.surface import SurfacePair, build_surfaces
from simgen.render.choose import open_renderer
from simgen.render.renderer import Renderer
from simgen.scene.spec import (
    DefectSpec,
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
from simgen.sensor import develop, quantize

FOLDER = Path(__file__).resolve().parent / "golden"
SIZE, REGION = 160, 20
# In 8-bit levels. Mesa's other software driver, softpipe, differs from llvmpipe, which drew the
# kept pictures, by 0.4, 0.2, 0.05 and 1 - 0.9995 (GALLIUM_DRIVER=softpipe).
MEAN, SPREAD, WHOLE = 1.6, 1.6, 0.4
PATTERN = 0.985

UP = (0.0, 0.0, 1.0)
STUDIO = EnvironmentSpec(
    zenith=(0.35, 0.37, 0.4), horizon=(0.25, 0.25, 0.25), ground=(0.08, 0.08, 0.08),
    panels=(PanelSpec(azimuth_deg=60, elevation_deg=50, width_deg=50, height_deg=30, radiance=4),),
)  # fmt: skip
BLUE = FinishSpec(kind="painted", colour=(0.08, 0.16, 0.4), roughness=0.5, metalness=0.0, seed=3)
BRUSHED = FinishSpec(
    kind="brushed", colour=(0.62, 0.6, 0.58), roughness=0.35, metalness=1.0, anisotropy=0.6,
    direction=(1.0, 0.0, 0.0), seed=5,
)  # fmt: skip
BRASS = FinishSpec(
    kind="polished", colour=(0.8, 0.6, 0.3), roughness=0.12, metalness=1.0,
    values={"wave_slope": 0.01}, seed=6,
)  # fmt: skip
RUSTY = FinishSpec(kind="rusted", colour=(0.4, 0.4, 0.4), roughness=0.6, metalness=0.7, seed=8)


def lamp(kind: str, position_mm: tuple[float, float, float], **keys: object) -> LightSpec:
    values: dict = {
        "kind": kind, "position_mm": position_mm, "target_mm": (0.0, 0.0, 0.0),
        "axis": UP if kind == "ring" else (1.0, 0.0, 0.0), "size_mm": 120.0, "irradiance": 2.0,
        "shadow": True,
    }  # fmt: skip
    return LightSpec(**{**values, **keys})


def thing(
    kind: str, finish: FinishSpec, at: tuple[float, float, float], texel_mm: float = 0.4,
    **size_mm: float,
) -> ObjectSpec:  # fmt: skip
    return ObjectSpec(
        name=kind, category=kind, shape=ShapeSpec(kind=kind, size_mm=size_mm, texel_mm=texel_mm),
        finish=finish, pose=PoseSpec(position_mm=at), body="none",
    )  # fmt: skip


def spec_of(*objects: ObjectSpec, eye: tuple[float, float, float], lights: tuple) -> SceneSpec:
    view = scenes.camera(eye, size=SIZE, focal=330)
    return SceneSpec(
        scene="golden", objects=objects, lights=lights, environment=STUDIO, camera=view,
        sensor=SensorSpec(white_point=3.0),
    )  # fmt: skip


def finishes() -> SceneSpec:
    """Paint, brushed steel and polished brass; shadows of a disc."""
    return spec_of(
        thing("plate", BLUE, (0.0, 0.0, -3.0), 0.8, length=140.0, width=140.0, thickness=6.0),
        thing("gear", BRUSHED, (-22.0, 12.0, 4.0), module=2.0, teeth=20.0, width=8.0, bore=12.0),
        thing("cylinder", BRASS, (26.0, -12.0, 11.0), radius=9.0, length=22.0, chamfer=1.0),
        eye=(60.0, -190.0, 220.0),
        lights=(lamp("disc", (150.0, 130.0, 260.0)),),
    )


def defects() -> SceneSpec:
    """A dent, a scratch, corrosion and a pit of a ground plate; a bar's long highlight."""
    top = {"normal": UP, "tangent": (1.0, 0.0, 0.0)}
    marks = (
        DefectSpec(
            kind="dent", anchor_mm=(-22.0, -9.0, 3.0), **top, seed=2,
            size_mm={"length": 12.0, "width": 10.0, "depth": 0.8},
        ),
        DefectSpec(
            kind="scratch", anchor_mm=(8.0, 9.0, 3.0), **top, seed=3,
            size_mm={"length": 30.0, "width": 0.8, "depth": 0.15}, values={"brightness": 0.8},
            points=((-15.0, -3.0, 0.4), (15.0, 3.0, 0.4)),
        ),
        DefectSpec(
            kind="corrosion", anchor_mm=(20.0, -10.0, 3.0), **top, seed=4,
            size_mm={"length": 14.0, "width": 12.0, "height": 0.1},
            values={"cover": 0.8, "age": 0.7, "halo": 0.5, "max_turn_deg": 60.0, "level_mm": 1.0},
        ),
        DefectSpec(
            kind="pit", anchor_mm=(-24.0, 10.0, 3.0), **top, seed=5,
            size_mm={"length": 6.0, "width": 5.0, "depth": 1.0},
            values={"darkness": 0.2, "squareness": 2.0, "outline": 0.2},
        ),
    )  # fmt: skip
    ground = dataclasses.replace(scenes.STEEL, metalness=1.0, roughness=0.4, seed=9)
    part = thing("plate", ground, (0.0, 0.0, 0.0), 0.2, length=66.0, width=44.0, thickness=6.0)
    return spec_of(
        dataclasses.replace(part, defects=marks),
        eye=(0.0, -60.0, 165.0),
        lights=(lamp("bar", (0.0, 90.0, 150.0), size_mm=200.0, irradiance=1.5),),
    )


def curved() -> SceneSpec:
    """A polished sphere and a rusted ring under a ring of light."""
    return spec_of(
        thing("plate", BRUSHED, (0.0, 0.0, -3.0), 0.8, length=140.0, width=140.0, thickness=6.0),
        thing("sphere", BRASS, (-20.0, 0.0, 18.0), 0.6, radius=18.0),
        thing("cylinder", RUSTY, (28.0, 4.0, 8.0), radius=16.0, length=16.0, chamfer=2.0),
        eye=(-30.0, -150.0, 220.0),
        lights=(lamp("ring", (0.0, 0.0, 300.0), size_mm=200.0, shadow=False),),
    )


SCENES: dict[str, Callable[[], SceneSpec]] = {
    "finishes": finishes, "defects": defects, "curved": curved,
}  # fmt: skip


@pytest.fixture(scope="module")
def raster() -> Iterator[Renderer]:
    renderer = open_renderer(RendererConfig(name="raster", allow_software=True))
    yield renderer
    renderer.close()


def surfaces(spec: SceneSpec) -> list[SurfacePair]:
    return [build_surfaces(item) for item in spec.objects]


def picture(
    renderer: Renderer, spec: SceneSpec, pairs: list[SurfacePair] | None = None
) -> np.ndarray:
    """Return what a camera without noise makes of it, shape (SIZE, SIZE, 3), uint8."""
    drawn = renderer.open(spec, pairs or surfaces(spec))
    try:
        linear = drawn.colour()
    finally:
        drawn.close()
    sensor = spec.sensor
    levels = develop(linear, sensor, origin=(0, 0), camera_size=(SIZE, SIZE), noise=None)
    return quantize(levels, sensor)


def faults(kept: np.ndarray, made: np.ndarray) -> list[str]:
    """Return what differs more than drivers do, a line each."""
    a, b = (tiles(x.astype(np.float64)) for x in (kept, made))
    found = []
    whole = float(np.abs(a.mean(axis=(0, 1, 2)) - b.mean(axis=(0, 1, 2))).max())
    if whole > WHOLE:
        found.append(f"mean of the picture off by {whole:.2f} levels ({WHOLE} allowed)")
    for name, allowed, of in (("mean", MEAN, np.mean), ("spread", SPREAD, np.std)):
        off = np.abs(of(a, axis=2) - of(b, axis=2)).max(axis=-1)
        y, x = np.unravel_index(off.argmax(), off.shape)
        if off[y, x] > allowed:
            found.append(f"{name} of region {x}, {y} off by {off[y, x]:.2f} ({allowed} allowed)")
    alike = pattern(kept, made)
    if alike < PATTERN:
        found.append(f"fine pattern correlates by {alike:.3f} ({PATTERN} asked)")
    return found


def tiles(image: np.ndarray) -> np.ndarray:
    """Return regions' pixels, shape (rows, columns, pixels, 3)."""
    n = SIZE // REGION
    return image.reshape(n, REGION, n, REGION, 3).swapaxes(1, 2).reshape(n, n, -1, 3)


def pattern(kept: np.ndarray, made: np.ndarray) -> float:
    """Return how what is finer than six pixels correlates, 1 for the same."""
    fine = []
    for image in (kept, made):
        grey = cv2.GaussianBlur(image.astype(np.float64).mean(axis=2), (0, 0), 0.7)
        detail = grey - cv2.GaussianBlur(grey, (0, 0), 3)
        # Silhouettes would drown everything else.
        fine.append(np.clip(detail, -6, 6).ravel())
    return float(np.corrcoef(*fine)[0, 1])


@pytest.mark.parametrize("name", list(SCENES))
def test_raster_draws_what_it_drew(raster, name, request, tmp_path) -> None:
    made = picture(raster, SCENES[name]())
    path = FOLDER / f"{name}.png"
    if request.config.getoption("--regenerate-golden"):
        assert cv2.imwrite(str(path), made[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
        pytest.skip(f"{path.relative_to(FOLDER.parent)} drawn anew: look at it")
    kept = cv2.imread(str(path))[..., ::-1]
    differ = faults(kept, made)
    if differ:
        times4 = np.clip(128 + 4.0 * (made.astype(np.float64) - kept), 0, 255).astype(np.uint8)
        shown = tmp_path / f"{name}_kept_made_difference.png"
        cv2.imwrite(str(shown), np.concatenate([kept, made, times4], axis=1)[..., ::-1])
        pytest.fail(
            f"{name}: {'; '.join(differ)}. See {shown}. If it is meant: python -m pytest"
            " tests/test_golden.py --regenerate-golden"
        )


@pytest.fixture(scope="module")
def before(raster) -> tuple[SceneSpec, list[SurfacePair], np.ndarray]:
    spec = finishes()
    pairs = surfaces(spec)
    return spec, pairs, picture(raster, spec, pairs)


def test_what_a_driver_may_change_passes(raster, before) -> None:
    spec, pairs, kept = before
    # Where triangles are cut, where textures are read: a sixteenth of a pixel to the side.
    camera = dataclasses.replace(spec.camera, cx=spec.camera.cx + 0.06, cy=spec.camera.cy - 0.06)
    moved = picture(raster, dataclasses.replace(spec, camera=camera), pairs)
    assert not np.array_equal(kept, moved)
    assert faults(kept, moved) == []
    # How numbers are rounded.
    noise = np.random.default_rng(1).integers(-1, 2, kept.shape)
    rounded = np.clip(kept.astype(int) + noise, 0, 255).astype(np.uint8)
    assert faults(kept, rounded) == []


def relit(**keys: object) -> Callable[[SceneSpec], SceneSpec]:
    return lambda spec: dataclasses.replace(
        spec, lights=(dataclasses.replace(spec.lights[0], **keys),)
    )


CHANGES: dict[str, Callable[[SceneSpec], SceneSpec]] = {
    "a lamp 5 % brighter": relit(irradiance=2.1),
    "a lamp 4 degrees to the side": relit(position_mm=(165.0, 112.0, 260.0)),
    "a lamp half as large, its shadows sharper": relit(size_mm=60.0),
    "no shadows": relit(shadow=False),
    "a redder lamp": relit(colour=(1.0, 0.96, 0.94)),
    "surroundings turned": lambda spec: dataclasses.replace(
        spec, environment=dataclasses.replace(spec.environment, rotation_deg=25.0)
    ),
    "no panel in the surroundings": lambda spec: dataclasses.replace(
        spec, environment=dataclasses.replace(spec.environment, panels=())
    ),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_another_light_fails(raster, before, change) -> None:
    spec, pairs, kept = before
    assert faults(kept, picture(raster, CHANGES[change](spec), pairs))


@pytest.mark.parametrize("lost", ["colour", "slope", "extra"])
@pytest.mark.parametrize("name", ["finishes", "defects"])
def test_a_texture_lost_on_one_part_fails(raster, name, lost) -> None:
    spec = SCENES[name]()
    first, *others = surfaces(spec)
    kept = picture(raster, spec, [first, *others])
    assert faults(kept, picture(raster, spec, [without(first, lost), *others]))


def test_a_texture_upside_down_fails(raster, before) -> None:
    spec, pairs, kept = before
    surface = pairs[0].clean
    flipped = dataclasses.replace(
        surface.maps, **{n: getattr(surface.maps, n)[::-1].copy() for n in ("colour", "slope")}
    )
    turned = dataclasses.replace(surface, maps=flipped)
    made = picture(raster, spec, [SurfacePair(clean=turned, damaged=turned), *pairs[1:]])
    assert faults(kept, made)


def without(pair: SurfacePair, lost: str) -> SurfacePair:
    """Return a surface with one map as it is where nothing is bound: 0."""
    maps = pair.damaged.maps
    bare = dataclasses.replace(maps, **{lost: np.zeros_like(getattr(maps, lost))})
    surface = dataclasses.replace(pair.damaged, maps=bare)
    return SurfacePair(clean=surface, damaged=surface)
