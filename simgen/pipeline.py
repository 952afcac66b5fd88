"""The whole flow on one page: config in, finished frames out. Read this first.

    config -> parts -> settled parts -> SceneSpec -> surfaces -> label pass, colour, twin
           -> sensor and labels -> Frame

Frame i is a pure function of (config, seed, i). Everything kept between frames is
a cache of a pure function: meshes, the settled objects of the last scene and
their surfaces, and the rendered view that several exposures share.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simgen.config import suggest, to_plain
from simgen.config.render import RenderConfig
from simgen.dataset.assets import Asset, require_licences, stated_licence
from simgen.dataset.panoramas import check_panoramas, panorama_assets
from simgen.defects.kinds import KINDS, kind_module
from simgen.defects.surface import SurfaceCache
from simgen.errors import ConfigError
from simgen.label.annotation import Frame
from simgen.label.contrast import RING_PX
from simgen.label.frame import View, make_frame, nearest_mask, twin_windows
from simgen.label.masks import merged, view_masks
from simgen.render.buffers import Window
from simgen.render.choose import open_renderer
from simgen.render.projection import require_fine_texels
from simgen.render.renderer import Renderer
from simgen.sampling import FrameIndex, Streams
from simgen.scene.family import SceneFamily, load_family, parse_ranges
from simgen.scene.spec import ObjectSpec, SceneSpec, SensorSpec
from simgen.sensor import blur_reach_px, defocused


def scene_check(config: RenderConfig) -> RenderConfig:
    """Read the scene's own ranges and files, so that mistakes show before any worker starts.

    Returns:
        The config; if the scene reads files, with their hashes under `scene.sha256`, so
        that a dataset is never continued with another part.

    Raises:
        ConfigError: The scene is unknown or a range of it is wrong.
        AssetError: A file is missing, broken or has changed, or its licence is not free.
    """
    family = load_family(config.scene_name)
    ranges = parse_ranges(family, config.scene)
    used = scene_assets(family, ranges)
    require_licences(used, config.dataset.allow_licences)
    if not used:
        return config
    check_panoramas(ranges)
    noted = {asset.path: asset.sha256 for asset in used}
    return dataclasses.replace(config, scene={**config.scene, "sha256": noted})


def scene_assets(family: SceneFamily, ranges: Any) -> tuple[Asset, ...]:
    """Return the files that a scene reads: its family's `assets`, panoramas, own defect kinds."""
    assets = getattr(family, "assets", None)
    files = () if assets is None else tuple(assets(ranges))
    entries = {**getattr(ranges, "defects", {}), **getattr(ranges, "marks", {})}
    own = sorted({entry.kind or name for name, entry in entries.items()} - set(KINDS))
    kinds = (
        Asset(
            path=f"defects/{kind}.py",
            spdx=stated_licence(Path(str(module.__file__))),
            source="a defect kind of the user's",
            sha256=module.file_sha256,
        )
        for kind, module in ((kind, kind_module(kind)) for kind in own)
    )
    return (*files, *panorama_assets(ranges), *kinds)


def categories(config: RenderConfig) -> tuple[tuple[str, str], ...]:
    """Return (name, supercategory) of every label the scene can make, in the order of their ids.

    Raises:
        ConfigError: `labels.pad_px_by_kind` names a kind of which there are no labels.
    """
    family = load_family(config.scene_name)
    found = family.categories(parse_ranges(family, config.scene))
    kinds = [name for name, supercategory in found if supercategory == "defect"]
    for kind in config.labels.pad_px_by_kind:
        if kind not in kinds:
            raise ConfigError(
                f"labels.pad_px_by_kind.{kind}: the scene has no such defect{suggest(kind, kinds)}"
            )
    return found


class SceneRenderer:
    """Renders scenes that are decided already, in a dataset say; owns a renderer, so one a process.

    Raises:
        RenderError: The renderer cannot start.
    """

    def __init__(self, config: RenderConfig):
        self.config = config
        self.renderer = open_renderer(config.renderer)
        self._surfaces = SurfaceCache()
        self._view: tuple[SceneSpec, View] | None = None

    def facts(self) -> dict[str, Any]:
        """Return the renderer's name and its driver's strings."""
        return self.renderer.facts()

    def close(self) -> None:
        """Release the renderer."""
        self.renderer.close()

    def frame(self, index: FrameIndex, scene: SceneSpec) -> Frame:
        """Render a settled scene as the frame `index`."""
        seen = dataclasses.replace(scene, sensor=SensorSpec())
        if self._view is None or self._view[0] != seen:
            view = render_view(self.renderer, scene, self.config, surfaces=self._surfaces)
            self._view = (seen, view)
        return make_frame(index, scene, self._view[1], self.config.labels)


class FrameRenderer:
    """Renders frames of one config; owns a renderer, so one a process.

    Raises:
        ConfigError: See `scene_check`.
        RenderError: The renderer cannot start.
    """

    def __init__(self, config: RenderConfig):
        self.config = config
        self._family = load_family(config.scene_name)
        self._ranges = parse_ranges(self._family, config.scene)
        self._scenes = SceneRenderer(config)
        self._renderer = self._scenes.renderer
        self._objects: tuple[int, tuple[ObjectSpec, ...]] | None = None

    def facts(self) -> dict[str, Any]:
        """Return the renderer's name, its driver's strings and the scene's files."""
        facts = self._scenes.facts()
        used = scene_assets(self._family, self._ranges)
        return {**facts, "assets": [to_plain(asset) for asset in used]} if used else facts

    def close(self) -> None:
        """Release the renderer."""
        self._scenes.close()

    def frame(self, number: int) -> Frame:
        """Render frame `number`, counted from 0."""
        index = FrameIndex.of(
            number,
            views_per_scene=self.config.views_per_scene,
            exposures_per_view=self.config.exposures_per_view,
        )
        return self._scenes.frame(index, self.scene(index))

    def scene(self, index: FrameIndex) -> SceneSpec:
        """Return the settled SceneSpec of a frame.

        Raises:
            ConfigError: A part's texels are too coarse for the camera.
        """
        streams = Streams(seed=self.config.seed, index=index)
        if self._objects is None or self._objects[0] != index.scene:
            self._objects = (index.scene, self._family.sample_objects(streams, self._ranges))
        objects = self._objects[1]
        scene = self._family.sample_frame(streams, self._ranges, self.config.image, objects)
        require_fine_texels(scene)
        return scene


def render_view(
    renderer: Renderer,
    scene: SceneSpec,
    config: RenderConfig,
    lap: Callable[[str], None] = lambda stage: None,
    surfaces: SurfaceCache | None = None,
) -> View:
    """Return colour, clean twin and masks of one view.

    Args:
        renderer: Draws.
        scene: The settled scene.
        config: Label conventions.
        lap: Called with a stage's name at its end; for benchmarks.
        surfaces: Those of the view before, kept for the next.
    """
    pairs = (surfaces or SurfaceCache()).of(scene.objects)
    lap("maps, dents and breaks")
    drawn = renderer.open(scene, pairs)
    try:
        lap("upload")
        seen = drawn.labels()
        lap("label pass")
        coming = drawn.begin_colour()
        lap("colour")
        masks = merged(view_masks(scene, drawn, seen), scene, config.labels.merge_mm)
        lap("masks")
        camera = scene.camera
        # All that is drawn is under way before anything is waited for.
        twins = [
            (part, drawn.begin_colour(clean=True, window=part))
            for part in twin_windows(masks, scene)
        ]
        window = Window(x0=0, y0=0, x1=0, y1=0)
        for part, _ in twins:
            window = window.union(part)
        if not window.empty:
            reach = RING_PX + blur_reach_px(seen.depth_mm, camera)
            window = window.grown(reach, camera.width, camera.height)
        owner = nearest_mask(masks, window)
        linear = coming()
        twin = linear.copy() if twins else linear
        for part, clean in twins:
            twin[part.slices] = clean()
        if twins:
            twin = defocused(twin, masks.clean.depth_mm, camera)
        linear = defocused(linear, seen.depth_mm, camera)
        twin = twin[window.slices]
        lap("twin")
    finally:
        drawn.close()
    return View(linear=linear, twin=twin, window=window, masks=masks, owner=owner)
