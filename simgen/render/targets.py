"""The framebuffers that a view is drawn into."""

import moderngl


class Targets:
    """Framebuffers of one image size."""

    def __init__(self, context: moderngl.Context, width: int, height: int, samples: int):
        self._owned: list[moderngl.Texture | moderngl.Framebuffer] = []

        def texture(w: int, h: int, components: int, dtype: str) -> moderngl.Texture:
            made = context.texture((w, h), components, dtype=dtype)
            made.filter = (moderngl.NEAREST, moderngl.NEAREST)
            self._owned.append(made)
            return made

        def framebuffer(
            colours: list[moderngl.Texture], w: int, h: int, depth: bool = True
        ) -> moderngl.Framebuffer:
            buffer = context.depth_texture((w, h)) if depth else None
            made = context.framebuffer(colours, buffer)
            self._owned += [made, *([buffer] if buffer is not None else [])]
            return made

        self.ids = texture(width, height, 2, "u4")
        self.position = texture(width, height, 4, "f4")
        self.normal = texture(width, height, 4, "f2")
        self.label = framebuffer([self.ids, self.position, self.normal], width, height)
        self.edge_mask = texture(width, height, 1, "f1")
        self.edges = framebuffer([self.edge_mask], width, height, depth=False)
        self.single_colour = texture(width, height, 4, "f2")
        self.single = framebuffer([self.single_colour], width, height)
        self.samples = samples
        scale = samples if samples > 1 else 0
        self.multi_colour = texture(max(scale * width, 1), max(scale * height, 1), 4, "f2")
        self.multi = framebuffer([self.multi_colour], *self.multi_colour.size)
        self.result_colour = texture(width, height, 4, "f4")
        self.result = framebuffer([self.result_colour], width, height, depth=False)

    def release(self) -> None:
        """Free them."""
        for item in reversed(self._owned):
            item.release()
