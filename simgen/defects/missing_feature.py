"""Missing feature: a hole that was never drilled, or a tooth that is gone.

The part says what it may lack (`PartMesh.features`), each with the body that fills the
hole or takes the tooth away. A plug carries the part's finish on over it; a tooth leaves
a fracture, or a smooth stump where it was never cut.
"""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects.bodies import Body, Look
from simgen.errors import AssetError, ConfigError
from simgen.geometry import to_vec3
from simgen.parts.mesh import Feature, PartMesh
from simgen.parts.sites import Placement, Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec

PLACEMENT = Placement(edge_mm=(0.0, float("inf")), on_feature=True)
# A plug looks like the face around it: what tells is that the hole is not there.
FOUND_BY_ABSENCE = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Its size is the feature's; how the stump of a tooth looks.

    `broken` is how often a tooth broke off rather than was never made.
    """

    broken: float = bounded(0.7, low=0, high=1)
    tone: Distribution = bounded(LogUniform(0.1, 0.5), above=0, high=1)
    metalness: Distribution = bounded(Uniform(0.2, 0.8), low=0, high=1)
    roughness: Distribution = bounded(Uniform(0.4, 0.8), above=0, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw what the feature at `site` leaves.

    Raises:
        ConfigError: The site is no feature.
    """
    feature = site.feature
    if feature is None:
        raise ConfigError("missing_feature: needs a part with holes or teeth; take it off others")
    vertices = feature.body[0] - np.asarray(feature.anchor_mm)
    removes = feature.operation == "remove"
    if not removes:
        axis = np.asarray(feature.axis)
        vertices = vertices - np.outer(vertices @ axis, axis)
    broken = bool(rng.uniform() < ranges.broken)
    return DefectSpec(
        kind="missing_feature",
        anchor_mm=site.anchor_mm,
        normal=site.normal,
        tangent=site.tangent,
        size_mm=dict(feature.size_mm),
        values={
            "reach_mm": 1.02 * float(np.linalg.norm(vertices, axis=1).max()),
            "tone": ranges.tone.sample(rng),
            "metalness": ranges.metalness.sample(rng),
            "roughness": ranges.roughness.sample(rng),
            "grain": float(rng.uniform(0.2, 0.5)) if broken else 0.04,
            "ripple": float(rng.uniform(0.1, 0.25)) if broken else 0.0,
            "lip": float(rng.uniform(0.1, 0.8)) if broken else 0.0,
        },
        missing_material=removes,
        seed=int(rng.integers(2**31)),
    )


def body(defect: DefectSpec, mesh: PartMesh) -> Body:
    """Return the plug or the tooth.

    Raises:
        AssetError: The part has no feature there.
    """
    feature = feature_of(defect, mesh)
    vertices, faces = feature.body
    look = None
    if feature.operation == "remove":
        values, reach = defect.values, defect.values["reach_mm"]
        tone = values["tone"]
        look = Look(
            albedo=(tone, tone, tone),
            roughness=values["roughness"],
            metalness=values["metalness"],
            grain=values["grain"],
            grain_mm=float(np.clip(0.06 * reach, 0.08, 0.35)),
            ripple=values["ripple"],
            ripple_mm=float(np.clip(0.1 * reach, 0.12, 1.0)),
            ripple_origin_mm=to_vec3(np.asarray(vertices).mean(axis=0)),
            lip=values["lip"],
            lip_mm=0.15,
        )
    return Body(vertices_mm=vertices, faces=faces, operation=feature.operation, look=look)


def feature_of(defect: DefectSpec, mesh: PartMesh) -> Feature:
    """Return the feature that a defect says is missing: the one whose axis it lies on.

    Raises:
        AssetError: There is none.
    """
    for feature in mesh.features:
        offset = np.asarray(defect.anchor_mm) - np.asarray(feature.anchor_mm)
        along = offset - (offset @ np.asarray(feature.axis)) * np.asarray(feature.axis)
        ends = (0.0, feature.size_mm.get("through_mm", 0.0))
        depth = -float(offset @ np.asarray(feature.axis))
        if np.linalg.norm(along) < 1e-3 and min(abs(depth - e) for e in ends) < 1e-3:
            return feature
    raise AssetError(f"missing_feature: the part has no feature at {defect.anchor_mm}")
