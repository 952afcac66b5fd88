#version 330 core
// Part-local vertices to clip space; y is flipped by the projection so that row 0 is the top.
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in vec3 in_rest;            // where position and normal are on the undamaged part
in vec3 in_rest_normal;
uniform mat4 clip_from_world;
uniform mat4 world_from_part;
uniform vec4 view_row;      // third row of camera-from-world: view depth
uniform vec4 hair;          // radius in mm, least half width at depth 1, depth constant, 1: a hair
out vec3 local_mm;
out vec3 world_mm;
out vec3 local_normal;
out vec2 uv;
out float depth_mm;
out vec3 rest_mm;
out vec3 rest_normal;
out float coverage;         // of the width that a hair is drawn with
void main() {
    vec4 world = world_from_part * vec4(in_position, 1.0);
    float wide = max(hair.y * dot(view_row, world), hair.x) * hair.w;
    world.xyz += mat3(world_from_part) * in_normal * (wide - hair.x * hair.w);
    coverage = hair.w > 0.5 ? hair.x / wide : 1.0;
    local_mm = in_position;
    rest_mm = in_rest;
    rest_normal = in_rest_normal;
    world_mm = world.xyz;
    local_normal = in_normal;
    uv = in_uv;
    depth_mm = dot(view_row, world);
    gl_Position = clip_from_world * world;
    // Widened it would sink into what it lies on: it comes as much nearer.
    gl_Position.z -= hair.z * 2.5 * (wide - hair.x * hair.w) / max(depth_mm, 1e-3);
}
