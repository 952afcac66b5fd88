#version 330 core
in vec3 local_mm;
in vec3 world_mm;
in vec3 local_normal;
in vec2 uv;
in float depth_mm;
uniform vec3 albedo;
layout(location = 0) out vec4 out_above;    // for the map from above: albedo, world z
void main() { out_above = vec4(albedo, world_mm.z); }
