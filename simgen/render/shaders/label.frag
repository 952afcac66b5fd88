#version 330 core
// The label pass: one sample at each pixel centre, nothing filtered.
in vec3 local_mm;
in vec3 world_mm;
in vec3 local_normal;
in vec2 uv;
in float depth_mm;
uniform uvec2 ids;          // instance id, 1 + index of the defect whose cut face this is (0: none)
uniform mat4 world_from_part;
layout(location = 0) out uvec2 out_ids;
layout(location = 1) out vec4 out_position;
layout(location = 2) out vec4 out_normal;
void main() {
    out_ids = ids;
    out_position = vec4(local_mm, depth_mm);
    out_normal = vec4(normalize(local_normal), 1.0);
}
