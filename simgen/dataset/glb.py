"""One scene as a binary glTF 2.0 file: what a dataset's frame shows, for Blender or any viewer.

glTF has metres, y up and cameras that look along -z with y up. Objects keep their part-local
frames, in metres; all poses are turned from z up to y up. Nodes lie side by side, since not
every reader follows a camera's parents. Area lights become points of
the same irradiance at their target, in candela at 683 lm/W as Blender's importer expects;
the surroundings have no counterpart and stay in the scene's `extras`, as do K, distortion
and crop, of which glTF's camera knows only the field of view.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from simgen.config import to_plain
from simgen.dataset.files import replacing
from simgen.dataset.glb_material import MaterialImages, material_images, vertex_tangents
from simgen.defects.bodies import BodySurface
from simgen.defects.surface import Surface, build_surfaces
from simgen.geometry import quaternion_of
from simgen.parts.build import build_mesh
from simgen.render.projection import FAR_MM, NEAR_MM
from simgen.scene.spec import CameraSpec, LightSpec, PoseSpec, SceneSpec

_FLOAT, _UINT = 5126, 5125
_LUMENS_A_WATT = 683.0
# x stays, z becomes y.
_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
_SAMPLER = {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}


def write_glb(path: Path, scene: SceneSpec, *, name: str) -> None:
    """Write a scene with its meshes, maps, poses, camera and lights.

    Args:
        path: A .glb file; what was there is replaced.
        scene: A settled scene.
        name: The scene's name in the file.

    Raises:
        DatasetError: The file cannot be written.
        ConfigError, AssetError: The scene's surfaces cannot be built.
    """
    file = _Glb()
    nodes = []
    for k, item in enumerate(scene.objects):
        surface = build_surfaces(item).damaged
        node = {
            "name": item.name,
            "mesh": file.mesh(item.name, surface, build_mesh(item.shape)),
            **_placed(item.pose.matrix()),
            "extras": {
                "instance": k + 1,
                "category": item.category,
                "defects": [d.kind for d in item.defects],
            },
        }
        nodes.append(file.node(node))
    nodes.append(file.camera(scene))
    nodes += [file.light(k, light) for k, light in enumerate(scene.lights)]
    extras = {"environment": to_plain(scene.environment), "sensor": to_plain(scene.sensor)}
    with replacing(path) as out:
        out.write(file.assembled({"name": name, "nodes": nodes, "extras": extras}))


class _Glb:
    """The JSON and the binary part of a file, as they grow."""

    def __init__(self) -> None:
        self._json: dict[str, list[Any]] = {}
        self._binary = bytearray()
        self._lights: list[dict[str, Any]] = []

    def node(self, node: dict[str, Any]) -> int:
        """Add a node and return its number."""
        return self._add("nodes", node)

    def mesh(self, name: str, surface: Surface, whole: Any) -> int:
        """Add an object's surface: its mesh and what its defects add to it."""
        mesh = surface.mesh
        images = material_images(surface.maps, whole.texels, whole.texel_mm)
        primitives = [
            self._primitive(
                mesh.vertices_mm,
                mesh.normals,
                mesh.faces,
                material=self._mapped(name, images),
                uv=mesh.uv,
                tangents=vertex_tangents(mesh),
            )
        ]
        primitives += [self._body(name, body, whole) for body in surface.bodies]
        return self._add("meshes", {"name": name, "primitives": primitives})

    def camera(self, scene: SceneSpec) -> int:
        """Add the camera and return its node."""
        camera = scene.camera
        number = self._add(
            "cameras",
            {
                "name": "camera",
                "type": "perspective",
                "perspective": {
                    "yfov": 2 * math.atan(camera.height / (2 * camera.fy)),
                    "aspectRatio": camera.width * camera.fy / (camera.height * camera.fx),
                    "znear": NEAR_MM / 1000,
                    "zfar": FAR_MM / 1000,
                },
                "extras": _camera_extras(camera),
            },
        )
        # From OpenCV's axes (y down, z ahead) to glTF's (y up, z back): half a turn about x.
        place = camera.pose.matrix() @ np.diag([1.0, -1.0, -1.0, 1.0])
        return self.node({"name": "camera", "camera": number, **_placed(place)})

    def light(self, k: int, light: LightSpec) -> int:
        """Add a point light for an area light and return its node."""
        distance_m = math.dist(light.position_mm, light.target_mm) / 1000
        most = max(*light.colour, 1e-9)
        self._lights.append(
            {
                "name": f"{light.kind} {k}",
                "type": "point",
                "color": [c / most for c in light.colour],
                "intensity": light.irradiance * most * distance_m**2 * _LUMENS_A_WATT,
                "extras": to_plain(light),
            }
        )
        place = PoseSpec(position_mm=light.position_mm).matrix()
        extension = {"KHR_lights_punctual": {"light": k}}
        return self.node({"name": f"{light.kind} {k}", "extensions": extension, **_placed(place)})

    def assembled(self, scene: dict[str, Any]) -> bytes:
        """Return the whole file."""
        content: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "simgen"},
            "scene": 0,
            "scenes": [scene],
            **self._json,
            "samplers": [_SAMPLER],
            "buffers": [{"byteLength": len(self._binary)}],
        }
        if self._lights:
            content["extensionsUsed"] = ["KHR_lights_punctual"]
            content["extensions"] = {"KHR_lights_punctual": {"lights": self._lights}}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        binary = bytes(self._binary)
        size = 12 + 8 + len(text) + 8 + len(binary)
        head = struct.pack("<4sII", b"glTF", 2, size)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        return head + chunks + struct.pack("<I4s", len(binary), b"BIN\0") + binary

    def _body(self, name: str, body: BodySurface, whole: Any) -> dict[str, Any]:
        label = f"{name} defect {body.defect}"
        uv = None
        if body.maps is not None:
            material = self._mapped(label, material_images(body.maps, whole.texels, whole.texel_mm))
            uv = body.shade
        else:
            look = body.look
            albedo = (0.5, 0.5, 0.5) if look is None else look.albedo
            material = self._add(
                "materials",
                {
                    "name": label,
                    "doubleSided": True,
                    "pbrMetallicRoughness": {
                        "baseColorFactor": [*map(float, albedo), 1.0],
                        "metallicFactor": 0.0 if look is None else look.metalness,
                        "roughnessFactor": 0.7 if look is None else look.roughness,
                    },
                },
            )
        return self._primitive(body.vertices_mm, body.normals, body.faces, material=material, uv=uv)

    def _mapped(self, name: str, images: MaterialImages) -> int:
        numbers = [
            self._add("textures", {"sampler": 0, "source": self._image(f"{name} {kind}", data)})
            for kind, data in (
                ("base colour", images.colour),
                ("occlusion, roughness, metalness", images.surface),
                ("normal", images.normal),
            )
        ]
        return self._add(
            "materials",
            {
                "name": name,
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": numbers[0]},
                    "metallicRoughnessTexture": {"index": numbers[1]},
                },
                "occlusionTexture": {"index": numbers[1]},
                "normalTexture": {"index": numbers[2]},
            },
        )

    def _image(self, name: str, data: bytes) -> int:
        image = {"name": name, "mimeType": "image/png", "bufferView": self._view(data)}
        return self._add("images", image)

    def _primitive(
        self,
        vertices_mm: np.ndarray,
        normals: np.ndarray,
        faces: np.ndarray,
        *,
        material: int,
        uv: np.ndarray | None = None,
        tangents: np.ndarray | None = None,
    ) -> dict[str, Any]:
        place = vertices_mm.astype(np.float32) / np.float32(1000)
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        up = np.where(lengths > 1e-6, normals / np.maximum(lengths, 1e-6), [0.0, 0.0, 1.0])
        attributes = {
            "POSITION": self._accessor(place, "VEC3", ends=True),
            "NORMAL": self._accessor(up, "VEC3"),
        }
        if uv is not None:
            attributes["TEXCOORD_0"] = self._accessor(uv, "VEC2")
        if tangents is not None:
            attributes["TANGENT"] = self._accessor(tangents, "VEC4")
        data = np.ascontiguousarray(faces.reshape(-1), np.uint32)
        index = {
            "bufferView": self._view(data.tobytes(), target=34963),
            "componentType": _UINT,
            "count": len(data),
            "type": "SCALAR",
        }
        return {
            "attributes": attributes,
            "indices": self._add("accessors", index),
            "material": material,
        }

    def _accessor(self, values: np.ndarray, kind: str, *, ends: bool = False) -> int:
        data = np.ascontiguousarray(values, np.float32)
        accessor: dict[str, Any] = {
            "bufferView": self._view(data.tobytes(), target=34962),
            "componentType": _FLOAT,
            "count": len(data),
            "type": kind,
        }
        if ends:
            accessor |= {"min": data.min(axis=0).tolist(), "max": data.max(axis=0).tolist()}
        return self._add("accessors", accessor)

    def _view(self, data: bytes, *, target: int | None = None) -> int:
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data)}
        self._binary += data + b"\0" * (-len(data) % 4)
        return self._add("bufferViews", view | ({"target": target} if target else {}))

    def _add(self, key: str, value: dict[str, Any]) -> int:
        entries = self._json.setdefault(key, [])
        entries.append(value)
        return len(entries) - 1


def _placed(matrix: np.ndarray) -> dict[str, list[float]]:
    """Return where a node stands for a pose in our world, (4, 4), mm and z up."""
    w, x, y, z = quaternion_of(_Y_UP @ matrix[:3, :3])
    return {"translation": (_Y_UP @ matrix[:3, 3] / 1000).tolist(), "rotation": [x, y, z, w]}


def _camera_extras(camera: CameraSpec) -> dict[str, Any]:
    return {
        "width": camera.width,
        "height": camera.height,
        "K": camera.matrix().reshape(-1).tolist(),
        "distortion": list(camera.distortion),
    }
