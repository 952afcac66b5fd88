"""The label pass from Mitsuba's own rays through pixel centres, for where OpenGL is missing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from simgen.defects.surface import SurfacePair
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.pathtrace.camera import pinhole_directions, sensor_of
from simgen.render.pathtrace.meshes import mesh_of
from simgen.render.projection import projected_window
from simgen.render.rays import Piece, Pieces, pieces_of
from simgen.scene.spec import CameraSpec, SceneSpec

# How a hair is widened, and how much nearer it then comes: as in shaders/object.vert.
_HAIR_PIXELS = 0.55
_HAIR_LIFT = 2.5


class LabelRays:
    """Label passes of a scene without distortion; windows are in camera pixels.

    Args:
        mi: The module `mitsuba`, its variant set.
        scene: The settled scene.
        pairs: The surfaces of its objects, in their order.
    """

    def __init__(self, mi: Any, scene: SceneSpec, pairs: Sequence[SurfacePair]) -> None:
        self._mi, self._camera = mi, scene.camera
        self._pieces = {
            clean: [
                [
                    _seen(piece, scene.camera)
                    for piece in pieces_of(
                        k, item.pose.matrix(), pair.clean if clean else pair.damaged
                    )
                ]
                for k, (item, pair) in enumerate(zip(scene.objects, pairs, strict=True))
            ]
            for clean in (False, True)
        }
        self._whole: dict[bool, _Caster] = {}

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Cast the pixels of a window, or of the whole image."""
        if clean not in self._whole:
            pieces = [seen for item in self._pieces[clean] for seen in item]
            self._whole[clean] = _Caster(self._mi, pieces)
        image = Window(x0=0, y0=0, x1=self._camera.width, y1=self._camera.height)
        return self._whole[clean].cast(self._camera, window or image)

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Cast object `k` by itself: what nothing else hides."""
        return _Caster(self._mi, self._pieces[clean][k]).cast(self._camera, window)

    def corners_of(self, k: int) -> np.ndarray:
        """Return the world corners of a box around object `k`, shape (8, 3), mm."""
        pieces = self._pieces[False][k] + self._pieces[True][k]
        low = np.min([at.min(axis=0) for _, at in pieces], axis=0)
        high = np.max([at.max(axis=0) for _, at in pieces], axis=0)
        return np.array([[(low, high)[(i >> a) & 1][a] for a in range(3)] for i in range(8)])

    def window_of(self, k: int) -> Window:
        """Return the window that holds object `k`'s projection."""
        return projected_window(self._camera, self.corners_of(k))

    def close(self) -> None:
        """Free the meshes."""
        self._whole.clear()


class _Caster:
    def __init__(self, mi: Any, seen: Sequence[tuple[Piece, np.ndarray]]) -> None:
        self._mi = mi
        self._pieces = Pieces([piece for piece, _ in seen])
        mesh = mesh_of(mi, np.concatenate([at for _, at in seen]), self._pieces.faces)
        self._scene = mi.load_dict({"type": "scene", "mesh": mesh})

    def cast(self, camera: CameraSpec, window: Window) -> LabelBuffers:
        directions = pinhole_directions(camera, window)
        shape = (window.y1 - window.y0, window.x1 - window.x0)
        if self._mi.variant().startswith("scalar"):
            hit = self._through_film(camera, window)
        else:
            hit = self._through_arrays(camera, directions)
        return self._pieces.buffers(camera, shape, hit, directions)

    def _through_film(self, camera: CameraSpec, window: Window) -> np.ndarray:
        # Rays one by one are slow from Python. One sample without jitter is the pixel's centre,
        # and one sample under a box is not filtered.
        centre = {"type": "stratified", "sample_count": 1, "jitter": False}
        first = self._mi.load_dict({"type": "aov", "aovs": "triangle:prim_index,distance:depth"})
        film = self._mi.render(
            self._scene, sensor=sensor_of(self._mi, camera, window, centre), integrator=first
        )
        triangle, distance = np.moveaxis(np.array(film)[..., -2:].reshape(-1, 2), 1, 0)
        hit: np.ndarray = np.where(distance > 0, triangle, -1).astype(np.int64)
        return hit

    def _through_arrays(self, camera: CameraSpec, directions: np.ndarray) -> np.ndarray:
        mi = self._mi
        eye = mi.Point3f(*(float(x) for x in camera.pose.position_mm))
        ray = mi.Ray3f(eye, mi.Vector3f(np.ascontiguousarray(directions.T, np.float32)))
        found = self._scene.ray_intersect_preliminary(ray)
        hit = np.where(np.array(found.is_valid()), np.array(found.prim_index).astype(np.int64), -1)
        return np.asarray(hit, np.int64)


def _seen(piece: Piece, camera: CameraSpec) -> tuple[Piece, np.ndarray]:
    """Return a piece, at least a pixel wide if it is a hair, and where rays meet its vertices.

    A hair that is widened would sink into what it lies on: rays meet it as much sooner.
    """
    if not piece.hair_mm:
        return piece, piece.world_mm
    eye, forward = np.asarray(camera.pose.position_mm), camera.pose.matrix()[:3, 2]
    depth = (piece.world_mm - eye) @ forward
    radius = np.maximum(_HAIR_PIXELS / min(camera.fx, camera.fy) * depth, piece.hair_mm)
    wider = (radius - piece.hair_mm)[:, None]
    at = piece.world_mm + piece.world_normals * wider
    nearer = 1 - _HAIR_LIFT * wider / np.maximum(depth, 1e-3)[:, None]
    return replace(piece, world_mm=at), eye + (at - eye) * nearer
