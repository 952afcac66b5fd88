"""Blowhole: a gas cavity opened by grinding; round, oval or nearly rectangular."""

from dataclasses import dataclass

import numpy as np

from simgen.config import bounded
from simgen.defects import pit
from simgen.defects.profile import Profile
from simgen.parts.sites import Site
from simgen.sampling import Distribution, LogUniform, Uniform
from simgen.scene.spec import DefectSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges(pit.Ranges):
    """As for a pit; `squareness` is the superellipse's exponent, `turn_deg` to the process.

    `slant` is by how much one side of the floor is darker or lighter than its middle.
    """

    ragged: Distribution = bounded(Uniform(0.03, 0.12), low=0, high=1)
    rubble: Distribution = bounded(Uniform(0.0, 0.3), low=0, high=1)
    diameter_mm: Distribution = bounded(LogUniform(0.7, 2.2), above=0)
    aspect: Distribution = bounded(Uniform(1.0, 2.4), low=1)
    squareness: Distribution = bounded(Uniform(2.0, 6.0), low=1.5, high=12)
    turn_deg: Distribution = bounded(Uniform(-35, 35), low=-180, high=180)
    slant: Distribution = bounded(Uniform(-0.5, 0.5), low=-1, high=1)


def sample(rng: np.random.Generator, ranges: Ranges, site: Site) -> DefectSpec:
    """Draw a blowhole at `site`."""
    return pit.sample_cavity(
        rng, ranges, site, kind="blowhole", turn_deg=ranges.turn_deg.sample(rng),
        squareness=ranges.squareness.sample(rng), slant=ranges.slant.sample(rng),
    )  # fmt: skip


def profile(defect: DefectSpec, u: np.ndarray, v: np.ndarray) -> Profile:
    """Return the cavity, see `pit.profile`."""
    return pit.profile(defect, u, v)
