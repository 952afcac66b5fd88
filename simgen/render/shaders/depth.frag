#version 330 core
in vec3 local_mm;
in vec3 world_mm;
in vec3 local_normal;
in vec2 uv;
in float depth_mm;
layout(location = 0) out float out_height;
void main() { out_height = world_mm.z; }
