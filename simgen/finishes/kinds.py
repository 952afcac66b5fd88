"""The finishes: each a function of position on the surface in mm.

A new finish is a function `(spec, points) -> Skin`, a line in `FINISHES` and one in
`FINISH_VALUES`. Points come in runs of any length: a finish must not depend on which
are asked for together.
"""

from collections.abc import Callable

from simgen.config.parse import suggest
from simgen.errors import ConfigError
from simgen.finishes.brushed import brushed
from simgen.finishes.cast import cast, galvanized
from simgen.finishes.ground import ground
from simgen.finishes.layers import Layers, empty_layers
from simgen.finishes.overlays import oil, round_edges, soil, wear_edges
from simgen.finishes.painted import painted
from simgen.finishes.points import Points, points_of, texel_size_mm
from simgen.finishes.polished import polished
from simgen.finishes.rusted import rusted
from simgen.finishes.skin import Skin
from simgen.finishes.turned import turned
from simgen.finishes.worktop import worktop
from simgen.parts.mesh import TexelTable
from simgen.scene.spec import FinishSpec

FINISHES: dict[str, Callable[[FinishSpec, Points], Skin]] = {
    "ground": ground,
    "brushed": brushed,
    "turned": turned,
    "polished": polished,
    "cast": cast,
    "galvanized": galvanized,
    "painted": painted,
    "rusted": rusted,
    "worktop": worktop,
}

# On any finish, in the order in which they come about.
OVERLAYS: tuple[Callable[[Skin, Points, FinishSpec], None], ...] = (
    wear_edges,
    soil,
    oil,
    round_edges,
)

# What `values` may hold for each finish; all at least 0, lengths in mm above it.
_LINES = ("line_mm", "line_length_mm", "line_slope", "line_skew", "line_tone")
_HELIX = ("lead_mm", "land_radius_mm")
# Lengths that mean "none" at 0.
MAY_BE_ZERO = frozenset(("edge_mm", *_HELIX))
_TONE = ("grain", "grain_mm", "blotch", "blotch_mm")
OVERLAY_VALUES: dict[str, tuple[str, ...]] = {
    "wear": ("edge_mm", "edge_wear", "wear_mm"),
    "oil": ("oil", "oil_mm", "oil_film", "oil_tint", "oil_gloss", "oil_pool"),
    "soil": ("soil", "soil_mm", "soil_length_mm", "soil_strength", "soil_tone", "soil_groove"),
}
_ANY = tuple(key for keys in OVERLAY_VALUES.values() for key in keys)
FINISH_VALUES: dict[str, tuple[str, ...]] = {
    "ground": (*_LINES, "line_run_mm", *_HELIX, *_TONE, *_ANY),
    "brushed": (*_LINES, *_HELIX, "hair", "sheaf", "sheaf_mm", "blotch", "blotch_mm", *_ANY),
    "turned": (*_LINES, *_HELIX, "feed_mm", "feed_slope", *_TONE, *_ANY),
    "polished": (*_LINES, *_HELIX, "haze", "wave_mm", "wave_slope", "blotch", "blotch_mm", *_ANY),
    "cast": ("bump_mm", "bump_slope", "grain", "blotch", "blotch_mm", *_ANY),
    "galvanized": (
        "spangle_mm", "spangle_tone", "spangle_slope", "fern", *_TONE, *_ANY,
    ),
    "painted": ("peel_mm", "peel_slope", *_TONE, *_ANY),
    "rusted": (
        "rust", "rust_mm", "rust_age", "rust_edge", "pit_mm", "pit_slope",
        "grain", "blotch", "blotch_mm", *_ANY,
    ),
    "worktop": (*_LINES, *_TONE, *_ANY),
}  # fmt: skip

# Points at a time: few enough to stay in the processor's cache, a multiple of its rows.
_RUN = 16384


def bake_finish(spec: FinishSpec, texels: TexelTable) -> Layers:
    """Return the material of every texel of a part with finish `spec`.

    Raises:
        ConfigError: The finish's kind is unknown.
    """
    if spec.kind not in FINISHES:
        raise ConfigError(f"finish {spec.kind!r} is unknown{suggest(spec.kind, FINISHES)}")
    finish, count = FINISHES[spec.kind], len(texels.rows)
    layers, texel_mm = empty_layers(count), texel_size_mm(texels)
    for start in range(0, count, _RUN):
        part = slice(start, min(start + _RUN, count))
        points = points_of(texels, part, spec, texel_mm)
        skin = finish(spec, points)
        for lay in OVERLAYS:
            lay(skin, points, spec)
        skin.write(layers, part)
    return layers
