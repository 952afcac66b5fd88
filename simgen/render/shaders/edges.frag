#version 330 core
// Marks pixels that touch a silhouette or a sharp turn: only they are supersampled.
uniform usampler2D label_ids;
uniform sampler2D label_normal;     // w: depth in mm, to a thousandth
layout(location = 0) out float out_edge;
void main() {
    ivec2 p = ivec2(gl_FragCoord.xy);
    ivec2 last = textureSize(label_ids, 0) - 1;
    uvec2 id = texelFetch(label_ids, p, 0).rg;
    vec4 n = texelFetch(label_normal, p, 0);
    float edge = 0.0;
    for (int j = -1; j <= 1; ++j) for (int i = -1; i <= 1; ++i) {
        if (i == 0 && j == 0) continue;
        ivec2 q = clamp(p + ivec2(i, j), ivec2(0), last);
        if (texelFetch(label_ids, q, 0).rg != id) edge = 1.0;
        vec4 there = texelFetch(label_normal, q, 0);
        if (id.r > 0u && dot(there.xyz, n.xyz) < 0.98) edge = 1.0;
        if (abs(there.w - n.w) > 0.01 * n.w) edge = 1.0;
    }
    out_edge = edge;
}
