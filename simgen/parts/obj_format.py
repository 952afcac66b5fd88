"""Wavefront OBJ text to triangles, with what zones need: groups, materials, own UV, colours."""

import numpy as np

_Corner = tuple[int, int]


def read_obj_text(
    text: str,
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray | None, np.ndarray | None]:
    """Return corners (F, 3, 3), group masks by name, corner uv and corner colours.

    Names are those of `o`, `g` and `usemtl` lines; a `g` line may give several.

    Raises:
        ValueError: A line cannot be read, or a face names a vertex that does not exist.
    """
    points: list[list[float]] = []
    textures: list[list[float]] = []
    triangles: list[tuple[_Corner, _Corner, _Corner]] = []
    current: dict[str, tuple[str, ...]] = {"o": (), "g": (), "usemtl": ()}
    named: dict[str, list[int]] = {}
    for number, line in enumerate(text.replace("\\\n", " ").splitlines(), start=1):
        word, _, rest = line.strip().partition(" ")
        try:
            if word == "v":
                points.append([float(x) for x in rest.split()])
            elif word == "vt":
                textures.append([float(x) for x in rest.split()[:2]])
            elif word in current:
                current[word] = tuple(rest.split()) if word == "g" else (rest.strip(),)
            elif word == "f":
                polygon = [_corner(w, len(points), len(textures)) for w in rest.split()]
                for triangle in _triangles(polygon, points):
                    for name in {n for names in current.values() for n in names if n}:
                        named.setdefault(name, []).append(len(triangles))
                    triangles.append(triangle)
        except (ValueError, IndexError) as error:
            raise ValueError(f"line {number}: {error}") from None
    index = np.array(triangles, np.int64).reshape(-1, 3, 2)
    groups = {}
    for name, faces in named.items():
        groups[name] = np.zeros(len(index), bool)
        groups[name][faces] = True
    table = np.array([p[:3] for p in points], np.float64).reshape(-1, 3)
    uv = colours = None
    if textures and len(index) and (index[:, :, 1] >= 0).any():
        uv = np.array(textures, np.float32)[np.maximum(index[:, :, 1], 0)]
        uv[index[:, :, 1] < 0] = np.nan
    if points and all(len(p) >= 6 for p in points):
        colours = np.array([p[3:6] for p in points], np.float32)[index[:, :, 0]]
    return table[index[:, :, 0]], groups, uv, colours


def _corner(word: str, points: int, textures: int) -> _Corner:
    parts = word.split("/")
    texture = parts[1] if len(parts) > 1 and parts[1] else ""
    return _index(parts[0], points), _index(texture, textures) if texture else -1


def _index(word: str, count: int) -> int:
    value = int(word)
    index = value - 1 if value > 0 else count + value
    if not 0 <= index < count:
        raise ValueError(f"{word} is not one of {count}")
    return index


def _triangles(
    polygon: list[_Corner], points: list[list[float]]
) -> list[tuple[_Corner, _Corner, _Corner]]:
    if len(polygon) < 3:
        raise ValueError("a face needs three corners")
    if len(polygon) == 3:
        return [(polygon[0], polygon[1], polygon[2])]
    import mapbox_earcut

    # A fan would turn triangles of a hollow outline over.
    outline = np.array([points[c[0]][:3] for c in polygon])
    ahead = np.roll(outline, -1, axis=0)
    normal = np.cross(outline, ahead).sum(axis=0)
    length = np.linalg.norm(normal)
    if length == 0:
        return [(polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1)]
    normal /= length
    x = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    x /= np.linalg.norm(x)
    flat = outline @ np.stack([x, np.cross(normal, x)], axis=1)
    ends = np.array([len(polygon)], np.uint32)
    found = mapbox_earcut.triangulate_float64(flat, ends).reshape(-1, 3).astype(int)
    if len(found) != len(polygon) - 2:
        return [(polygon[0], polygon[k], polygon[k + 1]) for k in range(1, len(polygon) - 1)]
    p, q = flat[found[:, 1]] - flat[found[:, 0]], flat[found[:, 2]] - flat[found[:, 0]]
    turned = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] < 0
    found[turned] = found[turned][:, ::-1]
    return [(polygon[a], polygon[b], polygon[c]) for a, b, c in found.tolist()]
