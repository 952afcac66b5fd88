#version 330 core
// Averages the samples of edge pixels; the others keep their one sample.
uniform sampler2D single;
uniform sampler2D multi;
uniform sampler2D edge_mask;
uniform int samples;
layout(location = 0) out vec4 out_colour;
void main() {
    ivec2 p = ivec2(gl_FragCoord.xy);
    if (samples < 2 || texelFetch(edge_mask, p, 0).r < 0.5) {
        out_colour = texelFetch(single, p, 0);
        return;
    }
    vec4 sum = vec4(0.0);
    for (int j = 0; j < samples; ++j) for (int i = 0; i < samples; ++i)
        sum += texelFetch(multi, p * samples + ivec2(i, j), 0);
    out_colour = sum / float(samples * samples);
}
