"""Hand meshes and values to the shader programs."""

from collections.abc import Sequence

import moderngl
import numpy as np

from simgen.render.scene_on_gpu import Drawable


def vertex_array(
    context: moderngl.Context, program: moderngl.Program, drawable: Drawable, name: str
) -> moderngl.VertexArray:
    """Return a drawable's vertex array for a program, made on first use."""
    if name not in drawable.arrays:
        now = (("in_position", "3f"), ("in_normal", "3f"), ("in_uv", "2f"))
        was = (("in_rest", "3f"), ("in_rest_normal", "3f"))
        buffers = [_laid_out(program, drawable.buffer, now)]
        if drawable.rest is not None:
            buffers.append(_laid_out(program, drawable.rest, was))
        else:
            buffers.append(_laid_out(program, drawable.buffer, (*was, ("", "2f"))))
        drawable.arrays[name] = context.vertex_array(
            program, [b for b in buffers if len(b) > 2], index_buffer=drawable.index
        )
    return drawable.arrays[name]


def _laid_out(
    program: moderngl.Program, buffer: moderngl.Buffer, columns: Sequence[tuple[str, str]]
) -> tuple:
    """Return a buffer's (buffer, layout, names), columns that a program ignores skipped."""
    skip = {"3f": "3x4", "2f": "2x4"}
    layout = [form if name in program else skip[form] for name, form in columns]
    return (buffer, " ".join(layout), *(name for name, _ in columns if name in program))


def set_uniform(program: moderngl.Program, name: str, value: object) -> None:
    """Set a uniform if the compiler kept it; matrices are given as (4, 4) arrays."""
    # `name in program` would go through all names.
    member = program.get(name, None)
    if member is None:
        return
    if isinstance(value, np.ndarray) and value.ndim == 2:
        member.write(np.ascontiguousarray(value.T, np.float32).tobytes())
    elif isinstance(value, np.ndarray):
        member.value = tuple(float(x) for x in value)
    else:
        member.value = value
