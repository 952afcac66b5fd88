"""Agreement of renderers: labels against the path tracer's rays, colour against many samples.

Usage: python benchmarks/agreement.py labels [--scenes 100] [--size 320]
       python benchmarks/agreement.py colour [--samples 512] [--size 320] [--out FOLDER]
                                             [--renderers raster pyrender ...] [--each 3]
                                             [--references FOLDER]
       python benchmarks/agreement.py contrast [--samples 1024] [--size 320]

`labels` compares ids and depth of OpenGL's label pass with Mitsuba's rays through pixel
centres, over random scenes of every family. `colour` compares what renderers draw of twelve
fixed scenes with a path trace, as the sensor shows it, by structural similarity (1 is equal) and
mean difference in 8-bit levels, and writes the pictures side by side: the first renderer's, the
path trace, the others'. pyrender is among them where its extra is installed. `--references` names
a folder where path traces are kept for the next run of the same scenes; empty it after a change
of the path tracer. `contrast` compares the contrast of every labelled defect of those scenes as
`renderer=pathtrace` measures it by default with many samples, and as raster does.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import compose
from simgen.config.render import PathtraceConfig, RendererConfig, parse_render
from simgen.defects.surface import SurfacePair, build_surfaces
from simgen.label.frame import make_frame
from simgen.pipeline import render_view
from simgen.render.choose import open_renderer
from simgen.render.pathtrace.label_rays import LabelRays
from simgen.render.pathtrace.variant import choose_variant, mitsuba_as
from simgen.render.raster import Raster
from simgen.render.renderer import Renderer
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import SceneSpec, SensorSpec, to_json
from simgen.sensor import develop, metered, quantize

FAMILIES = ("inspection", "magnetic_tile", "ball_screw", "own_part")
LABEL_SEED, COLOUR_SEED = 7, 12
NO_LENS = (0.0, 0.0, 0.0, 0.0, 0.0)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("labels", "colour", "contrast"))
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--variant", default="auto")
    parser.add_argument("--renderers", nargs="+", default=installed())
    parser.add_argument("--each", type=int, default=3, help="scenes of each family, for colour")
    parser.add_argument("--references", type=Path)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--out", type=Path, default=Path("outputs/agreement"))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    {"labels": compare_labels, "colour": compare_colour, "contrast": compare_contrast}[args.what](
        args
    )


def installed() -> list[str]:
    """Return the renderers to compare with the path trace."""
    return ["raster", *(["pyrender"] if util.find_spec("pyrender") else [])]


def drawn(
    family_name: str, size: int, seed: int, count: int
) -> Iterator[tuple[SceneSpec, list[SurfacePair]]]:
    """Yield settled scenes of a family, seen without a lens's distortion, and their surfaces."""
    plain = compose(
        "render", [f"+scene={family_name}", f"image.width={size}", f"image.height={size}"]
    )
    config = parse_render(plain)
    family = load_family(family_name)
    ranges = parse_ranges(family, config.scene)
    for number in range(count):
        index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
        streams = Streams(seed=seed, index=index)
        objects = family.sample_objects(streams, ranges)
        scene = family.sample_frame(streams, ranges, config.image, objects)
        scene = replace(scene, camera=replace(scene.camera, distortion=NO_LENS))
        yield scene, [build_surfaces(item) for item in scene.objects]


def compare_labels(args: argparse.Namespace) -> None:
    """Print how many ids agree, and depths where they do."""
    mi = mitsuba_as(choose_variant(args.variant), threads=1)
    raster = Raster(RendererConfig(allow_software=True, supersample=1))
    print(f"{raster.device.renderer} against {mi.variant()}, {args.size} x {args.size}")
    for name in args.families:
        wrong = pixels = far = hits = 0
        worst = 0.0
        for scene, pairs in drawn(name, args.size, LABEL_SEED, args.scenes):
            opened = raster.open(scene, pairs)
            ours = opened.labels()
            opened.close()
            rays = LabelRays(mi, scene, pairs)
            theirs = rays.labels()
            rays.close()
            differ = ours.ids != theirs.ids
            wrong, pixels = wrong + int(differ.sum()), pixels + differ.size
            worst = max(worst, float(differ.mean()))
            both = ~differ & (ours.ids > 0)
            off = np.abs(ours.depth_mm[both] / theirs.depth_mm[both] - 1)
            far, hits = far + int((off > 1e-4).sum()), hits + int(both.sum())
        print(
            f"{name:14s} {args.scenes} scenes: ids of {100 * (1 - wrong / pixels):.4f} % of"
            f" {pixels} pixels agree, {100 * (1 - worst):.3f} % in the worst scene;"
            f" depth of {100 * (1 - far / max(hits, 1)):.4f} % within 1e-4",
            flush=True,
        )
    raster.close()


@dataclass(frozen=True, kw_only=True)
class Score:
    """How far one renderer's picture of one scene is from the path trace."""

    similarity: float
    levels: float


def compare_colour(args: argparse.Namespace) -> None:
    """Print a table of scores and write the pictures."""
    args.out.mkdir(parents=True, exist_ok=True)
    settings = PathtraceConfig(
        samples=args.samples, part_samples=args.samples, variant=args.variant
    )
    names = ["pathtrace", *(name for name in args.renderers if name != "pathtrace")]
    renderers = {
        name: open_renderer(RendererConfig(name=name, allow_software=True, pathtrace=settings))
        for name in names
    }
    print("| scene | lights | " + " | ".join(f"{n} SSIM | levels" for n in names[1:]) + " |")
    print("| --- | --- |" + " ---: | ---: |" * len(names[1:]))
    seconds = dict.fromkeys(names, 0.0)
    small: list[np.ndarray] = []
    better = dict.fromkeys(names[2:], 0)
    for family in args.families:
        for number, (scene, pairs) in enumerate(drawn(family, args.size, COLOUR_SEED, args.each)):
            pictures = []
            sensor = None
            for name, renderer in renderers.items():
                started = time.process_time()
                kept = args.references if name == "pathtrace" else None
                linear = colour(renderer, scene, pairs, kept, f"{args.samples} {args.variant}")
                seconds[name] += time.process_time() - started
                # All as the camera that the path trace exposes.
                sensor = sensor or plain_sensor(scene, linear)
                pictures.append(seen(linear, sensor))
            scores = [score(pictures[0], other) for other in pictures[1:]]
            cells = " | ".join(f"{s.similarity:.3f} | {s.levels:.1f}" for s in scores)
            for name, other in zip(names[2:], scores[1:], strict=True):
                better[name] += scores[0].similarity > other.similarity
            lights = ", ".join(light.kind for light in scene.lights) or "surroundings"
            print(f"| {family} {number} | {lights} | {cells} |", flush=True)
            side_by_side = np.concatenate([pictures[1], pictures[0], *pictures[2:]], axis=1)
            cv2.imwrite(str(args.out / f"{family}_{number}.png"), side_by_side[..., ::-1])
            small.append(side_by_side)
    cv2.imwrite(str(args.out / "overview.jpg"), overview(small)[..., ::-1])
    for name, times in better.items():
        print(f"{names[1]} is more similar than {name} on {times} of {len(small)} scenes")
    for name, renderer in renderers.items():
        print(f"{name}: {seconds[name] / len(small):.2f} CPU-seconds a picture")
        renderer.close()


def colour(
    renderer: Renderer, scene: SceneSpec, pairs: list[SurfacePair], kept: Path | None, how: str
) -> np.ndarray:
    """Return a picture in linear light; with a folder, the one kept there of the same scene."""
    digest = hashlib.sha256(f"{how} {to_json(scene)}".encode()).hexdigest()
    path = None if kept is None else kept / f"{digest[:16]}.npy"
    if path is not None and path.exists():
        linear: np.ndarray = np.load(path)
        return linear
    opened = renderer.open(scene, pairs)
    linear = opened.colour()
    opened.close()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, linear)
    return linear


def overview(sets: list[np.ndarray]) -> np.ndarray:
    """Return pictures (h, w, 3) in rows of three, at five eighths of their size."""
    shown = [
        cv2.copyMakeBorder(
            cv2.resize(p, None, fx=0.625, fy=0.625, interpolation=cv2.INTER_AREA),
            3, 3, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255),
        )
        for p in sets
    ]  # fmt: skip
    shown += [np.full_like(shown[0], 255)] * (-len(shown) % 3)
    return np.concatenate([np.concatenate(shown[i : i + 3], 1) for i in range(0, len(shown), 3)])


def compare_contrast(args: argparse.Namespace) -> None:
    """Print the contrasts of defects, and how far those of few samples are off."""
    many = PathtraceConfig(samples=args.samples, part_samples=args.samples, variant=args.variant)
    few = replace(PathtraceConfig(), variant=args.variant)
    renderers = [
        open_renderer(RendererConfig(name=name, allow_software=True, pathtrace=settings))
        for name, settings in (("pathtrace", many), ("pathtrace", few), ("raster", few))
    ]
    index = FrameIndex.of(0, views_per_scene=1, exposures_per_view=1)
    off = []
    print("| scene | defect | many samples | as by default | raster |")
    print("| --- | --- | ---: | ---: | ---: |")
    for family in args.families:
        plain = compose("render", [f"+scene={family}", "labels.min_contrast=0"])
        config = parse_render(plain)
        for number, (scene, _) in enumerate(drawn(family, args.size, COLOUR_SEED, 3)):
            rows = []
            for renderer in renderers:
                view = render_view(renderer, scene, config)
                frame = make_frame(index, scene, view, config.labels)
                rows.append([a for a in frame.annotations if a.supercategory == "defect"])
            for true, ours, quick in zip(*rows, strict=True):
                off.append(abs(ours.contrast / max(true.contrast, 1e-6) - 1))
                cells = (true.contrast, ours.contrast, quick.contrast)
                line = " | ".join(f"{c:.2f}" for c in cells)
                print(f"| {family} {number} | {true.category} | {line} |", flush=True)
    print(f"{len(off)} defects: median {np.median(off):.3f}, largest {max(off):.3f} off")
    for renderer in renderers:
        renderer.close()


def plain_sensor(scene: SceneSpec, linear: np.ndarray) -> SensorSpec:
    """Return the scene's sensor, exposed for an image, without noise, blur and crop."""
    size = (scene.camera.width, scene.camera.height)
    sensor = metered(linear, scene.sensor, size)
    return replace(
        sensor, crop=None, shot_noise=0.0, read_noise=0.0, jpeg_quality=0, defocus_px=0.0,
        motion_px=0.0, auto_level=0.0,
    )  # fmt: skip


def seen(linear: np.ndarray, sensor: SensorSpec) -> np.ndarray:
    """Return an 8-bit RGB picture."""
    size = (linear.shape[1], linear.shape[0])
    levels = develop(
        np.ascontiguousarray(linear), sensor, origin=(0, 0), camera_size=size, noise=None
    )
    image = quantize(levels, sensor)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def score(reference: np.ndarray, other: np.ndarray) -> Score:
    """Return the mean structural similarity (Wang 2004) and the mean difference."""
    a, b = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY).astype(np.float64) for x in (reference, other))

    def blurred(image: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (11, 11), 1.5)

    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    levels = np.abs(reference.astype(np.float64) - other).mean()
    return Score(similarity=float(similarity.mean()), levels=float(levels))


if __name__ == "__main__":
    main()
