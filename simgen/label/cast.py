"""Label passes by casting rays: an independent judge of the renderer's.

Nothing is shared with the rasterizer but the meshes: rays come from the camera's own
distortion, visibility from Embree, and points on triangles from their planes.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from simgen.defects.surface import Surface, SurfacePair
from simgen.errors import RenderError
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.projection import projected_window
from simgen.scene.spec import CameraSpec, SceneSpec


def require_embree() -> None:
    """Check that the ray caster is installed.

    Raises:
        RenderError: It is not; trimesh's own would take minutes a frame.
    """
    try:
        import embreex  # noqa: F401
        import trimesh.ray.ray_pyembree  # noqa: F401
    except ImportError:
        raise RenderError(
            'casting rays needs embreex; pip install "simgen[audit]", or leave it out with audit=0'
        ) from None


def pixel_directions(camera: CameraSpec, window: Window) -> np.ndarray:
    """Return unit directions in the world through the pixels of a window, (N, 3), float64.

    Row by row; pixels are those of the image as the lens distorts it.
    """
    rows, columns = np.mgrid[window.y0 : window.y1, window.x0 : window.x1]
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).astype(np.float64)
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    lens = np.asarray(camera.distortion, np.float64)
    # OpenCV 4 has the stopping rule in a function of its own.
    undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)
    eye = np.eye(3)
    rays = undistort(pixels, camera.matrix(), lens, R=eye, P=eye, criteria=until)
    rays = np.concatenate([rays.reshape(-1, 2), np.ones((len(pixels), 1))], axis=1)
    rays = rays @ camera.pose.matrix()[:3, :3].T
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


class CastScene:
    """A scene that answers label passes by rays, as `label.masks.LabelSource` asks for them.

    Args:
        scene: The settled scene; its camera may have distortion.
        pairs: The surfaces of its objects, in their order.

    Raises:
        RenderError: Embree is not installed.
    """

    def __init__(self, scene: SceneSpec, pairs: list[SurfacePair]) -> None:
        require_embree()
        self._scene = scene
        self._pieces = {
            clean: [
                _pieces(k, item.pose.matrix(), pair.clean if clean else pair.damaged)
                for k, (item, pair) in enumerate(zip(scene.objects, pairs, strict=True))
            ]
            for clean in (False, True)
        }
        self._whole: dict[bool, _Caster] = {}

    def labels(self, *, clean: bool = False, window: Window | None = None) -> LabelBuffers:
        """Cast the pixels of a window, or of the whole image."""
        if clean not in self._whole:
            pieces = [piece for item in self._pieces[clean] for piece in item]
            self._whole[clean] = _Caster(pieces)
        return self._whole[clean].cast(self._scene.camera, window or self._image())

    def alone(self, k: int, *, clean: bool, window: Window) -> LabelBuffers:
        """Cast object `k` by itself: what nothing else hides."""
        return _Caster(self._pieces[clean][k]).cast(self._scene.camera, window)

    def window_of(self, k: int) -> Window:
        """Return a window that holds object `k`, with and without its defects."""
        if any(self._scene.camera.distortion):
            return self._image()
        pieces = self._pieces[False][k] + self._pieces[True][k]
        points = np.concatenate([piece.world_mm for piece in pieces])
        return projected_window(self._scene.camera, points)

    def _image(self) -> Window:
        camera = self._scene.camera
        return Window(x0=0, y0=0, x1=camera.width, y1=camera.height)


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """One mesh of an object: where it is, and what the label pass says of it.

    `local_mm` and `normals` are of the undamaged part, which labels are measured on.
    """

    id: int
    cut: int
    world_mm: np.ndarray
    local_mm: np.ndarray
    normals: np.ndarray
    faces: np.ndarray


def _pieces(k: int, matrix: np.ndarray, surface: Surface) -> list[_Piece]:
    rest = surface.rest if surface.rest is not None else surface.mesh
    meshes = [(0, surface.mesh.vertices_mm, rest.vertices_mm, rest.normals, surface.mesh.faces)]
    for body in surface.bodies:
        place = body.vertices_mm
        meshes.append((1 + body.defect, place, place, body.normals, body.faces))
    return [
        _Piece(
            id=k + 1,
            cut=cut,
            world_mm=vertices.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3],
            local_mm=local.astype(np.float64),
            normals=normals.astype(np.float64),
            faces=faces,
        )
        for cut, vertices, local, normals, faces in meshes
    ]


class _Caster:
    def __init__(self, pieces: list[_Piece]) -> None:
        import trimesh
        from trimesh.ray.ray_pyembree import RayMeshIntersector

        starts = np.cumsum([0] + [len(p.world_mm) for p in pieces])
        self._world = np.concatenate([p.world_mm for p in pieces])
        self._local = np.concatenate([p.local_mm for p in pieces])
        self._normals = np.concatenate([p.normals for p in pieces])
        self._faces = np.concatenate(
            [p.faces.astype(np.int64) + s for p, s in zip(pieces, starts, strict=False)]
        )
        self._ids = np.concatenate([np.full(len(p.faces), p.id, np.uint32) for p in pieces])
        self._cuts = np.concatenate([np.full(len(p.faces), p.cut, np.uint32) for p in pieces])
        mesh = trimesh.Trimesh(self._world, self._faces, process=False, validate=False)
        self._rays = RayMeshIntersector(mesh)

    def cast(self, camera: CameraSpec, window: Window) -> LabelBuffers:
        directions = pixel_directions(camera, window)
        eye = np.asarray(camera.pose.position_mm, np.float64)
        origins = np.broadcast_to(eye, directions.shape)
        hit = np.asarray(self._rays.intersects_first(origins, directions))
        at = np.flatnonzero(hit >= 0)
        corners = self._faces[hit[at]]
        weights, distance = _on_triangles(self._world[corners], eye, directions[at])
        shape = (window.y1 - window.y0, window.x1 - window.x0)
        forward = camera.pose.matrix()[:3, 2]
        normals = np.einsum("nc,nci->ni", weights, self._normals[corners])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return LabelBuffers(
            ids=_image(shape, at, self._ids[hit[at]]),
            cut=_image(shape, at, self._cuts[hit[at]]),
            position_mm=_image(shape, at, np.einsum("nc,nci->ni", weights, self._local[corners])),
            depth_mm=_image(shape, at, distance * (directions[at] @ forward)),
            normal=_image(shape, at, normals),
        )


def _on_triangles(
    corners: np.ndarray, eye: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return barycentric weights (N, 3) and distances (N,) where rays meet triangles' planes."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    u, v = b - a, c - a
    across = np.cross(directions, v)
    volume = np.einsum("ni,ni->n", u, across)
    volume = np.where(np.abs(volume) < 1e-18, 1e-18, volume)
    offset = eye - a
    second = np.einsum("ni,ni->n", offset, across) / volume
    turned = np.cross(offset, u)
    third = np.einsum("ni,ni->n", directions, turned) / volume
    distance = np.einsum("ni,ni->n", v, turned) / volume
    weights = np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1)
    return weights / weights.sum(axis=1, keepdims=True), distance


def _image(shape: tuple[int, int], at: np.ndarray, values: np.ndarray) -> np.ndarray:
    kind = np.uint32 if values.dtype == np.uint32 else np.float32
    image = np.zeros((shape[0] * shape[1], *values.shape[1:]), kind)
    image[at] = values
    return image.reshape(*shape, *values.shape[1:])
