#version 330 core
// Part-local vertices to clip space; y is flipped by the projection so that row 0 is the top.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
uniform mat4 clip_from_world;
uniform mat4 world_from_part;
uniform vec4 view_row;      // third row of camera-from-world: view depth
out vec3 local_mm;
out vec3 world_mm;
out vec3 local_normal;
out vec2 uv;
out float depth_mm;
void main() {
    vec4 world = world_from_part * vec4(in_position, 1.0);
    local_mm = in_position;
    world_mm = world.xyz;
    local_normal = in_normal;
    uv = in_uv;
    depth_mm = dot(view_row, world);
    gl_Position = clip_from_world * world;
}
