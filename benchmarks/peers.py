"""One scene drawn by our renderers and by others', CPU-seconds a picture side by side.

Usage: python benchmarks/peers.py [--size 640] [--frames 3] [--peers raster pyrender ...]
                                  [--python cycles=/path/to/python ...] [--out outputs/peers]

The scene is frame 0 of `inspection` (--scene, --number): the same meshes, maps, camera and
resolution for all, colour only. Others get its lights as nearly as they know them. Each draws in
a process of its own; one that is not installed is skipped with the line that installs it.
`--python` names another interpreter for a peer whose packages do not go with ours (bpy wants
numpy 1).

Prints medians over --frames, in CPU-seconds of all threads:

  new scene   a scene that was not there before, up to its first picture, in a warm process: ours
              are handed meshes and maps in memory, others read files
  picture     one more of the same scene. Ours draw its shadow maps again; raster and pathtrace
              take the scene anew even here, so that they are not flattered

and the wall seconds of a picture, which bound GPU-seconds where a GPU draws. Pictures go to --out.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simgen.config import compose
from simgen.config.render import parse_render
from simgen.defects.surface import SurfacePair, build_surfaces
from simgen.render.environment import prefiltered
from simgen.render.pyrender import material as pyrender_material
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import load_family, parse_ranges
from simgen.scene.spec import SceneSpec, to_json

OURS = ("raster", "pathtrace", "pyrender")
OTHERS = ("pybullet-tiny", "pybullet-opengl", "mujoco", "cycles")
NO_LENS = (0.0, 0.0, 0.0, 0.0, 0.0)
CHILD = Path(__file__).resolve().parent / "peer_renderers.py"
SECONDS = 1800


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scene", default="inspection")
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--samples", type=int, default=8, help="a pixel, of path tracers")
    parser.add_argument("--peers", nargs="*", default=[*OURS, *OTHERS])
    parser.add_argument("--python", nargs="*", default=[], metavar="PEER=INTERPRETER")
    parser.add_argument("--out", type=Path, default=Path("outputs/peers"))
    args = parser.parse_args()
    unknown = set(args.peers) - {*OURS, *OTHERS}
    if unknown:
        parser.error(f"--peers: no such peer: {', '.join(sorted(unknown))}")
    pythons = dict(item.split("=", 1) for item in args.python)
    shutil.rmtree(args.out / "scene", ignore_errors=True)
    for peer in args.peers:
        # No picture of an earlier run beside those of this one.
        (args.out / f"{peer}.png").unlink(missing_ok=True)
    (args.out / "scene").mkdir(parents=True)
    scene, pairs = one_scene(args.scene, args.number, args.size)
    triangles = export(scene, pairs, args.out / "scene")
    print(f"{args.scene} {args.number}, {args.size} x {args.size}, {triangles} triangles")
    print("| renderer | new scene, CPU-s | picture, CPU-s | picture, wall s | draws with |")
    print("| --- | ---: | ---: | ---: | --- |")
    for peer in args.peers:
        said = ask(peer, args, pythons.get(peer, sys.executable))
        if "skipped" in said:
            print(f"| {peer} | skipped: {said['skipped']} | | | |", flush=True)
            continue
        new, again, wall = (float(np.median(said[key])) for key in ("new", "again", "wall"))
        print(f"| {peer} | {new:.2f} | {again:.2f} | {wall:.2f} | {said['device']} |", flush=True)
    side_by_side(args.peers, args.out)


def one_scene(name: str, number: int, size: int) -> tuple[SceneSpec, list[SurfacePair]]:
    """Return a settled scene seen without a lens's distortion, and its surfaces."""
    plain = compose("render", [f"+scene={name}", f"image.width={size}", f"image.height={size}"])
    config = parse_render(plain)
    family = load_family(name)
    ranges = parse_ranges(family, config.scene)
    index = FrameIndex.of(number, views_per_scene=1, exposures_per_view=1)
    streams = Streams(seed=0, index=index)
    objects = family.sample_objects(streams, ranges)
    scene = family.sample_frame(streams, ranges, config.image, objects)
    scene = replace(scene, camera=replace(scene.camera, distortion=NO_LENS))
    return scene, [build_surfaces(item) for item in scene.objects]


def export(scene: SceneSpec, pairs: list[SurfacePair], folder: Path) -> int:
    """Write the scene for programs that know nothing of ours; return its triangles.

    `scene.json` is the SceneSpec, for ours. `plain.json` has the camera, lights and objects in
    metres; an object's mesh is OBJ in world coordinates with v upwards and an npz of the same, its
    maps PNG: sRGB colour, normals, and roughness and metalness in green and blue.
    """
    (folder / "scene.json").write_text(to_json(scene))
    objects, triangles = [], 0
    for k, (item, pair) in enumerate(zip(scene.objects, pairs, strict=True)):
        mesh, maps, m = pair.damaged.mesh, pair.damaged.maps, item.pose.matrix()
        triangles += len(mesh.faces)
        arrays = {
            "vertices": (mesh.vertices_mm @ m[:3, :3].T + m[:3, 3]) / 1000,
            "normals": mesh.normals @ m[:3, :3].T,
            "uv": np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], axis=1),
            "faces": mesh.faces,
        }
        np.savez(folder / f"{k}.npz", **arrays)
        write_obj(folder / f"{k}.obj", arrays)
        linear = (maps.colour[..., :3] / 255.0) ** 2
        coded = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        cv2.imwrite(
            str(folder / f"{k}_colour.png"), np.rint(255 * coded[..., ::-1]).astype(np.uint8)
        )
        rough_metal = np.stack(
            [maps.extra[..., 0], maps.colour[..., 3], np.zeros_like(maps.extra[..., 0])], axis=-1
        )
        cv2.imwrite(str(folder / f"{k}_rough_metal.png"), rough_metal)
        # Along the directions of u and, with v upwards, v: our charts lie the other way round.
        normals = pyrender_material._normals(maps, pyrender_material._frames(maps, pair.clean.mesh))
        normals[..., 1] = 255 - normals[..., 1]
        cv2.imwrite(str(folder / f"{k}_normal.png"), normals[..., ::-1])
        objects.append({"casts_shadow": item.casts_shadow})
    camera, eye = scene.camera, scene.camera.pose.matrix()
    lights = [
        {
            "position": (np.asarray(light.position_mm) / 1000).tolist(),
            "target": (np.asarray(light.target_mm) / 1000).tolist(),
            "size": light.size_mm / 1000,
            "irradiance": (light.irradiance * np.asarray(light.colour)).tolist(),
            "shadow": light.shadow,
        }
        for light in scene.lights
    ]
    upward = scene.environment.intensity * prefiltered(scene.environment)[-1, 0].mean(axis=0)
    plain = {
        "width": camera.width, "height": camera.height, "fx": camera.fx, "fy": camera.fy,
        # From a pixel's corner; axes x right, y down, z forward.
        "cx": camera.cx + 0.5, "cy": camera.cy + 0.5,
        "position": (eye[:3, 3] / 1000).tolist(), "rotation": eye[:3, :3].tolist(),
        "lights": lights, "ambient": upward.tolist(), "objects": objects,
    }  # fmt: skip
    (folder / "plain.json").write_text(json.dumps(plain))
    return triangles


def write_obj(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a mesh with texture coordinates and normals."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in arrays["vertices"].tolist()]
    lines += [f"vt {u:.7g} {v:.7g}" for u, v in arrays["uv"].tolist()]
    lines += [f"vn {x:.5g} {y:.5g} {z:.5g}" for x, y, z in arrays["normals"].tolist()]
    lines += [
        f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}" for a, b, c in (arrays["faces"] + 1).tolist()
    ]
    path.write_text("\n".join(lines) + "\n")


def ask(peer: str, args: argparse.Namespace, python: str) -> dict[str, Any]:
    """Return what a peer's process says, or why it is skipped."""
    command = [python, str(CHILD), peer, str(args.out), str(args.frames), str(args.samples)]
    env = {**os.environ, "LP_NUM_THREADS": "1", "MUJOCO_GL": "egl"}
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, env=env)
    except FileNotFoundError:
        return {"skipped": f"no interpreter {python}"}
    except subprocess.TimeoutExpired:
        return {"skipped": f"no picture within {SECONDS} s"}
    if child.returncode < 0:
        return {"skipped": f"its process crashed ({signal.Signals(-child.returncode).name})"}
    for line in reversed(child.stdout.splitlines()):
        if line.startswith('{"peer"'):
            return dict(json.loads(line))
    lines = child.stderr.strip().splitlines()
    return {"skipped": lines[-1][:200] if lines else f"exit code {child.returncode}"}


def side_by_side(peers: list[str], out: Path) -> None:
    """Write the pictures in rows of four, each with its name."""
    shown: list[np.ndarray] = []
    for peer in peers:
        path = out / f"{peer}.png"
        if path.exists():
            image = cv2.resize(cv2.imread(str(path)), (480, 480), interpolation=cv2.INTER_AREA)
            cv2.rectangle(image, (0, 0), (480, 32), (0, 0, 0), cv2.FILLED)
            font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
            cv2.putText(image, peer, (10, 23), font, 0.7, white, 1, cv2.LINE_AA)
            shown.append(image)
    if shown:
        columns = min(4, len(shown))
        shown += [np.full_like(shown[0], 255)] * (-len(shown) % columns)
        rows = [np.concatenate(shown[i : i + columns], 1) for i in range(0, len(shown), columns)]
        cv2.imwrite(str(out / "peers.jpg"), np.concatenate(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
        print(f"pictures: {out / 'peers.jpg'}")


if __name__ == "__main__":
    main()
