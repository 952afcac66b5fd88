"""Lights, shadows, surroundings and the height map of a scene, ready for the colour shader."""

from collections.abc import Sequence

import moderngl
import numpy as np

from simgen.errors import RenderError
from simgen.render.environment import backdrop, ground_of, prefiltered
from simgen.render.programs import set_uniform
from simgen.render.projection import shadow_projection
from simgen.render.scene_on_gpu import Drawable, Instance
from simgen.scene.spec import LightSpec, SceneSpec

MAX_LIGHTS, MAX_SHADOWS = 8, 2
# Of a bar's and of a ring's tube over half its size, as the shader has them.
BAR_RADIUS, RING_RADIUS = 0.08, 0.1
BAR_PIECES = 4
# Of the lamps' light on what lies level, what falls on things beside a place on average.
_LAMPS_ASIDE = 0.3
_HEIGHT_MAP = 256


class Lighting:
    """Draws the shadow maps on construction; `bind` hands everything to a program."""

    def __init__(
        self,
        context: moderngl.Context,
        depth_program: moderngl.Program,
        scene: SceneSpec,
        instances: Sequence[Instance],
        shadow_size: int,
    ):
        if len(scene.lights) > MAX_LIGHTS:
            raise RenderError(f"{len(scene.lights)} lights; at most {MAX_LIGHTS} can be drawn")
        self._context, self._scene, self._instances = context, scene, instances
        self._program = depth_program
        self._casters = [i for i in instances if scene.objects[i.id - 1].casts_shadow]
        self._owned: list[moderngl.Texture | moderngl.Framebuffer | moderngl.Sampler] = []
        corners = [i.corners_mm for i in self._casters] or [i.corners_mm for i in instances]
        self._points = np.concatenate(corners) if corners else np.zeros((1, 3))
        layers = prefiltered(scene.environment)
        self._environment = self._upload_environment(layers)
        behind = backdrop(scene.environment)
        self._backdrop = (
            self._environment if behind is None else self._upload_environment(behind[None])
        )
        self._ground_seen = ground_of(scene.environment)
        self._ground, self._ground_edges = self._ground_below()
        up = layers[-1, 0].mean(axis=0)
        sky, lamps = scene.environment.intensity * up, _falling_light(scene.lights)
        self._ground_light, self._side_light = sky + lamps, sky + _LAMPS_ASIDE * lamps
        # Where material is missing or added, the clean twin needs maps of its own.
        two = any(i.reshaped for i in self._casters)
        self._maps = {False: self._draw_maps(False, shadow_size)}
        self._maps[True] = self._draw_maps(True, shadow_size) if two else self._maps[False]
        self._compare = context.sampler(compare_func="<=", repeat_x=False, repeat_y=False)
        self._compare.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._raw = context.sampler(repeat_x=False, repeat_y=False)
        self._raw.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._owned += [self._compare, self._raw]

    def release(self) -> None:
        """Free the maps."""
        for item in reversed(self._owned):
            item.release()
        self._owned.clear()

    def bind_backdrop(self, program: moderngl.Program, unit: int) -> None:
        """Bind the surroundings as the camera sees them."""
        self.bind_environment(program, unit)
        self._backdrop.use(unit)

    def bind_environment(self, program: moderngl.Program, unit: int) -> None:
        """Bind the prefiltered surroundings."""
        self._environment.use(unit)
        set_uniform(program, "environment", unit)
        set_uniform(program, "environment_layers", float(self._environment.layers))
        set_uniform(
            program, "environment_turn", float(np.deg2rad(self._scene.environment.rotation_deg))
        )
        set_uniform(program, "environment_gain", self._scene.environment.intensity)

    def bind(self, program: moderngl.Program, *, first_unit: int, clean: bool) -> None:
        """Bind all of it, using four texture units from `first_unit`."""
        self.bind_environment(program, first_unit)
        shadows, texture, height, frame = self._maps[clean]
        height.use(first_unit + 1)
        set_uniform(program, "height_map", first_unit + 1)
        set_uniform(program, "height_frame", frame)
        set_uniform(program, "ground", self._ground)
        set_uniform(program, "ground_edges", self._ground_edges)
        set_uniform(program, "ground_light", tuple(self._ground_light))
        set_uniform(program, "side_light", tuple(self._side_light))
        set_uniform(program, "ground_instead", self._ground_seen)
        self._bind_lights(program, shadows)
        matrices = np.zeros((MAX_SHADOWS, 4, 4), np.float32)
        infos = np.zeros((MAX_SHADOWS, 4), np.float32)
        radii = np.zeros((MAX_SHADOWS, 4), np.float32)
        for k, (_, matrix, info, ellipse) in enumerate(shadows):
            matrices[k], infos[k], radii[k] = matrix.T, info, ellipse
        units = (first_unit + 2, first_unit + 3)
        if texture is not None:
            texture.use(units[0])
            texture.use(units[1])
            self._compare.use(units[0])
            self._raw.use(units[1])
            share = 1 / len(shadows), 0.5 * len(shadows) / texture.width
            set_uniform(program, "shadow_share", share)
        else:
            self._context.clear_samplers(units[0], units[1] + 1)
        set_uniform(program, "shadow_maps", units[0])
        set_uniform(program, "shadow_raw", units[1])
        _write(program, "shadow_from_world", matrices)
        _write(program, "shadow_info", infos)
        _write(program, "shadow_radii", radii)

    def unbind(self, first_unit: int) -> None:
        """Take the samplers off their units, for programs that use the units otherwise."""
        self._context.clear_samplers(first_unit, first_unit + 4)

    def _bind_lights(self, program: moderngl.Program, shadows: list[tuple]) -> None:
        position = np.zeros((MAX_LIGHTS, 4), np.float32)
        axis = np.zeros((MAX_LIGHTS, 4), np.float32)
        power = np.zeros((MAX_LIGHTS, 4), np.float32)
        side = np.zeros((MAX_LIGHTS, 4), np.float32)
        owner = {light: k for k, (light, *_) in enumerate(shadows)}
        for i, light in enumerate(self._scene.lights):
            at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
            unit = np.asarray(light.axis) / np.linalg.norm(light.axis)
            kind = {"disc": 0.0, "bar": 1.0, "ring": 2.0, "panel": 3.0}[light.kind]
            half = light.size_mm / 2
            distance2 = float((at - target) @ (at - target))
            if light.kind == "ring":
                distance2 += half**2
            if light.kind == "bar":
                distance2 = _bar_falloff(light)
            if light.kind == "panel":
                unit, side[i, :3], side[i, 3] = panel_frame(light)
                distance2 = _panel_falloff(light)
            position[i] = (*at, kind)
            axis[i] = (*unit, half)
            power[i] = (
                *(np.asarray(light.colour) * light.irradiance * distance2),
                owner.get(i, -1),
            )
        set_uniform(program, "light_count", len(self._scene.lights))
        _write(program, "light_position", position)
        _write(program, "light_axis", axis)
        _write(program, "light_side", side)
        _write(program, "light_power", power)

    def _ground_below(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return albedo and height of the largest thing that casts no shadow, and its borders."""
        lying = [i for i in self._instances if not self._scene.objects[i.id - 1].casts_shadow]
        if not lying:
            # Nothing: reflections of what is below show the surroundings' own ground.
            below = np.asarray(self._ground_seen) * self._scene.environment.intensity
            nowhere = (1e9, 1e9, -1e9, -1e9)
            return (*np.clip(below / 3, 0, 1), float(self._points[:, 2].min()) - 1.0), nowhere
        largest = max(lying, key=lambda i: float(np.prod(np.ptp(i.corners_mm, axis=0)[:2])))
        albedo = largest.clean[0].finish.colour
        corners = largest.corners_mm
        height = min(float(corners[:, 2].max()), float(self._points[:, 2].min()))
        return (*albedo, height), (*corners[:, :2].min(axis=0), *corners[:, :2].max(axis=0))

    def _upload_environment(self, layers: np.ndarray) -> moderngl.TextureArray:
        count, height, width, _ = layers.shape
        # Half floats end at 65504, and a panorama's sun is brighter.
        half = self._scene.environment.image is None
        values = layers.astype(np.float16 if half else np.float32)
        texture = self._context.texture_array(
            (width, height, count), 3, values.tobytes(), dtype="f2" if half else "f4"
        )
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x, texture.repeat_y = True, False
        self._owned.append(texture)
        return texture

    def _draw_maps(
        self, clean: bool, size: int
    ) -> tuple[list[tuple], moderngl.Texture | None, moderngl.Texture, tuple]:
        """Draw the shadow maps, side by side in one texture, and the map from above."""
        casting = [k for k, light in enumerate(self._scene.lights) if light.shadow][:MAX_SHADOWS]
        shadows: list[tuple] = []
        texture = None
        if casting:
            texture = self._context.depth_texture((size * len(casting), size))
            texture.compare_func = ""
            target_buffer = self._context.framebuffer([], texture)
            self._owned += [texture, target_buffer]
            target_buffer.use()
            target_buffer.clear(depth=1.0)
        for place, i in enumerate(casting):
            light = self._scene.lights[i]
            at, target = np.asarray(light.position_mm), np.asarray(light.target_mm)
            matrix, axes, near, far, half = shadow_projection(at, target, self._points)
            target_buffer.viewport = (place * size, 0, size, size)
            distance = float(np.linalg.norm(self._points.mean(axis=0) - at))
            texel_mm = 2 * half * distance / size
            self._context.polygon_offset = 1.5, 4.0
            self._draw(matrix, clean, texel_mm)
            self._context.polygon_offset = 0.0, 0.0
            offset = 2.0 * texel_mm
            radii = (_radii(light) @ axes.T) / (2 * half)
            longest = float(np.linalg.norm(radii, axis=1).max())
            shadows.append((i, matrix, (near, far, offset, longest), radii.reshape(-1)))
        return shadows, texture, *self._draw_height(clean)

    def _draw_height(
        self, clean: bool
    ) -> tuple[moderngl.Texture, tuple[float, float, float, float]]:
        low, high = self._points.min(axis=0), self._points.max(axis=0)
        centre = (low + high) / 2
        extent = float((high - low)[:2].max()) * 1.15 + 10.0
        top, bottom = float(high[2]) + 1.0, float(low[2]) - 1.0
        matrix = np.array(
            [
                [2 / extent, 0, 0, -2 * centre[0] / extent],
                [0, 2 / extent, 0, -2 * centre[1] / extent],
                [0, 0, -2 / (top - bottom), (top + bottom) / (top - bottom)],
                [0, 0, 0, 1],
            ]
        )
        texture = self._context.texture((_HEIGHT_MAP, _HEIGHT_MAP), 4, dtype="f4")
        texture.repeat_x = texture.repeat_y = False
        depth = self._context.depth_texture((_HEIGHT_MAP, _HEIGHT_MAP))
        target = self._context.framebuffer([texture], depth)
        self._owned += [texture, depth, target]
        target.use()
        target.clear(*self._ground, depth=1.0)
        self._draw(matrix, clean, extent / _HEIGHT_MAP)
        x0, y0 = centre[0] - extent / 2, centre[1] - extent / 2
        return texture, (float(x0), float(y0), 1 / extent, extent / _HEIGHT_MAP)

    def _draw(self, clip_from_world: np.ndarray, clean: bool, texel_mm: float) -> None:
        self._context.enable_only(moderngl.DEPTH_TEST)
        _write(self._program, "clip_from_world", clip_from_world.T.astype(np.float32))
        for instance in self._casters:
            matrix = instance.world_from_part.T.astype(np.float32)
            _write(self._program, "world_from_part", matrix)
            for drawable in instance.clean if clean else instance.damaged:
                # A hair much thinner than a texel would cast dashes.
                if not 0 < 2 * drawable.hair_mm < 0.7 * texel_mm:
                    look = drawable.look
                    set_uniform(
                        self._program,
                        "albedo",
                        drawable.finish.colour if look is None else look.albedo,
                    )
                    self._array(drawable).render()

    def _array(self, drawable: Drawable) -> moderngl.VertexArray:
        if "depth" not in drawable.arrays:
            drawable.arrays["depth"] = self._context.vertex_array(
                self._program, [(drawable.buffer, "3f 5x4", "in_position")],
                index_buffer=drawable.index,
            )  # fmt: skip
        return drawable.arrays["depth"]


def panel_frame(light: LightSpec) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a panel's unit axes along and across, and half its breadth in mm.

    Their cross product looks at the target or away from it: a panel has no back.
    """
    face = np.asarray(light.target_mm, np.float64) - light.position_mm
    face /= np.linalg.norm(face)
    along = np.asarray(light.axis) - face * (face @ light.axis)
    if np.linalg.norm(along) < 1e-6:
        along = np.cross(face, (1.0, 0.0, 0.0) if abs(face[0]) < 0.9 else (0.0, 1.0, 0.0))
    along /= np.linalg.norm(along)
    return along, np.cross(face, along), (light.breadth_mm or light.size_mm) / 2


def _falling_light(lights: Sequence[LightSpec]) -> np.ndarray:
    """Return the radiance, shape (3,), of white that lies level where the lights aim."""
    total = np.zeros(3)
    for light in lights:
        to = np.asarray(light.position_mm, np.float64) - light.target_mm
        cosine = max(float(to[2] / np.linalg.norm(to)), 0.0)
        total += cosine * light.irradiance / np.pi * np.asarray(light.colour)
    return total


def _bar_falloff(light: LightSpec) -> float:
    """Return what makes a bar's light at its target, on a surface that faces it, as stated."""
    to = np.asarray(light.position_mm, np.float64) - light.target_mm
    axis = np.asarray(light.axis, np.float64) / np.linalg.norm(light.axis)
    q = to + np.linspace(-0.5, 0.5, BAR_PIECES + 1)[:, None] * light.size_mm * axis
    distance2 = np.einsum("ni,ni->n", q, q)
    flatness = np.sqrt(np.maximum(1 - (q @ axis) ** 2 / distance2, 0))
    weight = np.maximum(q @ to, 0) / np.linalg.norm(to) / distance2**1.5 * flatness
    return float(1 / max(((weight[1:] + weight[:-1]) / 2).mean(), 1e-12))


def _radii(light: LightSpec) -> np.ndarray:
    """Return two half axes of a light as its shadows see it, shape (2, 3), mm.

    Taps fill an ellipse: of an oblong it has the second moments, 2 / sqrt(3) of its half sides.
    """
    half = light.size_mm / 2
    oblong = 0.6 * 2 / np.sqrt(3)
    if light.kind == "panel":
        along, aside, half_breadth = panel_frame(light)
        return np.stack([oblong * half * along, oblong * half_breadth * aside])
    axis = np.asarray(light.axis, np.float64) / np.linalg.norm(light.axis)
    if light.kind == "disc":
        axis = np.asarray(light.target_mm, np.float64) - light.position_mm
        axis /= np.linalg.norm(axis)
    first, second = across(axis)
    if light.kind == "bar":
        to = np.asarray(light.target_mm, np.float64) - light.position_mm
        side = np.cross(axis, to)
        length = float(np.linalg.norm(side))
        side = side / length if length > 1e-6 else first
        return np.stack([oblong * half * axis, BAR_RADIUS * half * side])
    return half * np.stack([first, second])


def across(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two unit vectors that are right-handed with a unit axis."""
    first = np.cross(axis, (1.0, 0, 0) if abs(axis[0]) < 0.8 else (0.0, 1, 0))
    first /= np.linalg.norm(first)
    return first, np.cross(axis, first)


def _panel_falloff(light: LightSpec) -> float:
    """Return what makes a panel's light at its target, on a surface that faces it, as stated."""
    along, across, half_breadth = panel_frame(light)
    to = np.asarray(light.position_mm, np.float64) - light.target_mm
    distance = float(np.linalg.norm(to))
    total = 0.0
    for u in (-0.5, 0.5):
        for v in (-0.5, 0.5):
            q = to + along * (u * light.size_mm / 2) + across * (v * half_breadth)
            # Cosines at both ends, alike because the two planes are parallel.
            total += float(distance**2 / (q @ q) ** 2) / 4
    return 1 / total


def _write(program: moderngl.Program, name: str, value: np.ndarray) -> None:
    member = program.get(name, None)
    if member is not None:
        member.write(np.ascontiguousarray(value, np.float32).tobytes())
