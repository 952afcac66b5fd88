#version 330 core
// The label pass: one sample at each pixel centre, nothing filtered.
in float depth_mm;
in vec3 rest_mm;
in vec3 rest_normal;
uniform uvec2 ids;          // instance id, 1 + index of the defect whose body this is (0: none)
layout(location = 0) out uvec2 out_ids;
layout(location = 1) out vec4 out_position;
layout(location = 2) out vec4 out_normal;
void main() {
    out_ids = ids;
    out_position = vec4(rest_mm, depth_mm);
    out_normal = vec4(normalize(rest_normal), min(depth_mm, 6e4));   // a half float ends there
}
