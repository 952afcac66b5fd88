"""Parts fall as Newton says, rest where geometry says, and always the same way."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simgen.errors import ConfigError
from simgen.geometry import axis_rotation, quaternion_of
from simgen.parts.build import build_mesh
from simgen.physics.drop import drop_poses
from simgen.physics.pieces import centre_of_mass, convex_pieces
from simgen.physics.settle import GRAVITY_MM_S2, STEP_S, settle
from simgen.scene.spec import FinishSpec, ObjectSpec, PoseSpec, ShapeSpec, to_json

FINISH = FinishSpec(kind="plain", colour=(0.5, 0.5, 0.5), roughness=0.5, metalness=0.0)
SIZES = {
    "plate": {"length": 100.0, "width": 60.0, "thickness": 5.0, "corner": 6.0, "chamfer": 0.5},
    "flange": {
        "diameter": 90.0,
        "thickness": 8.0,
        "bore": 30.0,
        "hub_diameter": 46.0,
        "hub_height": 10.0,
    },
    "bracket": {"leg_a": 60.0, "leg_b": 45.0, "width": 40.0, "thickness": 3.0},
    "arc_tile": {"radius": 40.0, "width": 30.0, "length": 40.0, "thickness": 5.0},
    "box": {"length": 30.0, "width": 20.0, "height": 10.0},
}


def thing(kind, size, position_mm=(0.0, 0.0, 0.0), rotation=None, body="dynamic") -> ObjectSpec:
    turn = quaternion_of(np.eye(3) if rotation is None else rotation)
    return ObjectSpec(
        name=kind,
        shape=ShapeSpec(kind=kind, size_mm=size, texel_mm=1.0),
        finish=FINISH,
        pose=PoseSpec(position_mm=position_mm, quaternion=turn),
        body=body,
    )


def bench() -> ObjectSpec:
    return thing("bench", {"length": 600.0, "width": 400.0, "thickness": 20.0}, body="fixed")


def world_points(item: ObjectSpec) -> np.ndarray:
    m = item.pose.matrix()
    return build_mesh(item.shape).vertices_mm @ m[:3, :3].T + m[:3, 3]


def pile(seed: int, *, tray: bool = False) -> list[ObjectSpec]:
    rng = np.random.default_rng(seed)
    parts = [thing(kind, size) for kind, size in SIZES.items()] * 2
    poses = drop_poses(rng, [p.shape for p in parts], area_mm=(300, 200), floor_mm=2.0 * tray)
    fixed = [bench()]
    if tray:
        size = {"length": 320.0, "width": 220.0, "height": 40.0, "corner": 10.0}
        fixed.append(thing("tray", size, body="fixed"))
    return fixed + [replace(p, pose=pose) for p, pose in zip(parts, poses, strict=True)]


def test_a_free_fall_is_half_g_t_squared():
    seconds = 0.25
    result = settle([thing("box", SIZES["box"], (0, 0, 1000))], limit_s=seconds)
    fall = 1000 - result.objects[0].pose.position_mm[2]
    # Bullet's Euler steps fall by half a step's speed more at each step.
    assert fall == pytest.approx(GRAVITY_MM_S2 / 2 * seconds * (seconds + STEP_S), rel=1e-4)
    assert fall == pytest.approx(GRAVITY_MM_S2 / 2 * seconds**2, rel=0.02)
    assert result.at_rest == (False,)


def test_a_box_comes_to_rest_at_half_its_height():
    result = settle([bench(), thing("box", SIZES["box"], (0, 0, 30))])
    assert result.at_rest == (True, True)
    assert result.objects[1].pose.position_mm[2] == pytest.approx(5, abs=0.01)
    assert result.objects[0] == bench()


@pytest.mark.parametrize("kind", list(SIZES))
def test_a_part_rests_on_the_bench_without_gap_or_penetration(kind):
    rng = np.random.default_rng(5)
    for _ in range(3):
        turn = axis_rotation(tuple(rng.normal(size=3)), float(rng.uniform(0, 40)))
        result = settle([bench(), thing(kind, SIZES[kind], (0, 0, 90), turn)])
        assert result.at_rest == (True, True)
        points = world_points(result.objects[1])
        assert points[:, 2].min() == pytest.approx(0, abs=0.02)
        # It lies on a face: three of its points touch, not one.
        touching = points[points[:, 2] < 0.05]
        assert np.ptp(touching[:, :2], axis=0).min() > 3


def test_a_pile_rests_inside_the_tray():
    for seed in (1, 3):
        result = settle(pile(seed, tray=True))
        assert all(result.at_rest)
        for item in result.objects[2:]:
            points = world_points(item)
            assert points[:, 2].min() > 2 - 0.1
            assert (np.abs(points[:, :2]) < [158.1, 108.1]).all()


def test_a_bracket_stands_on_a_leg_with_air_inside_its_corner():
    # A ball as wide as the corner's air goes in; a single hull would keep it out.
    standing = thing("bracket", SIZES["bracket"], (0, 0, 22.5), body="fixed")
    ball = thing("sphere", {"radius": 8.0}, (-15, 0, 40))
    result = settle([bench(), standing, ball])
    assert result.objects[2].pose.position_mm[2] < 12


def test_a_settle_is_the_same_alone_and_after_many_others():
    text = "\n".join(to_json(o) for o in settle(pile(7)).objects)
    for seed in range(50):
        settle([bench(), thing("box", SIZES["box"], (seed, 0, 30))], limit_s=0.2)
    assert "\n".join(to_json(o) for o in settle(pile(7)).objects) == text
    program = (
        "from tests.test_physics import pile\n"
        "from simgen.physics.settle import settle\n"
        "from simgen.scene.spec import to_json\n"
        "import json; print(json.dumps([to_json(o) for o in settle(pile(7)).objects]))"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "\n".join(json.loads(fresh.stdout.splitlines()[-1])) == text


def test_settling_again_and_again_takes_no_memory():
    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    plates = [thing("plate", SIZES["plate"], (0, 0, 20.0 + 20 * k)) for k in range(8)]
    for _ in range(20):
        settle([bench(), *plates], limit_s=0.02)
    before = megabytes()
    # A copy of the hulls that is kept each time adds up to 13.
    for _ in range(60):
        settle([bench(), *plates], limit_s=0.02)
    assert megabytes() - before < 2


def test_what_has_no_body_is_ignored_and_what_is_fixed_stays():
    ghost = thing("box", SIZES["box"], (0, 0, 5), body="none")
    result = settle([bench(), ghost, thing("box", SIZES["box"], (0, 0, 30))])
    assert result.objects[1] == ghost
    assert result.objects[2].pose.position_mm[2] == pytest.approx(5, abs=0.01)
    assert result.at_rest == (True, True, True)


def test_what_falls_off_the_bench_is_not_at_rest():
    result = settle([bench(), thing("box", SIZES["box"], (900, 0, 30))])
    assert result.at_rest == (True, False)


def test_poses_are_plain_floats_with_unit_quaternions():
    pose = settle([bench(), thing("box", SIZES["box"], (0, 0, 30))]).objects[1].pose
    assert {type(v) for v in (*pose.position_mm, *pose.quaternion)} == {float}
    assert np.linalg.norm(pose.quaternion) == pytest.approx(1, abs=1e-12)


def test_a_mass_must_be_above_zero():
    weightless = replace(thing("box", SIZES["box"]), mass_kg=0.0)
    with pytest.raises(ConfigError, match=r"box\.mass_kg: 0 must be above 0"):
        settle([bench(), weightless])


def test_the_centre_of_mass_is_the_solid_one():
    tray = ShapeSpec(kind="tray", size_mm={"length": 100.0, "width": 80.0, "height": 30.0})
    outer, inner = 100 * 80 * 30, 96 * 76 * 28
    z = (outer * 15 - inner * 16) / (outer - inner)
    np.testing.assert_allclose(centre_of_mass(tray), [0, 0, z], atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "size", "count"),
    [
        ("plate", SIZES["plate"], 1),
        ("flange", SIZES["flange"], 2),
        ("bracket", SIZES["bracket"], 3),
        ("tray", {"length": 100.0, "width": 80.0, "height": 30.0}, 5),
        ("screwdriver", {"length": 180.0, "handle_diameter": 28.0}, 2),
        ("cable", {"length": 200.0, "radius": 3.0, "bend": 120.0}, 7),
    ],
)
def test_convex_pieces_reach_as_far_as_the_shape(kind, size, count):
    shape = ShapeSpec(kind=kind, size_mm=size, texel_mm=1.0)
    pieces = convex_pieces(shape)
    assert len(pieces) == count
    points, mesh = np.concatenate(pieces), build_mesh(shape).vertices_mm
    directions = np.random.default_rng(0).normal(size=(200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = (mesh @ directions.T).max(axis=0) - (points @ directions.T).max(axis=0)
    assert np.abs(reach).max() < 0.12


def test_drop_poses_start_apart_inside_the_area_and_above_the_floor():
    shapes = [ShapeSpec(kind=k, size_mm=s, texel_mm=1.0) for k, s in SIZES.items()] * 3
    for seed in range(4):
        poses = drop_poses(np.random.default_rng(seed), shapes, area_mm=(260, 180), floor_mm=4.0)
        assert poses == drop_poses(
            np.random.default_rng(seed), shapes, area_mm=(260, 180), floor_mm=4.0
        )
        boxes = []
        for shape, pose in zip(shapes, poses, strict=True):
            item = replace(thing("box", SIZES["box"]), shape=shape, pose=pose)
            points = world_points(item)
            boxes.append((points.min(axis=0), points.max(axis=0)))
        low, high = (np.array(side) for side in zip(*boxes, strict=True))
        assert low[:, 2].min() >= 7 - 1e-3
        assert (low[:, :2] >= [-130.01, -90.01]).all() and (high[:, :2] <= [130.01, 90.01]).all()
        gap = np.maximum(low[:, None] - high[None], low[None] - high[:, None]).max(axis=2)
        np.fill_diagonal(gap, 99)
        assert gap.min() >= 3 - 1e-3


def test_drop_poses_turn_and_flip():
    shapes = [ShapeSpec(kind="box", size_mm=SIZES["box"], texel_mm=1.0)] * 60
    poses = drop_poses(np.random.default_rng(0), shapes, area_mm=(400, 400), tilt_deg=20)
    up = np.array([pose.matrix()[2, 2] for pose in poses])
    assert (np.abs(up) >= np.cos(np.deg2rad(20)) - 1e-9).all()
    assert 15 < (up < 0).sum() < 45
    with pytest.raises(ConfigError, match="area_mm: 0 x 50 must be above 0"):
        drop_poses(np.random.default_rng(0), shapes, area_mm=(0, 50))
