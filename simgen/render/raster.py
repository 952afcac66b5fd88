"""The default renderer: OpenGL through moderngl, a label pass and a linear HDR colour pass."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import moderngl
import numpy as np

from simgen.config.render import RendererConfig
from simgen.defects.surface import SurfacePair
from simgen.errors import RenderError
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.context import describe, open_context, require_hardware
from simgen.render.distortion import DistortedScene, DistortionMap
from simgen.render.kept import KeptUploads
from simgen.render.lighting import Lighting
from simgen.render.programs import set_uniform, vertex_array
from simgen.render.projection import (
    DEPTH_MM,
    camera_from_world,
    clip_from_camera,
    projected_window,
)
from simgen.render.scene_on_gpu import Drawable, Instance, SceneOnGpu
from simgen.render.targets import Targets
from simgen.scene.spec import SceneSpec

_SHADERS = Path(__file__).parent / "shaders"
_PROGRAMS = {
    "label": ("object.vert", "label.frag"),
    "colour": ("object.vert", "colour.frag"),
    "body": ("object.vert", "colour.frag", "#define BODY\n"),
    # For several samples a pixel, which share its shadow taps.
    "colour of samples": ("object.vert", "colour.frag", "#define SAMPLES\n"),
    "body of samples": ("object.vert", "colour.frag", "#define SAMPLES\n#define BODY\n"),
    "depth": ("object.vert", "depth.frag"),
    "edges": ("screen.vert", "edges.frag"),
    "keep_edges": ("screen.vert", "keep_edges.frag"),
    "resolve": ("screen.vert", "resolve.frag"),
    "background": ("screen.vert", "background.frag"),
}


class Raster:
    """Owns the context and its programs; one a process, kept between frames.

    Raises:
        RenderError: No context, or software GL on a machine with a GPU unasked.
    """

    def __init__(self, config: RendererConfig):
        self.context = open_context()
        self.device = describe(self.context)
        require_hardware(self.device, allow_software=config.allow_software)
        self.config = config
        self.programs = {name: self._program(*files) for name, files in _PROGRAMS.items()}
        self.screen = {
            name: self.context.vertex_array(self.programs[name], [])
            for name in ("edges", "keep_edges", "resolve", "background")
        }
        self.kept = KeptUploads(self.context)
        self._targets: dict[tuple[int, int], Targets] = {}

    def facts(self) -> dict[str, Any]:
        """Return the driver's strings."""
        return {"name": "raster", **asdict(self.device)}

    def open(
        self, scene: SceneSpec, pairs: Sequence[SurfacePair]
    ) -> "RasterScene | DistortedScene":
        """Upload a scene; close the result when its frames are done."""
        # Every call makes its own context current: two renderers never draw into each other.
        with self.context:
            if not any(scene.camera.distortion):
                return RasterScene(self, scene, list(pairs))
            through = DistortionMap.of(scene.camera)
            inner = RasterScene(self, replace(scene, camera=through.pinhole), list(pairs))
            return DistortedScene(inner, scene.camera, through)

    def targets(self, width: int, height: int) -> "Targets":
        """Return the framebuffers of an image size; the last few sizes are kept."""
        key = (width, height)
        largest = int(self.context.info["GL_MAX_TEXTURE_SIZE"])
        if max(key) * self.config.supersample > largest:
            raise RenderError(
                f"image.width, image.height: {width} x {height} at renderer.supersample="
                f"{self.config.supersample} exceeds this driver's {largest}; lower one of them"
            )
        if key not in self._targets:
            while len(self._targets) >= 3:
                self._targets.pop(next(iter(self._targets))).release()
            self._targets[key] = Targets(self.context, width, height, self.config.supersample)
        return self._targets[key]

    def close(self) -> None:
        """Release the context and all it holds."""
        with self.context:
            self.kept.release()
            for targets in self._targets.values():
                targets.release()
            for array in self.screen.values():
                array.release()
            for program in self.programs.values():
                program.release()
        self.context.release()

    def _program(self, vertex: str, fragment: str, define: str = "") -> moderngl.Program:
        version, rest = (_SHADERS / fragment).read_text().split("\n", 1)
        return self.context.program(
            vertex_shader=(_SHADERS / vertex).read_text(),
            fragment_shader=f"{version}\n{define}{rest}",
        )


class RasterScene:
    """One uploaded scene. Windows are in camera pixels; None means the whole image."""

    def __init__(self, raster: Raster, scene: SceneSpec, pairs: list[SurfacePair]):
        self._raster = raster
        self._scene = scene
        self._gpu = SceneOnGpu(raster.context, raster.kept, scene, pairs)
        self._lighting = Lighting(
            raster.context, raster.programs["depth"], scene, self._gpu.instances,
            raster.config.shadow_map,
        )  # fmt: skip
        camera = scene.camera
        view = camera_from_world(camera)
        self._clip_from_world = clip_from_camera(camera) @ view
        self._view_row = view[2]
        self._eye = np.asarray(camera.pose.position_mm)
        self._targets = raster.targets(camera.width, camera.height)
        self._label_key: tuple[bool, Window] | None = None

    def close(self) -> None:
        """Free the scene's memory."""
        with self._raster.context:
            self._lighting.release()
            self._gpu.release()

    def window_of(self, k: int) -> Window:
        """Return the window that holds object `k`'s projection."""
        return projected_window(self._scene.camera, self.corners_of(k))

    def corners_of(self, k: int) -> np.ndarray:
        """Return the world corners of object `k`'s box, shape (8, 3), mm."""
        return self._gpu.instances[k].corners_mm

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Draw the label pass and read it back, cropped to the window."""
        window = window or self._whole()
        with self._raster.context:
            self._draw_labels(self._gpu.instances, clean, window)
            self._label_key = (clean, window)
            return self._read_labels(window)

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Draw the label pass of object `k` by itself: what nothing else hides."""
        with self._raster.context:
            self._draw_labels([self._gpu.instances[k]], clean, window)
            self._label_key = None
            return self._read_labels(window)

    def colour(self, *, clean: bool = False, window: Window | None = None) -> np.ndarray:
        """Draw linear HDR colour.

        Returns:
            Shape (h, w, 3), float32, of the window.
        """
        return self.begin_colour(clean=clean, window=window)()

    def begin_colour(
        self, *, clean: bool = False, window: Window | None = None
    ) -> Callable[[], np.ndarray]:
        """Draw what `colour` returns and have it copied; return what waits for the copy."""
        window = window or self._whole()
        context = self._raster.context
        with context:
            self._colour(clean, window)
            copy = context.buffer(reserve=4 * 3 * window.area)
            self._targets.result.read_into(copy, viewport=_box(window), components=3, dtype="f4")

        def wait() -> np.ndarray:
            with context:
                raw = copy.read()
                copy.release()
            return np.frombuffer(raw, np.float32).reshape(*_shape(window), 3)

        return wait

    def _colour(self, clean: bool, window: Window) -> None:
        targets = self._targets
        samples = targets.samples
        everywhere = samples > 1 and self._raster.config.supersample_faces
        if everywhere:
            targets.edges.use()
            targets.edges.scissor = _box(window)
            targets.edges.clear(1.0, 1.0, 1.0, 1.0)
        elif samples > 1:
            # Edges are found from a pixel's neighbours: one more all round.
            camera = self._scene.camera
            around = window.grown(1, camera.width, camera.height)
            if self._label_key != (clean, around):
                self._draw_labels(self._gpu.instances, clean, around)
                self._label_key = (clean, around)
            self._mark_edges(window)
        if not everywhere:
            self._shade(targets.single, clean, window, 1)
        if samples > 1:
            self._shade(targets.multi, clean, window, samples)
        program = self._raster.programs["resolve"]
        targets.result.use()
        targets.result.scissor = _box(window)
        for unit, (name, texture) in enumerate(
            {
                "single": targets.single_colour,
                "multi": targets.multi_colour,
                "edge_mask": targets.edge_mask,
            }.items()
        ):
            texture.use(unit)
            program[name] = unit
        program["samples"] = samples
        self._raster.context.disable(moderngl.DEPTH_TEST)
        self._raster.screen["resolve"].render(moderngl.TRIANGLES, vertices=3)

    def _whole(self) -> Window:
        camera = self._scene.camera
        return Window(x0=0, y0=0, x1=camera.width, y1=camera.height)

    def _draw_labels(self, instances: Sequence[Instance], clean: bool, window: Window) -> None:
        target, context = self._targets.label, self._raster.context
        program = self._raster.programs["label"]
        target.use()
        target.scissor = _box(window)
        # moderngl clears integer attachments as floats: 0 is 0 in both.
        target.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        context.enable_only(moderngl.DEPTH_TEST)
        self._set_camera(program)
        for instance in instances:
            set_uniform(program, "world_from_part", instance.world_from_part)
            for drawable in instance.clean if clean else instance.damaged:
                program["ids"] = (instance.id, drawable.cut)
                self._set_hair(program, drawable, 1)
                vertex_array(context, program, drawable, "label").render()

    def _read_labels(self, window: Window) -> LabelBuffers:
        target, shape, box = self._targets.label, _shape(window), _box(window)
        ids = np.frombuffer(target.read(box, 2, attachment=0, dtype="u4"), np.uint32)
        ids = ids.reshape(*shape, 2)
        position = np.frombuffer(target.read(box, 4, attachment=1, dtype="f4"), np.float32)
        position = position.reshape(*shape, 4)
        normal = np.frombuffer(target.read(box, 3, attachment=2, dtype="f2"), np.float16)
        return LabelBuffers(
            ids=ids[..., 0],
            cut=ids[..., 1],
            position_mm=position[..., :3],
            depth_mm=position[..., 3],
            normal=normal.reshape(*shape, 3).astype(np.float32),
        )

    def _mark_edges(self, window: Window) -> None:
        targets, program = self._targets, self._raster.programs["edges"]
        targets.edges.use()
        targets.edges.scissor = _box(window)
        for unit, (name, texture) in enumerate(
            {
                "label_ids": targets.ids,
                "label_normal": targets.normal,
            }.items()
        ):
            texture.use(unit)
            program[name] = unit
        self._raster.context.disable(moderngl.DEPTH_TEST)
        self._raster.screen["edges"].render(moderngl.TRIANGLES, vertices=3)

    def _shade(self, target: moderngl.Framebuffer, clean: bool, window: Window, scale: int) -> None:
        """Shade the window at `scale` samples a pixel side; above 1 its edge pixels only."""
        context = self._raster.context
        target.use()
        target.scissor = _box(window, scale)
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        if scale > 1:
            self._keep_edges(scale)
        context.enable_only(moderngl.DEPTH_TEST)
        drawn = [
            (instance, drawable)
            for instance in self._front_to_back()
            for drawable in (instance.clean if clean else instance.damaged)
        ]
        solid = [(i, d) for i, d in drawn if not d.hair_mm]
        self._draw("colour", [(i, d) for i, d in solid if d.look is None], clean, scale)
        self._draw("body", [(i, d) for i, d in solid if d.look is not None], clean, scale)
        self._background(scale)
        hairs = [(i, d) for i, d in drawn if d.hair_mm]
        if hairs:
            # Last, mixed with what lies behind them by how much of a sample they cover.
            context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
            context.front_face = "cw"
            context.blend_func = (*moderngl.DEFAULT_BLENDING, moderngl.ONE, moderngl.ONE)
            self._draw("body", hairs, clean, scale)
            context.enable_only(moderngl.DEPTH_TEST)

    def _draw(
        self, name: str, drawn: list[tuple[Instance, Drawable]], clean: bool, scale: int
    ) -> None:
        if not drawn:
            return
        name = name if scale == 1 else f"{name} of samples"
        context, program = self._raster.context, self._raster.programs[name]
        self._set_camera(program)
        set_uniform(program, "eye_mm", self._eye)
        self._lighting.bind(program, first_unit=4, clean=clean)
        for instance, drawable in drawn:
            set_uniform(program, "world_from_part", instance.world_from_part)
            self._set_material(program, drawable)
            self._set_hair(program, drawable, scale)
            vertex_array(context, program, drawable, name).render()

    def _set_hair(self, program: moderngl.Program, drawable: Drawable, scale: int) -> None:
        """Widen what is thinner than a sample; `scale` is samples a pixel side."""
        value = (0.0, 0.0, 0.0, 0.0)
        if drawable.hair_mm:
            camera = self._scene.camera
            # A little over half: between two rows of sample centres a line touches both.
            least = 0.55 / (min(camera.fx, camera.fy) * scale)
            value = (drawable.hair_mm, least, DEPTH_MM, 1.0)
        set_uniform(program, "hair", value)

    def _keep_edges(self, scale: int) -> None:
        context, program = self._raster.context, self._raster.programs["keep_edges"]
        self._targets.edge_mask.use(0)
        program["edge_mask"] = 0
        program["scale"] = float(scale)
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = "1"
        self._raster.screen["keep_edges"].render(moderngl.TRIANGLES, vertices=3)
        context.depth_func = "<"

    def _background(self, scale: int) -> None:
        """Fill what nothing covers, which is at the far end of the depth buffer."""
        program, camera = self._raster.programs["background"], self._scene.camera
        context = self._raster.context
        context.enable_only(moderngl.DEPTH_TEST)
        self._lighting.bind_backdrop(program, unit=4)
        rotation = camera.pose.matrix()[:3, :3]
        program["world_from_camera"].write(rotation.T.astype(np.float32).tobytes())
        fx, fy = camera.fx * scale, camera.fy * scale
        cx, cy = (camera.cx + 0.5) * scale, (camera.cy + 0.5) * scale
        program["pixel_ray"] = (1 / fx, 1 / fy, -cx / fx, -cy / fy)
        context.depth_func = "<="
        self._raster.screen["background"].render(moderngl.TRIANGLES, vertices=3)
        context.depth_func = "<"

    def _front_to_back(self) -> list[Instance]:
        def nearest(instance: Instance) -> float:
            return float(np.linalg.norm(instance.corners_mm.mean(axis=0) - self._eye))

        drawn = [i for i in self._gpu.instances]
        casts = [o.casts_shadow for o in self._scene.objects]
        return sorted(drawn, key=lambda i: (not casts[i.id - 1], nearest(i)))

    def _set_camera(self, program: moderngl.Program) -> None:
        set_uniform(program, "clip_from_world", self._clip_from_world)
        set_uniform(program, "view_row", self._view_row)

    def _set_material(self, program: moderngl.Program, drawable: Drawable) -> None:
        for unit, (name, texture) in enumerate(
            zip(("map_colour", "map_slope", "map_extra"), drawable.textures, strict=False)
        ):
            texture.use(unit)
            set_uniform(program, name, unit)
        look = drawable.look
        if look is not None:
            grain = (look.metalness, look.grain, 1 / look.grain_mm, look.ripple)
            set_uniform(program, "body_colour", (*look.albedo, look.roughness))
            set_uniform(program, "body_grain", grain)
            set_uniform(program, "body_ripple", (*look.ripple_origin_mm, 1 / look.ripple_mm))
            set_uniform(program, "body_lip", (look.lip, look.lip_mm))
            return
        set_uniform(program, "glow", drawable.finish.glow)
        lead = drawable.finish.values.get("lead_mm", 0.0)
        set_uniform(program, "process_axis", drawable.finish.direction)
        set_uniform(program, "process_turned", float(drawable.finish.around or lead > 0))
        set_uniform(program, "process_rise", lead / (2 * np.pi))


def _box(window: Window, scale: int = 1) -> tuple[int, int, int, int]:
    return (
        window.x0 * scale,
        window.y0 * scale,
        (window.x1 - window.x0) * scale,
        (window.y1 - window.y0) * scale,
    )


def _shape(window: Window) -> tuple[int, int]:
    return window.y1 - window.y0, window.x1 - window.x0
