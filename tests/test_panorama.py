"""Panoramas of the user's: where their light comes from, how much, and whose they are."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

import scenes
from simgen import pipeline
from simgen.cli.main import main
from simgen.config.render import PathtraceConfig, RendererConfig
from simgen.defects.surface import build_surfaces
from simgen.errors import AssetError
from simgen.randomize.surround import EnvironmentRanges, with_panorama
from simgen.render.choose import open_renderer
from simgen.render.environment import prefiltered, radiance
from simgen.render.raster import Raster
from simgen.render.renderer import Renderer
from simgen.sampling import Constant, FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.files import read_bytes
from simgen.scene.panorama import averaged, read_panorama
from simgen.scene.spec import (
    EnvironmentSpec,
    FinishSpec,
    PanelSpec,
    PanoramaSpec,
    SceneSpec,
    to_json,
)

PLAIN = {"blotch": 0.0, "grain": 0.0, "peel_slope": 0.0, "line_slope": 0.0, "line_tone": 0.0}


@pytest.fixture(scope="module")
def raster() -> Iterator[Renderer]:
    renderer = Raster(RendererConfig(allow_software=True))
    yield renderer
    renderer.close()


def directions(height: int) -> np.ndarray:
    """Unit directions of a panorama file's pixels, as the documentation lays them out."""
    elevation = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    azimuth = np.pi - (np.arange(2 * height) + 0.5) / height * np.pi
    az, el = np.meshgrid(azimuth, elevation)
    return np.stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)], axis=-1)


def save(path: Path, pixels: np.ndarray) -> PanoramaSpec:
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1], np.float32))
    return noted(path)


def noted(path: Path) -> PanoramaSpec:
    return PanoramaSpec(path=str(path), sha256=read_bytes(str(path))[1])


def patch(azimuth_deg: float, elevation_deg: float, height: int = 128) -> np.ndarray:
    """A dim hall with a bright disc of 12 degrees' radius, bluish."""
    az, el = np.deg2rad([azimuth_deg, elevation_deg])
    toward = np.array([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)])
    near = directions(height) @ toward > np.cos(np.deg2rad(12))
    return np.where(near[..., None], [10.0, 12.0, 15.0], 0.05).astype(np.float32)


def coated(
    environment: EnvironmentSpec, roughness: float, metalness: float, tone: float = 0.8
) -> SceneSpec:
    """A plate seen from the south, 45 degrees up."""
    plate = scenes.plate(at=(0.0, 0.0, -3.0), texel_mm=1.0, length=200.0, width=200.0)
    coat = FinishSpec(
        kind="painted", colour=(tone,) * 3, roughness=roughness, metalness=metalness, values=PLAIN
    )
    view = scenes.camera((0.0, -300.0, 300.0), size=32, focal=80)
    spec = scenes.scene(dataclasses.replace(plate, finish=coat), view=view)
    return dataclasses.replace(spec, lights=(), environment=environment)


def colour(renderer: Renderer, spec: SceneSpec) -> np.ndarray:
    drawn = renderer.open(spec, [build_surfaces(o) for o in spec.objects])
    try:
        return drawn.colour()
    finally:
        drawn.close()


def middle(image: np.ndarray) -> np.ndarray:
    return image[13:19, 13:19].mean(axis=(0, 1))


def test_a_mirror_shows_the_patch_where_the_file_has_it(raster: Raster, tmp_path: Path) -> None:
    # The plate mirrors the middle ray to the north, 45 degrees up.
    image = save(tmp_path / "studio.hdr", patch(90.0, 45.0))
    seen = middle(colour(raster, coated(EnvironmentSpec(image=image), 0.02, 1.0)))
    np.testing.assert_allclose(seen, [8.0, 9.6, 12.0], rtol=0.1)
    for rotation, turned in ((90.0, 0.0), (-90.0, 180.0)):
        image = save(tmp_path / f"{turned:g}.hdr", patch(turned, 45.0))
        spec = EnvironmentSpec(image=image, rotation_deg=rotation, intensity=0.5)
        again = middle(colour(raster, coated(spec, 0.02, 1.0)))
        np.testing.assert_allclose(again, 0.5 * seen, rtol=0.02)
    away = EnvironmentSpec(image=image, rotation_deg=90.0)
    assert middle(colour(raster, coated(away, 0.02, 1.0))).max() < 0.2


def test_a_side_that_faces_the_patch_is_lit_by_the_cosine(raster: Raster, tmp_path: Path) -> None:
    image = save(tmp_path / "studio.hdr", patch(0.0, 30.0))
    irradiance = prefiltered(EnvironmentSpec(image=image))[-1]
    height, width, _ = irradiance.shape
    from_plus_x = irradiance[height // 3, 0, 1]
    # A cap of light of radius a, weighted by the cosine: sin(a)^2 of its radiance.
    shine = 11.95 * np.sin(np.deg2rad(12)) ** 2
    assert from_plus_x == pytest.approx(0.05 + shine, rel=0.02)
    level = irradiance[0, 0, 1]
    assert level == pytest.approx(0.05 + shine * np.sin(np.deg2rad(30)), rel=0.02)
    assert irradiance[height // 3, width // 2, 1] == pytest.approx(0.05, rel=0.1)
    plate = middle(colour(raster, coated(EnvironmentSpec(image=image), 1.0, 0.0)))[1]
    assert 0.8 * level <= plate <= 0.9 * level


PANELS = EnvironmentSpec(
    zenith=(0.3, 0.32, 0.35), horizon=(0.4, 0.4, 0.38), ground=(0.1, 0.1, 0.09),
    panels=(
        PanelSpec(azimuth_deg=100, elevation_deg=50, width_deg=50, height_deg=40, radiance=4.0),
        PanelSpec(azimuth_deg=230, elevation_deg=30, width_deg=30, height_deg=40, radiance=6.0),
    ),
    rotation_deg=20.0, intensity=0.8,
)  # fmt: skip


def baked(path: Path, height: int = 256) -> EnvironmentSpec:
    """PANELS as a file."""
    own = radiance(PANELS, directions(height).astype(np.float32), blur_rad=0.01)
    image = save(path, own)
    return EnvironmentSpec(
        image=image, rotation_deg=PANELS.rotation_deg, intensity=PANELS.intensity
    )


def test_panels_from_a_file_light_as_the_panels_do(raster: Raster, tmp_path: Path) -> None:
    file = baked(tmp_path / "panels.hdr")
    for roughness, metalness in ((1.0, 0.0), (0.1, 1.0), (0.3, 1.0)):
        ours, theirs = (
            colour(raster, coated(e, roughness, metalness))[4:-4, 4:-4] for e in (PANELS, file)
        )
        np.testing.assert_allclose(theirs.mean((0, 1)), ours.mean((0, 1)), rtol=0.04)
        np.testing.assert_allclose(theirs, ours, rtol=0.12)
    empty = dataclasses.replace(coated(file, 1.0, 0.0), objects=())
    up = scenes.camera((0.0, 0.0, 0.0), (0.0, 50.0, 40.0), size=32, focal=20)
    ours, theirs = (
        colour(raster, dataclasses.replace(empty, camera=up, environment=e)) for e in (PANELS, file)
    )
    np.testing.assert_allclose(theirs, ours, rtol=0.05, atol=0.05)


def test_the_path_tracer_has_the_same_light(raster: Raster, tmp_path: Path) -> None:
    pytest.importorskip("mitsuba", reason="the extra `photoreal` is not installed")
    trace = PathtraceConfig(samples=32, part_samples=32, variant="scalar")
    tracer = open_renderer(RendererConfig(name="pathtrace", pathtrace=trace))
    try:
        image = save(tmp_path / "studio.hdr", patch(70.0, 45.0))
        around = EnvironmentSpec(image=image, rotation_deg=20.0)
        both = (tracer, raster)
        traced, drawn = (middle(colour(r, coated(around, 0.05, 1.0))) for r in both)
        np.testing.assert_allclose(drawn, traced, rtol=0.05)
        # What a black coat reflects is no diffuse light.
        traced, drawn = (
            middle(colour(r, coated(around, 0.6, 0.0)))
            - middle(colour(r, coated(around, 0.6, 0.0, tone=0.0)))
            for r in both
        )
        np.testing.assert_allclose(drawn, traced, rtol=0.04)
        up = scenes.camera((0.0, 0.0, 0.0), (0.0, 50.0, 40.0), size=32, focal=20)
        spec = dataclasses.replace(coated(around, 0.6, 0.0), objects=(), camera=up)
        traced, drawn = (colour(r, spec) for r in both)
        # A GPU's weights between two pixels are coarse, which shows at the disc's edge.
        np.testing.assert_allclose(drawn, traced, rtol=0.05, atol=0.02)
    finally:
        tracer.close()


def test_a_sun_of_one_pixel_keeps_all_of_its_light(tmp_path: Path) -> None:
    pixels = np.full((500, 1000, 3), 0.2, np.float32)
    row, column = 123, 250  # 45.54 degrees up, to the north
    pixels[row, column] = 3e6
    image = save(tmp_path / "sunny.hdr", pixels)
    edges = np.cos(np.array([row, row + 1]) / 500 * np.pi)
    solid = (edges[0] - edges[1]) * 2 * np.pi / 1000
    arriving = 3e6 * solid * np.sin(np.deg2rad(90 - (row + 0.5) / 500 * 180))
    assert read_panorama(image).irradiance == pytest.approx(arriving + 0.2 * np.pi, rel=0.01)
    layers = prefiltered(EnvironmentSpec(image=image))
    assert np.isfinite(layers).all()
    up = layers[-1, 0].mean() * np.pi
    assert up == pytest.approx(arriving + 0.2 * np.pi, rel=0.05)
    # No blur takes light from the sphere as a whole.
    weight = np.cos((np.arange(256) + 0.5) / 256 * np.pi - np.pi / 2)[:, None, None]
    totals = (layers[:7] * weight).sum((1, 2, 3))
    np.testing.assert_allclose(totals, totals[0], rtol=0.02)


def test_averaging_shares_pixels_between_rows_and_columns() -> None:
    pixels = np.random.default_rng(0).uniform(size=(30, 60, 3)).astype(np.float32)
    small = averaged(pixels, 8, 16)

    def light(image: np.ndarray) -> np.ndarray:
        bands = -np.diff(np.cos(np.arange(len(image) + 1) / len(image) * np.pi))
        return (image.mean(axis=1) * bands[:, None]).sum(axis=0)

    np.testing.assert_allclose(light(small), light(pixels), rtol=1e-5)


def exr(path: Path, channels: dict[str, np.ndarray], **header: object) -> PanoramaSpec:
    openexr = pytest.importorskip("OpenEXR", reason="the extra `exr` is not installed")
    kind = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage, **header}
    openexr.File(kind, channels).write(str(path))
    return noted(path)


def test_an_exr_is_the_same_panorama(tmp_path: Path) -> None:
    pixels = patch(40.0, 20.0, 32)
    held = read_panorama(exr(tmp_path / "a.exr", {"RGB": pixels})).radiance
    other = read_panorama(save(tmp_path / "a.hdr", pixels)).radiance
    np.testing.assert_allclose(held, other, rtol=0.01)
    halves = {c: pixels[..., k].astype(np.float16) for k, c in enumerate("RGB")}
    alpha = {"A": np.ones((32, 64), np.float16)}
    half = read_panorama(exr(tmp_path / "b.exr", {**halves, **alpha})).radiance
    np.testing.assert_allclose(half, held, rtol=0.001)
    grey = read_panorama(exr(tmp_path / "c.exr", {"Y": pixels[..., 0].copy()})).radiance
    np.testing.assert_allclose(grey[..., 2], held[..., 0])


def message(spec: PanoramaSpec) -> str:
    with pytest.raises(AssetError) as caught:
        read_panorama(spec)
    text = str(caught.value)
    assert text.startswith(spec.path) and "\n" not in text
    return text.removeprefix(f"{spec.path}: ")


def test_each_unfit_file_is_one_line_with_a_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = patch(0.0, 30.0, 32)
    whole = save(tmp_path / "good.hdr", good)
    data = Path(whole.path).read_bytes()

    def file(name: str, content: bytes) -> PanoramaSpec:
        (tmp_path / name).write_bytes(content)
        return noted(tmp_path / name)

    assert "no such file" in message(PanoramaSpec(path=str(tmp_path / "no.hdr"), sha256=""))
    assert "did you mean '.hdr'" in message(file("good.hdri", data))
    assert message(file("cut.hdr", data[: len(data) // 2])).startswith("is damaged or cut short")
    assert message(file("junk.hdr", b"junk" * 99)).startswith("is no Radiance picture")
    assert "from the top left" in message(file("up.hdr", data.replace(b"-Y 32", b"+Y 32")))
    assert "twice as wide as high" in message(save(tmp_path / "square.hdr", good[:, :32]))
    huge = data.replace(b"32 +X 64", b"8192 +X 16384")
    assert "from 16 to 8192" in message(file("big.hdr", huge))
    assert message(save(tmp_path / "black.hdr", 0 * good)).startswith("is black")
    assert "no OpenEXR picture" in message(file("x.exr", data))

    for name, value, said in (("nan", np.nan, "no numbers"), ("minus", -0.5, "negative")):
        bad = good.copy()
        bad[7, 9, 2] = value
        text = message(exr(tmp_path / f"{name}.exr", {"RGB": bad}))
        assert text.startswith(f"1 of its pixels are {said}, the first at column 9, row 7; repaint")
    text = message(exr(tmp_path / "depth.exr", {"Z": good[..., 0].copy()}))
    assert "no channels R, G and B (it has Z)" in text
    data = Path(exr(tmp_path / "ok.exr", {"RGB": good}).path).read_bytes()
    assert message(file("cut.exr", data[: len(data) // 2])).startswith("is damaged or cut short")

    changed = PanoramaSpec(path=whole.path, sha256="0" * 64)
    assert message(changed).startswith("has changed (SHA-256 ")
    assert "cut.hdr" not in capfd.readouterr().err


def test_without_the_extra_the_message_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.exr").write_bytes(b"\x76\x2f\x31\x01")
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    assert 'pip install "simgen[exr]"' in message(noted(tmp_path / "a.exr"))


def drawn(number: int, *overrides: str, scene: str = "inspection") -> SceneSpec:
    """The scene of a frame, nothing rendered."""
    config = pipeline.scene_check(scenes.config(scene, *overrides))
    family = load_family(scene)
    ranges = parse_ranges(family, config.scene)
    index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
    streams = Streams(seed=config.seed, index=index)
    objects = family.sample_objects(streams, ranges)
    return family.sample_frame(streams, ranges, config.image, objects)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with two panoramas, one with its licence beside it."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "studio.hdr", patch(0.0, 60.0, 32))
    save(tmp_path / "hall.hdr", 3 * patch(180.0, 40.0, 32))
    (tmp_path / "hall.hdr.license").write_text(
        "SPDX-FileCopyrightText: 2020 Ann Example\nSPDX-License-Identifier: CC-BY-4.0\n"
    )
    return tmp_path


BOTH = ("scene.environment.images=[studio.hdr,hall.hdr]",)
OWN = ("scene.environment.licence=LicenseRef-Own",)


@pytest.mark.parametrize("scene", ["inspection", "ball_screw", "magnetic_tile"])
def test_nothing_but_the_surroundings_differs(studio: Path, scene: str) -> None:
    plus = "" if scene == "inspection" else "+"
    keys = [f"{plus}{word}" for word in (*BOTH, *OWN)]
    bench = ["scene.lights.rigs.bench.weight=1e9"] if scene == "inspection" else []
    small = ["scene.texel_mm=1.5", "scene.part_count=1"] if scene == "inspection" else []
    before, after = (drawn(0, *bench, *small, *k, scene=scene) for k in ((), keys))
    assert after.environment.image is not None
    assert dataclasses.replace(after, environment=before.environment) == before
    # What was drawn before panoramas existed is stored, and hashes, as it was.
    assert '"image"' not in to_json(before)


def test_panoramas_are_drawn_turned_and_scaled_by_scene(studio: Path) -> None:
    ranges = EnvironmentRanges(images=("studio.hdr", "hall.hdr"), irradiance=Constant(3.0))
    hall = EnvironmentSpec(intensity=0.5)
    found = []
    for frame in range(24):
        index = FrameIndex.of(frame, views_per_scene=2, exposures_per_view=1)
        found.append(with_panorama(Streams(seed=3, index=index), ranges, hall, {}))
    assert found[0::2] == found[1::2]
    assert {e.image.path for e in found if e.image} == {"studio.hdr", "hall.hdr"}
    assert len({e.rotation_deg for e in found}) == 12
    # In whatever units the files are, as bright as was asked for, times the hall's own intensity.
    levels = [e.intensity * read_panorama(e.image).irradiance for e in found if e.image]
    assert len(levels) == 24 and min(levels) >= 0.7 * 1.5 and max(levels) <= 1.4 * 1.5
    half = dataclasses.replace(ranges, share=0.5)
    streams = [
        Streams(seed=k, index=FrameIndex.of(0, views_per_scene=1, exposures_per_view=1))
        for k in range(40)
    ]
    kept = [with_panorama(s, half, hall, {}) is hall for s in streams]
    assert 8 <= sum(kept) <= 32


def test_a_dome_is_its_own_surroundings(studio: Path) -> None:
    rigs = "scene.lights.rigs"
    dome = (f"+{rigs}.dome.weight=1", f"{rigs}.bench.weight=0", "scene.texel_mm=4")
    ring = (f"+{rigs}.ring.weight=1", f"{rigs}.bench.weight=0", "scene.texel_mm=4")
    keys = (*BOTH, *OWN, "scene.part_count=1")
    assert drawn(0, *keys, *dome, scene="own_part").environment.image is None
    assert drawn(0, *keys, *ring, scene="own_part").environment.image is not None


def test_the_licence_is_asked_for_and_read_beside_the_file(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*words: str) -> None:
        pipeline.scene_check(scenes.config("inspection", *BOTH, *words))

    with pytest.raises(AssetError, match=r"^studio.hdr: has no licence; set scene.environment.l"):
        check()
    with pytest.raises(AssetError, match=r"^studio.hdr: licence 'Freeware' is not one we know"):
        check("scene.environment.licence=Freeware")
    check("scene.environment.licence=Freeware", "dataset.allow_licences=[Freeware]")
    beside = studio / "hall.hdr.license"
    beside.write_text("SPDX-License-Identifier: CC-BY-NC-4.0\n")
    with pytest.raises(AssetError, match=r"^hall.hdr: licence 'CC-BY-NC-4.0' limits"):
        check(*OWN)
    beside.write_text("free for all\n")
    with pytest.raises(AssetError, match=r"^hall.hdr.license: has no line SPDX-License-Identif"):
        check(*OWN)
    beside.unlink()
    with pytest.raises(AssetError, match=r"^studio.hdr: has changed since the dataset was begun"):
        check(*OWN, "+scene.sha256={studio.hdr:abc}")
    (studio / "studio.hdr").write_bytes(b"#?RADIANCE")
    with pytest.raises(AssetError, match=r"^studio.hdr: is no Radiance picture"):
        check(*OWN)


def test_a_dataset_notes_its_panoramas_and_is_replayed_from_them(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        "render", "+scene=magnetic_tile", "+scene.environment.images=[hall.hdr]", "frames=1",
        "out=set", "workers=1", "renderer.allow_software=true", "scene.clean_share=1",
    )  # fmt: skip
    assert main(list(words)) == 0
    manifest = json.loads((studio / "set/manifest.json").read_text())
    (asset,) = manifest["assets"]
    assert asset == {
        "path": "hall.hdr", "spdx": "CC-BY-4.0", "sha256": read_bytes("hall.hdr")[1],
        "source": "surroundings, as the config names them; 2020 Ann Example",
    }  # fmt: skip
    assert "hall.hdr" in (studio / "set/card.md").read_text()
    assert asset["sha256"] in (studio / "set/croissant.json").read_text()
    capsys.readouterr()

    assert main(["replay", "set", "frame=0"]) == 2
    error = capsys.readouterr().err
    assert "its scene needs the panorama 'hall.hdr', outside the dataset" in error
    assert main(["replay", "set", "frame=0", "files=allow"]) == 0
    # Labels are audited without their light.
    assert main(["check", "set"]) == 0
    save(studio / "hall.hdr", patch(20.0, 40.0, 32))
    capsys.readouterr()
    assert main(["replay", "set", "frame=0", "files=allow"]) == 2
    assert "hall.hdr: has changed (SHA-256 " in capsys.readouterr().err
    assert main(list(words)) == 2
    assert "dataset of another config (scene.sha256.hall.hdr: " in capsys.readouterr().err
