#version 330 core
// Closes the depth buffer except at edge pixels, so that only these are shaded.
uniform sampler2D edge_mask;
uniform float scale;
void main() {
    float edge = texelFetch(edge_mask, ivec2(gl_FragCoord.xy / scale), 0).r;
    gl_FragDepth = edge > 0.5 ? 1.0 : 0.0;
}
