"""Surfaces without their material, for label passes of renderers that draw colour otherwise."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from simgen.defects.surface import Surface, SurfacePair
from simgen.finishes import Maps


def bare_pairs(pairs: Sequence[SurfacePair]) -> list[SurfacePair]:
    """Return the surfaces with maps of one texel: a label pass needs none."""
    made = []
    for pair in pairs:
        clean = _bare(pair.clean)
        same = pair.damaged is pair.clean
        made.append(SurfacePair(clean=clean, damaged=clean if same else _bare(pair.damaged)))
    return made


def _bare(surface: Surface) -> Surface:
    dot = np.zeros((1, 1, 4), np.uint8)
    maps = Maps(colour=dot, slope=np.zeros((1, 1, 4), np.float16), extra=dot)
    bodies = tuple(replace(b, maps=None if b.maps is None else maps) for b in surface.bodies)
    return replace(surface, maps=maps, bodies=bodies)
