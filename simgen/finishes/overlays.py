"""What lies on any finish: rounded and worn edges, soil, and a film of oil."""

import numpy as np
from scipy.special import ndtri

from simgen.finishes.noise import cloud, cloud_with_slope, streaks
from simgen.finishes.points import Points
from simgen.finishes.skin import Skin
from simgen.scene.spec import FinishSpec

_STEEL = np.array([0.56, 0.55, 0.53], np.float32)
_GRIME = np.array([[0.030], [0.021], [0.011]], np.float32)
_AMBER = np.array([[0.10], [0.35], [1.10]], np.float32)


def round_edges(skin: Skin, points: Points, spec: FinishSpec) -> None:
    """Bend the surface down toward sharp edges over `edge_mm`."""
    edge_mm = spec.values.get("edge_mm", 0.0)
    near = np.flatnonzero(points.edge_mm < edge_mm) if edge_mm > 0 else ()
    if len(near):
        amount = 1 - points.edge_mm[near] / np.float32(edge_mm)
        bend = 0.12 * amount + 0.3 * amount * amount
        toward = points.edge_direction.take(near, axis=0)
        for axis in range(3):
            skin.slope[axis][near] -= bend * toward[:, axis]


def wear_edges(skin: Skin, points: Points, spec: FinishSpec) -> None:
    """Rub the finish off along sharp edges.

    `values`: `edge_wear` (strength, 0 for none) and `wear_mm` (how far in, on average; as
    `edge_mm` unless given). Paint and rust go down to bare metal; metal is polished.
    """
    v = spec.values
    wear = v.get("edge_wear", 0.0)
    if wear <= 0:
        return
    width = v.get("wear_mm", v.get("edge_mm", 0.5))
    near = np.flatnonzero(points.edge_mm < 2.4 * width + points.texel_mm)
    if not len(near):
        return
    # Never finer than what texels can show, or the rim breaks into dashes.
    ragged_mm = max(2.2 * width, 6 * points.texel_mm)
    rim = points.take(near)
    reach = 0.5 * cloud(rim.position, 9 * ragged_mm, spec.seed + 9, 5)
    reach += 0.3 * rim.speckle(ragged_mm / 3, spec.seed + 10)
    reach += 0.2 * rim.speckle(ragged_mm / 8, spec.seed + 11)
    reach = np.float32(width) * np.clip(1 + reach, 0.3, 2)
    # Paint breaks off at a line; metal is burnished little by little.
    soft = np.maximum(np.float32(points.texel_mm), (0.45 + 1.3 * skin.metalness[near]) * reach)
    worn = np.clip((reach - rim.edge_mm) / soft + 0.5, 0, 1)
    worn *= worn * (3 - 2 * worn) * np.float32(min(wear, 1.0))
    some = np.flatnonzero(worn > 0)
    near, worn = near[some], worn[some]
    metal = skin.metalness[near]
    for channel, steel in zip(skin.colour, _STEEL, strict=True):
        colour = channel[near]
        # Metal keeps its hue and only shines; what covers metal comes off.
        shine = np.minimum(1.25 * colour + np.float32(0.03), np.float32(0.9))
        channel[near] = colour + worn * (steel + metal * (shine - steel) - colour)
    skin.metalness[near] = metal + worn * (1 - metal)
    rough = skin.roughness[near]
    skin.roughness[near] = rough + worn * (np.minimum(rough, np.float32(0.26)) - rough)
    cavity = skin.cavity[near]
    skin.cavity[near] = cavity + worn * (1 - cavity)
    flat = 1 - np.float32(0.6) * worn
    for axis in skin.slope:
        axis[near] *= flat


def soil(skin: Skin, points: Points, spec: FinishSpec) -> None:
    """Lay greasy grime in patches, in grooves, smeared along the process.

    `values`: `soil` (share of the surface), `soil_mm` (width of a patch), `soil_length_mm`
    (its length along the process), `soil_strength`, `soil_tone` (1 is black-brown,
    larger is lighter), `soil_groove` (how much sooner deep places are soiled).
    """
    v = spec.values
    share = v.get("soil", 0.0)
    if share <= 0:
        return
    width = v.get("soil_mm", 1.6)
    length = v.get("soil_length_mm", 14.0)
    frame = points.frame
    smear, _ = streaks(
        frame.across_mm, frame.along_mm, width_mm=width, length_mm=length, seed=spec.seed + 40
    )
    thin, _ = streaks(
        frame.across_mm, frame.along_mm, width_mm=max(0.22 * width, 1.5 * points.texel_mm),
        length_mm=0.6 * length, seed=spec.seed + 41, skew=0.6,
    )  # fmt: skip
    patch = cloud(points.position, 2.5 * length, spec.seed + 42, 7)
    clump = points.speckle(max(0.3, 1.2 * points.texel_mm), spec.seed + 43)
    field = (0.62 * smear + 0.34 * thin + 0.62 * patch + 0.25 * clump) / np.float32(0.98)
    field -= 0.12 * skin.height
    if frame.depth_mm is not None:
        field += np.float32(v.get("soil_groove", 1.0)) * np.tanh(frame.depth_mm / width)
    field += np.float32(ndtri(min(share, 0.999)))
    film = np.clip(0.9 * field + 0.35, 0, 1)
    thick = np.clip(0.8 * field - 0.3, 0, 1)
    amount = np.float32(min(v.get("soil_strength", 0.9), 1.0)) * (0.5 * film + 0.5 * thick)
    colour = np.float32(v.get("soil_tone", 1.0)) * _GRIME * np.clip(1 + 0.2 * clump, 0.4, 1.8)
    # A thin film tints what is under it, a thick one hides it.
    colour = colour + (1 - thick) * (0.35 * skin.colour * np.array([[1], [0.82], [0.5]], "f4"))
    roughness = np.clip(0.42 + 0.06 * clump, 0.2, 0.9)
    skin.toward(amount, colour=colour, roughness=roughness, metalness=0.0)
    skin.slope *= 1 - 0.6 * amount


def oil(skin: Skin, points: Points, spec: FinishSpec) -> None:
    """Wet the surface: darker, smoother, amber where the film is thick, its rim raised.

    `values`: `oil` (share of the surface), `oil_mm` (size of the patches), `oil_film`
    (thickness: 0 a breath, 1 a drop), `oil_tint` (colour of a thick film), `oil_gloss`
    (roughness of its surface), `oil_pool` (how much sooner low places and edges are wet).
    """
    v = spec.values
    share = v.get("oil", 0.0)
    if share <= 0:
        return
    size, pool = v.get("oil_mm", 14.0), np.float32(v.get("oil_pool", 0.5))
    field, slope = cloud_with_slope(points.position, size, spec.seed + 31, 8)
    frayed, frayed_slope = cloud_with_slope(points.position, size / 3.7, spec.seed + 32, 6)
    field = (field + 0.3 * frayed) * np.float32(0.96)
    slope = (slope + 0.3 * frayed_slope) * np.float32(0.96)
    low = -0.1 * skin.height + np.exp(-points.edge_mm * np.float32(1 / max(0.2 * size, 0.5)))
    if points.frame.depth_mm is not None:
        low += np.tanh(points.frame.depth_mm)
    field += pool * low + np.float32(ndtri(min(share, 0.999)))
    rim = np.clip(5 * field + 0.5, 0, 1)
    wet = rim * rim * (3 - 2 * rim)
    film = wet * np.clip(0.25 + 0.6 * field, 0, 1) * np.float32(v.get("oil_film", 0.4))
    porous = 1 - skin.metalness
    skin.colour *= 1 - wet * (0.10 + 0.35 * porous) - 0.15 * film
    skin.colour *= np.exp(-np.float32(v.get("oil_tint", 0.8)) * film * _AMBER)
    gloss = np.minimum(np.float32(v.get("oil_gloss", 0.10)), skin.roughness)
    # A breath of oil leaves the relief as it is; a thick film fills it.
    fill = wet * np.clip(0.55 + film, 0, 1)
    skin.roughness += fill * (gloss - skin.roughness)
    skin.anisotropy *= 1 - fill
    skin.slope *= 1 - np.float32(0.85) * fill
    lip = np.float32(0.004 + 0.12 * v.get("oil_film", 0.4)) * (6 * rim * (1 - rim))
    skin.slope += points.tangent((lip * size / 4) * slope)
