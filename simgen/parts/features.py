"""Features by shape kind: holes, each with the plug that fills it, and the teeth of a gear."""

from collections.abc import Callable

import numpy as np

from simgen.geometry import to_vec3
from simgen.parts.extrude import at_height, circle, inset
from simgen.parts.gear import recess_radii, tooth_body, tooth_profile, web_hole_centres
from simgen.parts.mesh import Feature
from simgen.parts.plate import hole_centres


def round_hole(
    name: str,
    centre_mm: np.ndarray,
    axes: np.ndarray,
    *,
    diameter_mm: float,
    length_mm: float,
    chamfer_mm: float = 0.0,
) -> Feature:
    """Return a round hole that goes through, with a plug of the hole's own polygon.

    Args:
        name: Unique on its part.
        centre_mm: Middle of the hole, part-local, shape (3,).
        axes: Rows x, y, z of the hole's frame, z along it; x is where its polygon starts.
        diameter_mm, length_mm, chamfer_mm: As the part's shape has them.
    """
    loop = circle(0.0, 0.0, diameter_mm / 2, clockwise=True)
    half = length_mm / 2
    levels = [at_height(loop, -half), at_height(loop, half)]
    if chamfer_mm > 0:
        wide = inset(loop, chamfer_mm)
        levels = [
            at_height(wide, -half),
            at_height(loop, chamfer_mm - half),
            at_height(loop, half - chamfer_mm),
            at_height(wide, half),
        ]
    n, m = len(loop), len(levels)
    k = np.arange(n * m).reshape(m, n)
    low, up = k[:-1], k[1:]
    low_next, up_next = np.roll(low, -1, axis=1), np.roll(up, -1, axis=1)
    # The loop runs clockwise, so that walls are wound the other way round.
    sides = [np.stack(t, axis=-1) for t in ((low, up_next, low_next), (low, up, up_next))]
    fan = np.arange(1, n - 1)
    bottom = np.stack([np.zeros_like(fan), fan, fan + 1], axis=1)
    top = (m - 1) * n + bottom[:, ::-1]
    faces = np.concatenate([*(s.reshape(-1, 3) for s in sides), bottom, top])
    vertices = np.concatenate(levels) @ axes + centre_mm
    return Feature(
        kind="hole",
        name=name,
        anchor_mm=to_vec3(centre_mm + half * axes[2]),
        axis=to_vec3(axes[2]),
        size_mm={"diameter": diameter_mm, "through_mm": length_mm},
        # As `join` rounds the part's own vertices, so that both agree to the bit.
        body=(vertices.round(6).astype(np.float32).astype(np.float64), faces),
        operation="fill",
    )


def plate_holes(
    *,
    length: float,
    width: float,
    thickness: float,
    chamfer: float = 0.0,
    holes: float = 0.0,
    hole: float = 6.0,
    margin: float = 0.0,
    **_: float,
) -> list[Feature]:
    """Return the holes of a `plate`."""
    centres = hole_centres(length, width, round(holes), margin or 1.5 * hole)
    return [
        round_hole(
            f"hole{k}", np.array([x, y, 0.0]), np.eye(3), diameter_mm=hole, length_mm=thickness,
            chamfer_mm=chamfer,
        )
        for k, (x, y) in enumerate(centres)
    ]  # fmt: skip


def flange_holes(
    *,
    diameter: float,
    thickness: float,
    hub_diameter: float,
    hub_height: float,
    bolts: float = 4.0,
    bolt_hole: float = 7.0,
    bolt_circle: float = 0.0,
    chamfer: float = 0.5,
    **_: float,
) -> list[Feature]:
    """Return the bolt holes of a `flange`."""
    middle = bolt_circle or (diameter + hub_diameter) / 2
    angles = 2 * np.pi * np.arange(round(bolts)) / max(round(bolts), 1)
    z = thickness / 2 - (thickness + hub_height) / 2
    return [
        round_hole(
            f"bolt{k}",
            np.array([middle / 2 * np.cos(a), middle / 2 * np.sin(a), z]),
            np.eye(3),
            diameter_mm=bolt_hole,
            length_mm=thickness,
            chamfer_mm=chamfer,
        )
        for k, a in enumerate(angles)
    ]


def bracket_holes(
    *,
    leg_a: float,
    leg_b: float,
    width: float,
    thickness: float,
    bend: float = 2.0,
    holes: float = 2.0,
    hole: float = 6.0,
) -> list[Feature]:
    """Return the holes of a `bracket`, first those of the leg that lies along x."""
    start = bend + thickness
    shift = np.array([-leg_a / 2, 0.0, -leg_b / 2])
    up = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    found = []
    for name, length, turn in (("a", leg_a, np.eye(3)), ("b", leg_b, up)):
        centres = hole_centres(width, length - start, round(holes), 1.5 * hole)
        for k, (across, along) in enumerate(centres):
            centre = np.array([(start + length) / 2 + along, across, thickness / 2])
            found.append(
                round_hole(
                    f"{name}{k}",
                    turn @ centre + shift,
                    turn.T,
                    diameter_mm=hole,
                    length_mm=thickness,
                )
            )
    return found


def gear_teeth_and_holes(
    *,
    module: float,
    teeth: float,
    width: float,
    bore: float,
    recess: float = 0.0,
    rim: float = 0.0,
    hub_diameter: float = 0.0,
    holes: float = 0.0,
    hole: float = 6.0,
    **_: float,
) -> list[Feature]:
    """Return the teeth of a `gear`, the first on +x, and the holes in its web."""
    profile = tooth_profile(module, round(teeth))
    vertices, faces, stump = tooth_body(profile, width)
    found = []
    for k, angle in enumerate(2 * np.pi * np.arange(profile.teeth) / profile.teeth):
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        found.append(
            Feature(
                kind="tooth",
                name=f"tooth{k}",
                # On its end face: that is what shows of a tooth when the gear lies flat.
                anchor_mm=to_vec3(turn @ np.array([profile.pitch, 0.0, width / 2])),
                axis=(0.0, 0.0, 1.0),
                size_mm={
                    "height": profile.tip - stump,
                    "thickness": np.pi / 2 * module,
                    "through_mm": width,
                },
                body=(vertices @ turn.T, faces),
                operation="remove",
            )
        )
    if recess > 0:
        outer, inner = recess_radii(profile, bore, rim, hub_diameter)
        found += [
            round_hole(
                f"web{k}",
                np.array([x, y, 0.0]),
                np.eye(3),
                diameter_mm=hole,
                length_mm=width - 2 * recess,
            )
            for k, (x, y) in enumerate(web_hole_centres(outer, inner, round(holes)))
        ]
    return found


# A shape that is not here has nothing to lack.
FEATURES: dict[str, Callable[..., list[Feature]]] = {
    "bracket": bracket_holes,
    "flange": flange_holes,
    "gear": gear_teeth_and_holes,
    "plate": plate_holes,
}
