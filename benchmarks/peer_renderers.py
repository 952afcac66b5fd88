"""The processes of benchmarks/peers.py: one renderer draws the scene that it exported.

Needs numpy and the renderer only, for others than ours, so that an interpreter without simgen
will do.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Draw = Callable[[], np.ndarray]
Open = Callable[[], Draw]

# What the peers are installed with; bpy wants a numpy of its own, and Python 3.11.
PIP = {
    "mujoco": "pip install mujoco",
    "cycles": "python3.11 -m venv CYCLES && CYCLES/bin/pip install bpy"
    " (then --python cycles=CYCLES/bin/python)",
    "pybullet-tiny": "pip install pybullet",
    "pybullet-opengl": "pip install pybullet",
}


class Skipped(Exception):
    """Why a peer cannot draw here, and the remedy."""


def main() -> None:
    """Open the scene, draw it several times, print the times as JSON, keep the last picture."""
    peer, out, frames, samples = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    folder = out / "scene"
    start = {
        "pybullet-tiny": lambda: pybullet(folder, opengl=False),
        "pybullet-opengl": lambda: pybullet(folder, opengl=True),
        "mujoco": lambda: mujoco(folder),
        "cycles": lambda: cycles(folder, samples),
    }.get(peer, lambda: ours(peer, folder, samples))
    try:
        device, open_scene = start()
    except ImportError as error:
        print(json.dumps({"peer": peer, "skipped": f"{error}: {PIP[peer]}"}))
        return
    except Skipped as why:
        print(json.dumps({"peer": peer, "skipped": str(why)}))
        return
    # Warm: programs are compiled and memory is fetched.
    open_scene()()
    new, again, wall = [], [], []
    picture = np.zeros(0)
    for _ in range(frames):
        at = time.process_time()
        draw = open_scene()
        picture = draw()
        new.append(time.process_time() - at)
        at, clock = time.process_time(), time.monotonic()
        picture = draw()
        again.append(time.process_time() - at)
        wall.append(time.monotonic() - clock)
    if picture.size:
        write_png(out / f"{peer}.png", picture)
    said = {"peer": peer, "device": device, "new": new, "again": again, "wall": wall}
    print(json.dumps(said), flush=True)
    # Some tear down a context that is no more.
    os._exit(0)


def ours(name: str, folder: Path, samples: int) -> tuple[str, Open]:
    """Return one of simgen's renderers; its sensor, that makes bytes, is not counted."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from simgen.config.render import PathtraceConfig, RendererConfig
    from simgen.defects.surface import build_surfaces
    from simgen.errors import RenderError
    from simgen.render.choose import open_renderer
    from simgen.scene.spec import scene_from_json
    from simgen.sensor import develop, metered, quantize

    settings = PathtraceConfig(samples=samples, part_samples=samples)
    config = RendererConfig(name=name, allow_software=True, pathtrace=settings)  # type: ignore[arg-type]
    try:
        renderer = open_renderer(config)
    except RenderError as error:
        raise Skipped(str(error)) from None
    scene = scene_from_json((folder / "scene.json").read_text())
    pairs = [build_surfaces(item) for item in scene.objects]
    facts = renderer.facts()
    size = (scene.camera.width, scene.camera.height)
    opened: list[Any] = []
    drawn: list[bool] = [False]
    shown: list[np.ndarray] = []

    def open_scene() -> Draw:
        # As in a dataset, where every frame is a new scene: nothing of the last one is kept.
        while opened:
            opened.pop().close()
        opened.append(renderer.open(scene, pairs))
        drawn[0] = False
        return draw

    def draw() -> np.ndarray:
        if drawn[0]:
            # Shadow maps are kept with a scene, by pathtrace the picture: draw those again, too.
            if name == "pyrender":
                renderer._canvas._shadows_of = None  # type: ignore[attr-defined]
            else:
                open_scene()
        linear = opened[0].colour()
        drawn[0] = True
        if not shown:
            sensor = metered(linear, scene.sensor, size)
            levels = develop(linear, sensor, origin=(0, 0), camera_size=size, noise=None)
            image = quantize(levels, sensor)
            shown.append(image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2))
        return shown[0]

    many = f", {samples} samples a pixel" if name == "pathtrace" else ""
    return f"{facts['renderer']}{many}", open_scene


def pybullet(folder: Path, *, opengl: bool) -> tuple[str, Open]:
    """Return pybullet's software renderer, or its OpenGL 3 renderer over EGL."""
    import importlib.util

    import pybullet as p

    plain = json.loads((folder / "plain.json").read_text())
    p.connect(p.DIRECT)
    device = "TinyRenderer, one core"
    if opengl:
        plugin = importlib.util.find_spec("eglRenderer")
        if plugin is None or p.loadPlugin(str(plugin.origin), "_eglRendererPlugin") < 0:
            raise Skipped("pybullet's eglRenderer does not load: its wheel or EGL lacks it")
        device = "OpenGL3 over EGL"
    position, rotation = np.array(plain["position"]), np.array(plain["rotation"])
    view = p.computeViewMatrix(position, position + rotation[:, 2], -rotation[:, 1])
    near, far = 0.05, 10.0
    left, right = -plain["cx"] / plain["fx"], (plain["width"] - plain["cx"]) / plain["fx"]
    top, bottom = plain["cy"] / plain["fy"], (plain["cy"] - plain["height"]) / plain["fy"]
    sides = [near * x for x in (left, right, bottom, top)]
    projection = p.computeProjectionMatrix(*sides, near, far)
    key = max(plain["lights"], key=lambda light: light["shadow"], default=None)
    towards = [0.3, 0.2, 1.0] if key is None else np.subtract(key["position"], key["target"])
    renderer = p.ER_BULLET_HARDWARE_OPENGL if opengl else p.ER_TINY_RENDERER

    def open_scene() -> Draw:
        p.resetSimulation()
        for k in range(len(plain["objects"])):
            shape = p.createVisualShape(p.GEOM_MESH, fileName=str((folder / f"{k}.obj").resolve()))
            body = p.createMultiBody(baseVisualShapeIndex=shape)
            image = p.loadTexture(str((folder / f"{k}_colour.png").resolve()))
            p.changeVisualShape(body, -1, textureUniqueId=image, rgbaColor=(1, 1, 1, 1))
        return draw

    def draw() -> np.ndarray:
        _, _, pixels, _, _ = p.getCameraImage(
            plain["width"], plain["height"], view, projection, renderer=renderer, shadow=1,
            lightDirection=list(towards), flags=p.ER_NO_SEGMENTATION_MASK,
        )  # fmt: skip
        return np.reshape(pixels, (plain["height"], plain["width"], 4))[..., :3].astype(np.uint8)

    return device, open_scene


def mujoco(folder: Path) -> tuple[str, Open]:
    """Return MuJoCo's renderer over EGL."""
    import mujoco as mj

    plain = json.loads((folder / "plain.json").read_text())
    assets, bodies = [], []
    for k in range(len(plain["objects"])):
        assets.append(f'<mesh name="m{k}" file="{k}.obj" inertia="shell"/>')
        assets.append(f'<texture name="t{k}" type="2d" file="{k}_colour.png"/>')
        assets.append(f'<material name="s{k}" texture="t{k}" specular="0.4" shininess="0.4"/>')
        bodies.append(
            f'<geom type="mesh" mesh="m{k}" material="s{k}" contype="0" conaffinity="0"/>'
        )
    for light in plain["lights"]:
        to = np.subtract(light["target"], light["position"])
        strength = " ".join(f"{x / np.pi:.4f}" for x in light["irradiance"])
        bodies.append(
            f'<light pos="{numbers(light["position"])}" dir="{numbers(to)}" diffuse="{strength}"'
            f' cutoff="80" castshadow="{str(light["shadow"]).lower()}"/>'
        )
    rotation = np.array(plain["rotation"])
    w, h = plain["width"], plain["height"]
    bodies.append(
        f'<camera name="c" pos="{numbers(plain["position"])}"'
        f' xyaxes="{numbers(rotation[:, 0])} {numbers(-rotation[:, 1])}" resolution="{w} {h}"'
        f' focalpixel="{plain["fx"]} {plain["fy"]}" sensorsize="0.01 {0.01 * h / w}"'
        f' principalpixel="{w / 2 - plain["cx"]} {plain["cy"] - h / 2}"/>'
    )
    text = (
        f'<mujoco><compiler meshdir="{folder.resolve()}" texturedir="{folder.resolve()}"/>'
        f'<visual><global offwidth="{w}" offheight="{h}"/><headlight ambient="'
        f'{numbers(plain["ambient"])}" diffuse="0 0 0" specular="0 0 0"/>'
        '<map znear="0.01" zfar="10"/><quality shadowsize="2048"/></visual>'
        f"<asset>{''.join(assets)}</asset><worldbody>{''.join(bodies)}</worldbody></mujoco>"
    )
    renderers: list[Any] = []

    def open_scene() -> Draw:
        while renderers:
            renderers.pop().close()
        model = mj.MjModel.from_xml_string(text)
        data = mj.MjData(model)
        mj.mj_forward(model, data)
        renderers.append(mj.Renderer(model, h, w))

        def draw() -> np.ndarray:
            renderers[0].update_scene(data, camera="c")
            image: np.ndarray = renderers[0].render()
            return image

        return draw

    return f"MuJoCo {mj.__version__}, OpenGL over EGL", open_scene


def cycles(folder: Path, samples: int) -> tuple[str, Open]:
    """Return Blender's Cycles on one core of the CPU, with its denoiser."""
    import bpy

    plain = json.loads((folder / "plain.json").read_text())
    path = folder.parent / "cycles.png"

    def draw() -> np.ndarray:
        bpy.ops.render.render(write_still=True)
        return np.zeros(0)

    def open_scene() -> Draw:
        cycles_scene(bpy, folder, plain, path, samples)
        return draw

    said = f"Cycles of Blender {bpy.app.version_string}, CPU, {samples} samples a pixel, denoised"
    return said, open_scene


def cycles_scene(bpy: Any, folder: Path, plain: dict[str, Any], path: Path, samples: int) -> None:
    """Make Blender's scene; its pictures go to `path`."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for k in range(len(plain["objects"])):
        arrays = np.load(folder / f"{k}.npz")
        vertices, faces = arrays["vertices"].astype(np.float32), arrays["faces"].astype(np.int32)
        mesh = bpy.data.meshes.new(f"m{k}")
        mesh.vertices.add(len(vertices))
        mesh.vertices.foreach_set("co", vertices.ravel())
        mesh.loops.add(faces.size)
        mesh.loops.foreach_set("vertex_index", faces.ravel())
        mesh.polygons.add(len(faces))
        mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
        layer = mesh.uv_layers.new(name="uv")
        layer.data.foreach_set("uv", arrays["uv"].astype(np.float32)[faces.ravel()].ravel())
        mesh.update(calc_edges=True)
        mesh.normals_split_custom_set_from_vertices(arrays["normals"].astype(np.float32))
        mesh.materials.append(cycles_material(bpy, folder, k))
        bpy.context.collection.objects.link(bpy.data.objects.new(f"o{k}", mesh))
    for light in plain["lights"]:
        at, target = np.array(light["position"]), np.array(light["target"])
        strength = max(light["irradiance"])
        lamp = bpy.data.lights.new("lamp", "AREA")
        lamp.shape, lamp.size = "DISK", max(light["size"], 1e-3)
        lamp.energy = float(np.pi * strength * ((at - target) @ (at - target)))
        lamp.color = (np.array(light["irradiance"]) / max(strength, 1e-9)).tolist()
        bpy.context.collection.objects.link(placed(bpy, lamp, at, looking(at - target)))
    world = bpy.data.worlds.new("w")
    bpy.context.scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (*plain["ambient"], 1.0)
    camera = bpy.data.cameras.new("c")
    w, h = plain["width"], plain["height"]
    camera.sensor_width, camera.lens = 36.0, 36.0 * plain["fx"] / w
    camera.shift_x, camera.shift_y = 0.5 - plain["cx"] / w, (plain["cy"] - h / 2) / w
    camera.clip_start = 0.01
    axes = np.array(plain["rotation"]) @ np.diag([1.0, -1.0, -1.0])
    eye = placed(bpy, camera, np.array(plain["position"]), axes)
    bpy.context.collection.objects.link(eye)
    scene = bpy.context.scene
    scene.camera = eye
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples = "CPU", samples
    scene.cycles.use_denoising = True
    scene.render.resolution_x, scene.render.resolution_y = w, h
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(path.resolve())
    scene.render.image_settings.file_format = "PNG"
    scene.render.threads_mode, scene.render.threads = "FIXED", 1


def cycles_material(bpy: Any, folder: Path, k: int) -> Any:
    """Return a principled material with an object's maps."""
    material = bpy.data.materials.new(f"s{k}")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    bsdf = nodes["Principled BSDF"]
    colour, rough_metal = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeTexImage")
    colour.image = bpy.data.images.load(str((folder / f"{k}_colour.png").resolve()))
    rough_metal.image = bpy.data.images.load(str((folder / f"{k}_rough_metal.png").resolve()))
    rough_metal.image.colorspace_settings.name = "Non-Color"
    normal, bent = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeNormalMap")
    normal.image = bpy.data.images.load(str((folder / f"{k}_normal.png").resolve()))
    normal.image.colorspace_settings.name = "Non-Color"
    links.new(normal.outputs["Color"], bent.inputs["Color"])
    links.new(bent.outputs["Normal"], bsdf.inputs["Normal"])
    split = nodes.new("ShaderNodeSeparateColor")
    links.new(colour.outputs["Color"], bsdf.inputs["Base Color"])
    links.new(rough_metal.outputs["Color"], split.inputs["Color"])
    links.new(split.outputs["Green"], bsdf.inputs["Roughness"])
    links.new(split.outputs["Blue"], bsdf.inputs["Metallic"])
    return material


def placed(bpy: Any, data: Any, at: np.ndarray, axes: np.ndarray) -> Any:
    """Return an object of Blender's at a place, its axes the columns."""
    import mathutils

    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes, at
    made = bpy.data.objects.new(data.name, data)
    made.matrix_world = mathutils.Matrix(matrix.tolist())
    return made


def looking(back: np.ndarray) -> np.ndarray:
    """Return axes whose z is `back`: a lamp of Blender's shines along its -z."""
    z = back / np.linalg.norm(back)
    x = np.cross((0.0, 1, 0) if abs(z[2]) > 0.9 else (0.0, 0, 1), z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def numbers(values: Any) -> str:
    """Return numbers for XML."""
    return " ".join(f"{float(x):.9g}" for x in values)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write (h, w, 3) uint8 RGB without any library."""
    import struct
    import zlib

    h, w, _ = image.shape
    rows = np.concatenate([np.zeros((h, 1), np.uint8), image.reshape(h, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))


if __name__ == "__main__":
    main()
