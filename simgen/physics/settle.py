"""Settle: let parts fall until they rest, in an empty pybullet world each time.

Bullet is at its best with bodies of 0.05 to 10 units, so one of its units is
10 mm here: parts of 5 to 1000 mm fit, and its collision margin of 0.001 units is
0.01 mm. What margin and solver leave between a part and the fixed body under it
is measured on the mesh afterwards and taken out.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from simgen.errors import ConfigError
from simgen.geometry import quaternion_of, rotation_matrix
from simgen.parts.build import build_mesh
from simgen.physics.pieces import centre_of_mass, convex_pieces
from simgen.scene.spec import ObjectSpec, PoseSpec

GRAVITY_MM_S2 = 9810.0
STEP_S = 1 / 240
_UNIT_MM = 10.0
_MARGIN_MM = 0.001 * _UNIT_MM
# At rest means hardly moved over two windows: the speed of a leaning part never
# quite dies down, it trembles.
_WINDOW_STEPS = 12
_REST_WINDOWS = 2
_REST_MOVE_MM = 0.06
_REST_TURN_DEG = 0.15
# Bullet's own 0.08 leaves 0.1 mm of penetration and 0.1 degrees of tilt; 0.5 bounces.
_CONTACT_ERP = 0.2
_ROLLING_FRICTION = 0.05
_FALLEN_MM = 500.0
_MOST_CORRECTION_MM = 0.5
_UPWARD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What came to rest where.

    Attributes:
        objects: As given, the dynamic ones with new poses.
        at_rest: For each object whether it lies still on something; true for all
            that are not dynamic. False: still moving at the time limit, or fallen
            off into the depth.
    """

    objects: tuple[ObjectSpec, ...]
    at_rest: tuple[bool, ...]


def settle(
    objects: Sequence[ObjectSpec],
    *,
    limit_s: float = 3.0,
    friction: float = 0.5,
    restitution: float = 0.05,
) -> Settled:
    """Drop the dynamic objects onto the fixed ones and each other.

    A pure function: the same objects settle to the same bits, whatever ran before.

    Args:
        objects: `body` "dynamic" falls, "fixed" stands, "none" is ignored.
        limit_s: Simulated seconds after which it ends in any case.
        friction, restitution: Of every contact.

    Raises:
        ConfigError: A mass is not above 0, or a shape is not valid.
        ImportError: pybullet is not installed.
    """
    pybullet = _pybullet()
    for item in objects:
        if item.body == "dynamic" and not item.mass_kg > 0:
            raise ConfigError(f"objects.{item.name}.mass_kg: {item.mass_kg:g} must be above 0")
    world = _world(threading.get_ident())
    pybullet.resetSimulation(physicsClientId=world)
    pybullet.setGravity(0, 0, -GRAVITY_MM_S2 / _UNIT_MM, physicsClientId=world)
    pybullet.setPhysicsEngineParameter(
        fixedTimeStep=STEP_S,
        numSolverIterations=50,
        # Most steps need a fifth of these.
        solverResidualThreshold=1e-2,
        deterministicOverlappingPairs=1,
        enableFileCaching=0,
        contactERP=_CONTACT_ERP,
        erp=_CONTACT_ERP,
        physicsClientId=world,
    )
    bodies = _add_bodies(pybullet, world, objects, friction, restitution)
    moving = [k for k, item in enumerate(objects) if item.body == "dynamic"]
    lowest = _lowest_fixed(objects) - _FALLEN_MM
    resting = _run(pybullet, world, bodies, moving, limit_s, lowest)
    settled, at_rest = list(objects), [True] * len(objects)
    for k in moving:
        pose, height = _pose(pybullet, world, bodies[k], objects[k])
        shift = _correction(pybullet, world, bodies, objects, k, pose) if resting[k] else 0.0
        x, y, z = pose.position_mm
        settled[k] = replace(objects[k], pose=replace(pose, position_mm=(x, y, z + shift)))
        at_rest[k] = resting[k] and height > lowest
    return Settled(objects=tuple(settled), at_rest=tuple(at_rest))


@cache
def _world(thread: int) -> int:
    """Return a thread's world. To open one takes 17 ms, to empty it less than one."""
    pybullet = _pybullet()
    return int(pybullet.connect(pybullet.DIRECT))


def _pybullet() -> Any:
    """Import pybullet without the line that its C code writes to standard error."""
    if "pybullet" not in sys.modules:
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nothing, 2)
            import pybullet
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nothing)
        return pybullet
    return sys.modules["pybullet"]


def _add_bodies(
    pybullet: Any, world: int, objects: Sequence[ObjectSpec], friction: float, restitution: float
) -> dict[int, int]:
    """Return the body of each object that takes part, by its index."""
    bodies: dict[int, int] = {}
    with tempfile.TemporaryDirectory(prefix="simgen-settle-") as folder:
        for k, item in enumerate(objects):
            if item.body == "none":
                continue
            centre = centre_of_mass(item.shape)
            rotation = rotation_matrix(item.pose.quaternion)
            w, x, y, z = item.pose.quaternion
            position = (np.asarray(item.pose.position_mm) + rotation @ centre) / _UNIT_MM
            body = pybullet.createMultiBody(
                baseMass=item.mass_kg if item.body == "dynamic" else 0.0,
                baseCollisionShapeIndex=_collision_shape(
                    pybullet, world, item, centre, Path(folder) / f"{k}.obj"
                ),
                basePosition=position.tolist(),
                baseOrientation=(x, y, z, w),
                physicsClientId=world,
            )
            pybullet.changeDynamics(
                body,
                -1,
                lateralFriction=friction,
                spinningFriction=_ROLLING_FRICTION,
                rollingFriction=_ROLLING_FRICTION,
                restitution=restitution,
                linearDamping=0.0,
                angularDamping=0.2,
                # Bullet would stop a fall at 100 units a second, 1 m/s here.
                maxJointVelocity=1e4,
                physicsClientId=world,
            )
            bodies[k] = body
    return bodies


def _collision_shape(
    pybullet: Any, world: int, item: ObjectSpec, centre: np.ndarray, path: Path
) -> int:
    pieces = [(piece - centre) / _UNIT_MM for piece in convex_pieces(item.shape)]
    # By file: only one can hold several hulls, an object each, and of vertices that are handed
    # over pybullet never frees its copy.
    path.write_text(_as_obj(pieces), encoding="ascii")
    shape = pybullet.createCollisionShape(
        pybullet.GEOM_MESH, fileName=str(path), physicsClientId=world
    )
    if shape < 0:
        raise ConfigError(f"objects.{item.name}: pybullet takes no {item.shape.kind} of this size")
    return int(shape)


def _as_obj(pieces: Sequence[np.ndarray]) -> str:
    lines: list[str] = []
    first = 1
    for number, piece in enumerate(pieces):
        lines.append(f"o piece{number}")
        lines += [f"v {x!r} {y!r} {z!r}" for x, y, z in piece.tolist()]
        # Faces only have to name every corner: Bullet takes their hull.
        lines += [f"f {k} {k + 1} {k + 2}" for k in range(first, first + len(piece) - 2)]
        first += len(piece)
    return "\n".join(lines) + "\n"


def _run(
    pybullet: Any,
    world: int,
    bodies: dict[int, int],
    moving: Sequence[int],
    limit_s: float,
    lowest_mm: float,
) -> dict[int, bool]:
    """Step until every moving body rests or has fallen; return which of them rest."""
    calm = dict.fromkeys(moving, 0)
    before = {k: _placement(pybullet, world, bodies[k]) for k in moving}
    for step in range(1, round(limit_s / STEP_S) + 1):
        pybullet.stepSimulation(physicsClientId=world)
        if step % _WINDOW_STEPS:
            continue
        waiting = False
        for k in moving:
            now = _placement(pybullet, world, bodies[k])
            moved = float(np.abs(now[:3] - before[k][:3]).max()) * _UNIT_MM
            # Twice the arc sine of half the turn, which is small here.
            turned = float(np.rad2deg(2 * np.abs(now[3:] - before[k][3:]).max()))
            still = moved < _REST_MOVE_MM and turned < _REST_TURN_DEG
            calm[k] = calm[k] + 1 if still else 0
            waiting |= calm[k] < _REST_WINDOWS and now[2] * _UNIT_MM > lowest_mm
            before[k] = now
        if not waiting:
            break
    return {k: calm[k] >= _REST_WINDOWS for k in moving}


def _placement(pybullet: Any, world: int, body: int) -> np.ndarray:
    position, quaternion = pybullet.getBasePositionAndOrientation(body, physicsClientId=world)
    return np.array([*position, *quaternion])


def _pose(pybullet: Any, world: int, body: int, item: ObjectSpec) -> tuple[PoseSpec, float]:
    """Return the pose of the part's own frame, and the height of its centre of mass, mm."""
    position, (x, y, z, w) = pybullet.getBasePositionAndOrientation(body, physicsClientId=world)
    q = np.array([w, x, y, z])
    w, x, y, z = (float(v) for v in q / np.linalg.norm(q))
    rotation = rotation_matrix((w, x, y, z))
    origin = np.array(position) * _UNIT_MM - rotation @ centre_of_mass(item.shape)
    pose = PoseSpec(
        position_mm=(float(origin[0]), float(origin[1]), float(origin[2])),
        quaternion=quaternion_of(rotation),
    )
    return pose, float(position[2]) * _UNIT_MM


def _correction(
    pybullet: Any,
    world: int,
    bodies: dict[int, int],
    objects: Sequence[ObjectSpec],
    k: int,
    pose: PoseSpec,
) -> float:
    """Return how far to lift object k so that its lowest point touches the fixed body under it."""
    under = []
    for other, body in bodies.items():
        if objects[other].body != "fixed":
            continue
        for contact in pybullet.getContactPoints(bodies[k], body, physicsClientId=world):
            on_fixed, normal = contact[6], contact[7]
            if normal[2] > _UPWARD:
                under.append(on_fixed[2] * _UNIT_MM - _MARGIN_MM)
    if not under:
        return 0.0
    mesh = build_mesh(objects[k].shape)
    points = mesh.vertices_mm @ rotation_matrix(pose.quaternion).T.astype(np.float64)
    lift = float(np.mean(under)) - float(points[:, 2].min()) - pose.position_mm[2]
    return lift if abs(lift) <= _MOST_CORRECTION_MM else 0.0


def _lowest_fixed(objects: Sequence[ObjectSpec]) -> float:
    fixed = [item.pose.position_mm[2] for item in objects if item.body == "fixed"]
    return min(fixed, default=-np.inf)
