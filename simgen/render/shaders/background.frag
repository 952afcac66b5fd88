#version 330 core
#define PI 3.14159265
uniform sampler2DArray environment;
uniform float environment_turn;
uniform float environment_gain;
uniform mat3 world_from_camera;
uniform vec4 pixel_ray;     // (u, v) = xy * fragment + zw are camera ray coordinates
layout(location = 0) out vec4 out_colour;
void main() {
    vec3 d = normalize(world_from_camera * vec3(gl_FragCoord.xy * pixel_ray.xy + pixel_ray.zw, 1.0));
    float c = cos(environment_turn), s = sin(environment_turn);
    d.xy = vec2(c * d.x + s * d.y, c * d.y - s * d.x);
    vec2 at = vec2(atan(d.y, d.x) / (2.0 * PI), 0.5 - asin(clamp(d.z, -1.0, 1.0)) / PI);
    out_colour = vec4(environment_gain * textureLod(environment, vec3(at, 1.0), 0.0).rgb, 1.0);
}
