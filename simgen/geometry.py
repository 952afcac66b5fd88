"""Every convention of space in one place.

* Lengths are millimetres. The world is right-handed with z up.
* A pose `pose_world_part` maps part coordinates to world coordinates:
  `p_world = R p_part + t`. Quaternions are (w, x, y, z), of unit length.
* The camera has OpenCV axes: x right, y down, z forward. `K` follows OpenCV:
  the centre of the top left pixel is (0, 0), so that pixel (x, y) looks along
  ((x - cx) / fx, (y - cy) / fy, 1), and cx of a centred camera is (width - 1) / 2.
* Images are indexed [y, x] with row 0 at the top. Boxes are COCO (x, y, width,
  height) with pixel (x, y) covering [x, x + 1).
* Texture maps are indexed [row, column]; texture coordinate (u, v) = ((column +
  0.5) / width, (row + 0.5) / height), and row 0 is uploaded first, which is
  OpenGL's v = 0.
"""

import numpy as np

Vec3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


def rotation_matrix(quaternion: Quaternion) -> np.ndarray:
    """Return the (3, 3) float64 rotation of a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: np.ndarray) -> Quaternion:
    """Return the unit quaternion (w, x, y, z), w >= 0, of a (3, 3) rotation (Shepperd 1978)."""
    m = np.asarray(rotation, dtype=np.float64)
    diagonal = np.array([np.trace(m), m[0, 0], m[1, 1], m[2, 2]])
    k = int(np.argmax(diagonal))
    q = np.empty(4)
    if k == 0:
        q[:] = (1 + diagonal[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1])
    else:
        i = k - 1
        j, n = (i + 1) % 3, (i + 2) % 3
        q[0] = m[n, j] - m[j, n]
        q[1 + i] = 1 + 2 * m[i, i] - np.trace(m)
        q[1 + j] = m[j, i] + m[i, j]
        q[1 + n] = m[n, i] + m[i, n]
    q /= np.linalg.norm(q)
    if q[0] < 0:
        q = -q
    return (float(q[0]), float(q[1]), float(q[2]), float(q[3]))


def axis_rotation(axis: Vec3, angle_deg: float) -> np.ndarray:
    """Return the (3, 3) rotation by `angle_deg` about `axis` (Rodrigues)."""
    a = np.asarray(axis, dtype=np.float64)
    a = a / np.linalg.norm(a)
    t = np.deg2rad(angle_deg)
    cross = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
    return np.eye(3) + np.sin(t) * cross + (1 - np.cos(t)) * cross @ cross


def pose_matrix(position_mm: Vec3, quaternion: Quaternion) -> np.ndarray:
    """Return the (4, 4) float64 matrix that maps local to world coordinates."""
    m = np.eye(4)
    m[:3, :3] = rotation_matrix(quaternion)
    m[:3, 3] = position_mm
    return m


def look_at(eye_mm: Vec3, target_mm: Vec3, roll_deg: float = 0.0) -> np.ndarray:
    """Return the (3, 3) world-from-camera rotation of a camera at `eye_mm` facing `target_mm`.

    Image "up" is the world's z (or y when looking straight down), turned by
    `roll_deg` about the viewing axis.
    """
    forward = np.asarray(target_mm, dtype=np.float64) - np.asarray(eye_mm, dtype=np.float64)
    forward /= np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0])
    if abs(forward @ up) > 0.999:
        up = np.array([0.0, 1.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    rotation = np.stack([right, down, forward], axis=1)
    return rotation @ axis_rotation((0.0, 0.0, 1.0), roll_deg)


def to_vec3(values: np.ndarray) -> Vec3:
    """Return a length-3 array as a tuple of floats, for specs."""
    x, y, z = (float(v) for v in values)
    return (x, y, z)
