"""Label passes by casting rays: an independent judge of the renderer's.

Nothing is shared with the rasterizer but the meshes: rays come from the camera's own
distortion, visibility from Embree, and points on triangles from their planes.
"""

import cv2
import numpy as np

from simgen.defects.surface import SurfacePair
from simgen.errors import RenderError
from simgen.render.buffers import LabelBuffers, Window
from simgen.render.projection import projected_window
from simgen.render.rays import Piece, Pieces, pieces_of
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
    """A scene that answers for label passes by rays: a `render.renderer.LabelSource`.

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
                pieces_of(k, item.pose.matrix(), pair.clean if clean else pair.damaged)
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


class _Caster:
    def __init__(self, pieces: list[Piece]) -> None:
        import trimesh
        from trimesh.ray.ray_pyembree import RayMeshIntersector

        self._pieces = Pieces(pieces)
        whole = self._pieces
        mesh = trimesh.Trimesh(whole.world_mm, whole.faces, process=False, validate=False)
        self._rays = RayMeshIntersector(mesh)

    def cast(self, camera: CameraSpec, window: Window) -> LabelBuffers:
        directions = pixel_directions(camera, window)
        eye = np.asarray(camera.pose.position_mm, np.float64)
        origins = np.broadcast_to(eye, directions.shape)
        hit = np.asarray(self._rays.intersects_first(origins, directions))
        shape = (window.y1 - window.y0, window.x1 - window.x0)
        return self._pieces.buffers(camera, shape, hit, directions)
