#version 330 core
// Linear HDR colour: metallic-roughness with anisotropic GGX (Burley 2012), image-based light
// through the split sum with Karis's 2014 fit, area lights integrated over the plane of half-vector
// slopes, percentage-closer soft shadows (Fernando 2005), LEAN-style widening by slope variance
// (Olano and Baker 2010).
#define MAX_LIGHTS 8
#define BAR_PIECES 4
#define BOUNCE 0.7
#define RING_PIECES 12
#define BAR_RADIUS 0.08   // of half its length
#define RING_RADIUS 0.1   // of its own radius
#define PI 3.14159265
#ifdef SAMPLES
#define EVERY 4      // of the taps, in the search for blockers
#define PENUMBRA 6   // taps
#else
#define EVERY 2
#define PENUMBRA 16
#endif
#define WIDEST 0.2   // a penumbra's radius in a shadow map, of its width
in vec3 local_mm;
in vec3 world_mm;
in vec3 local_normal;
in vec2 uv;
in float depth_mm;
in float coverage;

uniform mat4 world_from_part;
uniform vec3 eye_mm;
uniform vec3 process_axis;      // part space: direction of the process, or its axis when turned
uniform float process_turned;   // 0: lines run along the axis, 1: lines run around it
uniform float process_rise;     // along the axis for each radian around it, mm
#ifdef BODY                         // a surface without maps; uv is distance to its rim and openness
uniform vec4 body_colour;       // linear albedo, roughness
uniform vec4 body_grain;        // metalness, grain, 1 / grain size in mm, slope of the arcs
uniform vec4 body_ripple;       // where the arcs begin, 1 / their spacing there in mm
uniform vec2 body_lip;          // gain of the crushed edge, its width in mm
#endif
uniform sampler2D map_colour;   // sqrt(albedo), roughness
uniform sampler2D map_slope;    // part-space surface gradient of the height, mean square slope
uniform sampler2D map_extra;    // metalness, anisotropy, cavity

uniform sampler2DArray environment;   // layers: rising roughness, the last one diffuse irradiance / pi
uniform float environment_layers;
uniform float environment_turn;
uniform float environment_gain;

uniform int light_count;
uniform vec4 light_position[MAX_LIGHTS];   // mm, w: kind (0 disc, 1 bar, 2 ring, 3 panel)
uniform vec4 light_axis[MAX_LIGHTS];       // unit axis, w: half size in mm
uniform vec4 light_side[MAX_LIGHTS];       // panels: unit axis across, w: half breadth in mm
uniform float glow;                        // radiance of white given off by the surface itself
uniform vec4 light_power[MAX_LIGHTS];      // colour x radiant intensity, w: shadow map or -1
uniform mat4 shadow_from_world[2];
uniform vec4 shadow_info[2];               // near, far, bias, longest of the light's two radii below
uniform vec4 shadow_radii[2];              // the light's two radii over the frustum's width at 1 mm
uniform vec2 shadow_share;                 // a map's width in the texture, half a texel's in a map
uniform sampler2DShadow shadow_maps;       // all lights' side by side: one look-up, not one a light
uniform sampler2D shadow_raw;

uniform sampler2D height_map;              // from above: albedo, world z in mm
uniform vec4 height_frame;                 // x0, y0, 1 / extent, texel mm
uniform vec4 ground;                       // what lies under everything: albedo, world z in mm
uniform vec4 ground_edges;                 // its least and greatest x and y in mm
uniform vec3 ground_light;                 // radiance of white that lies there
uniform vec3 side_light;                   // of white that stands about
uniform vec3 ground_instead;               // what the surroundings have there

layout(location = 0) out vec4 out_colour;

// Vogel's spiral: evenly spread over the disc for any first n.
const vec2 TAPS[24] = vec2[](
    vec2(0.1443, 0.0000), vec2(-0.1843, 0.1689), vec2(0.0282, -0.3215), vec2(0.2324, 0.3031),
    vec2(-0.4264, -0.0754), vec2(0.4039, -0.2569), vec2(-0.1351, 0.5026), vec2(-0.2577, -0.4961),
    vec2(0.5590, 0.2041), vec2(-0.5816, 0.2401), vec2(0.2803, -0.5991), vec2(0.2072, 0.6605),
    vec2(-0.6244, -0.3619), vec2(0.7325, -0.1610), vec2(-0.4470, 0.6359), vec2(-0.1033, -0.7970),
    vec2(0.6340, 0.5343), vec2(-0.8532, 0.0353), vec2(0.6223, -0.6193), vec2(-0.0416, 0.9004),
    vec2(-0.5922, -0.7096), vec2(0.9380, 0.1262), vec2(-0.7948, 0.5530), vec2(0.2172, -0.9654));

vec3 environment_radiance(vec3 d, float layer) {
    float c = cos(environment_turn), s = sin(environment_turn);
    d.xy = vec2(c * d.x + s * d.y, c * d.y - s * d.x);
    vec2 at = vec2(atan(d.y, d.x) / (2.0 * PI), 0.5 - asin(clamp(d.z, -1.0, 1.0)) / PI);
    float low = floor(layer);
    vec3 a = textureLod(environment, vec3(at, low), 0.0).rgb;
    vec3 b = textureLod(environment, vec3(at, min(low + 1.0, environment_layers - 2.0)), 0.0).rgb;
    return mix(a, b, layer - low);
}

vec2 in_shadow_maps(vec2 at, int k) {
    at.x = clamp(at.x, shadow_share.y, 1.0 - shadow_share.y);
    return vec2((at.x + float(k)) * shadow_share.x, at.y);
}

float shadow(int k, vec3 p, vec3 n) {
    vec4 info = shadow_info[k];
    vec4 c = shadow_from_world[k] * vec4(p + n * info.z, 1.0);
    vec3 q = c.xyz / c.w * 0.5 + 0.5;
    if (q.x < 0.0 || q.x > 1.0 || q.y < 0.0 || q.y > 1.0) return 1.0;
    // What lies beyond the farthest caster is behind all of them.
    q.z = min(q.z, 1.0);
    // Turned from pixel to pixel (Jimenez 2014), so that few taps give fine grain, not bands.
    float turn = 6.2831853 * fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    mat2 spin = mat2(cos(turn), sin(turn), -sin(turn), cos(turn));
    mat2 shape = mat2(shadow_radii[k].xy, shadow_radii[k].zw);
    float here = c.w, blockers = 0.0, count = 0.0;
    // A blocker at the near plane can hide the light from at most this far aside, a lower one
    // from less: taps lie closer in the middle, and count where their blocker reaches.
    float reach = min((here - info.x) / (here * info.x), WIDEST / info.w);
    for (int i = 0; i < 24; i += EVERY) {
        float far = reach * dot(TAPS[i], TAPS[i]);
        vec2 at = q.xy + shape * (spin * TAPS[i]) * (far / length(TAPS[i]));
        float z = texture(shadow_raw, in_shadow_maps(at, k)).r;
        // Perspective depth back to a distance in mm.
        float distance_mm = info.x * info.y / (info.y - z * (info.y - info.x));
        if (z < q.z && far * distance_mm * here <= 1.5 * (here - distance_mm) + 1e-3) {
            blockers += distance_mm;
            count += 1.0;
        }
    }
    // Software rasterizers skip a loop, not a branch: no taps where the light is all there or none.
    int partly = count > 0.0 && count < 24.0 / EVERY ? 1 : 0;
    float blocker = blockers / max(count, 1.0);
    float scale = min((here - blocker) / max(blocker, 1.0) / here, WIDEST / info.w);
    mat2 penumbra = shape * scale * spin;
    float sum = 0.0;
    for (int once = 0; once < partly; ++once) for (int i = 0; i < PENUMBRA; ++i) {
        // A little grain at least, where the light is thin or the blocker near.
        // The first taps fill a smaller disc.
        vec2 tap = sqrt(24.0 / PENUMBRA) * TAPS[i];
        vec2 at = q.xy + penumbra * tap + 0.0007 * (spin * tap);
        sum += texture(shadow_maps, vec3(in_shadow_maps(at, k), q.z));
    }
    return partly > 0 ? sum / PENUMBRA : (count > 0.0 ? 0.0 : 1.0);
}

vec4 from_above(vec2 at) {
    return texture(height_map, (at - height_frame.xy) * height_frame.z);
}

// Albedo of what stands about a place, and how much of the sky it leaves open.
vec4 surroundings(vec3 p, vec3 n) {
    float blocked = 0.0, total = 1e-3;
    vec3 albedo = vec3(0.0);
    for (int ring = 0; ring < 2; ++ring) {
        float r = ring == 0 ? 3.0 * height_frame.w : 10.0 * height_frame.w;
        for (int i = 0; i < 6; ++i) {
            float t = (float(i) + 0.5 * float(ring)) * 1.0471976;
            vec2 o = vec2(cos(t), sin(t));
            vec4 there = from_above(p.xy + o * r);
            // How far it rises above the horizon, or above the surface's own plane.
            float rise = (there.a - p.z) / r + min(dot(n.xy, o), 0.0) / max(n.z, 0.3);
            float weight = clamp(n.z + dot(n.xy, o), 0.0, 1.0);
            blocked += weight * clamp(rise / sqrt(1.0 + rise * rise) - 0.08, 0.0, 1.0);
            albedo += weight * there.rgb;
            total += weight;
        }
    }
    return vec4(albedo / total, 1.0 - 0.85 * blocked / total);
}

// Albedo of what lies where a mirror ray comes down, and how much of a lobe of that roughness does.
vec4 reflected(vec3 p, vec3 r, float rough) {
    float soft = 0.05 + 0.7 * rough * rough;
    float far = max(p.z - ground.a, 0.0) / max(-r.z, 0.02);
    vec2 foot = p.xy + r.xy * far;
    // How far inside its borders, seen from here: beyond them the surroundings are seen.
    vec2 inside = min(foot - ground_edges.xy, ground_edges.zw - foot);
    float on_it = smoothstep(-soft, soft, min(inside.x, inside.y) * max(-r.z, 0.02) / max(far, 1e-3));
    return vec4(from_above(foot).rgb, on_it * smoothstep(-soft, soft, -r.z));
}

// Below, directions are in the frame of t, b and n. The light of a lamp is an integral over the plane of
// half-vector slopes divided by roughness, where the GGX lobe is (1 + |p|^2)^-2 / PI.
vec2 slopes(vec3 l, vec3 v, vec2 alpha) {
    return (l.xy + v.xy) / (alpha * (max(l.z, 0.0) + v.z));
}

// The lobe's mean over the straight way from p to q of that plane, integrated in closed form, but for PI.
float mean_lobe(vec2 p, vec2 q) {
    vec2 d = q - p;
    float far = length(d), x = dot(p, d) / max(far, 1e-4), y = x + far;
    vec2 m = 0.5 * (p + q);
    float middle = 1.0 + dot(m, m);
    float a2 = 1.0 + max(dot(p, p) - x * x, 0.0), a = sqrt(a2);
    float way = y / (a2 + y * y) - x / (a2 + x * x) + (atan(y / a) - atan(x / a)) / a;
    return far < 0.1 ? 1.0 / (middle * middle) : max(way, 0.0) / (2.0 * a2 * far);
}

// The lobe's part over a disc of that plane: the stereographic projection makes the plane a sphere
// on which the lobe is even, and the disc a cap.
float lobe_in_disc(float away2, float radius2) {
    float c = 1.0 + away2 - radius2, far = sqrt(c * c + 4.0 * radius2);
    return c > 0.0 ? 2.0 * radius2 / (far * (far + c)) : 0.5 - 0.5 * c / far;
}

// Its part over a rectangle, from the antiderivative x / sqrt(1 + x^2) atan(y / sqrt(1 + x^2)) and
// the same with x and y exchanged.
float lobe_in_rectangle(vec2 low, vec2 high) {
    vec4 edge = vec4(low, high), a = inversesqrt(1.0 + edge * edge);
    vec4 from = low.yxyx * a, to = high.yxyx * a;
    vec4 side = edge * a * atan(to - from, 1.0 + from * to);
    return (side.z + side.w - side.x - side.y) / (2.0 * PI);
}

// A direction's cosine over its masking on average (Smith 1967, for GGX), and over twice the cosine.
float masked(vec3 l, vec2 alpha) {
    return 1.0 / max(l.z + length(l * vec3(alpha, 1.0)), 1e-4);
}

float hash3(vec3 p) {
    p = fract(p * 0.3183099 + 0.1);
    p *= 17.0;
    return fract(p.x * p.y * p.z * (p.x + p.y + p.z));
}

float grain(vec3 p) {
    vec3 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(mix(hash3(i), hash3(i + vec3(1, 0, 0)), f.x),
                   mix(hash3(i + vec3(0, 1, 0)), hash3(i + vec3(1, 1, 0)), f.x), f.y),
               mix(mix(hash3(i + vec3(0, 0, 1)), hash3(i + vec3(1, 0, 1)), f.x),
                   mix(hash3(i + vec3(0, 1, 1)), hash3(i + vec3(1, 1, 1)), f.x), f.y), f.z);
}

void main() {
    mat3 turn = mat3(world_from_part);
    vec3 n_local = normalize(local_normal);
    vec3 albedo; float rough, metal, aniso = 0.0, cavity = 1.0, spread = 0.0;
#ifndef BODY
    {
        vec4 c = texture(map_colour, uv, -0.5);
        vec4 g = texture(map_slope, uv, -0.5);
        vec4 e = texture(map_extra, uv, -0.5);
        albedo = c.rgb * c.rgb; rough = c.a; metal = e.r; aniso = e.g; cavity = e.b;
        spread = max(g.w - dot(g.xyz, g.xyz), 0.0);
        n_local = normalize(n_local - g.xyz);
    }
#else
    {
        vec3 s = local_mm * body_grain.z;
        float a = grain(0.31 * s), b = grain(s + 5.0), c = grain(2.7 * s + 9.0);
        vec3 wobble = vec3(a - 0.5 + 0.5 * (c - 0.5), b - 0.5, grain(0.8 * s + 21.0) - 0.5);
        n_local = normalize(n_local + body_grain.y * 0.9 * wobble);
        // Arcs about the place where the crack began, wider and fainter away from it, and
        // hackle that runs out across them.
        vec3 away = local_mm - body_ripple.xyz;
        float far = length(away);
        vec3 out_of = away / max(far, 1e-4);
        float phase = 6.2831853 * (2.2 * sqrt(far * body_ripple.w) + 0.5 * (a + 0.3 * b));
        float patchy = smoothstep(0.3, 0.7, grain(0.17 * s + 33.0));
        float hackle = grain(out_of * 13.0 + 0.11 * s) - 0.5;
        float arc = cos(phase) + 0.5 * cos(2.0 * phase + 1.0);
        n_local = normalize(n_local - body_grain.w * (patchy * arc * out_of + 0.6 * hackle * cross(out_of, n_local)));
        float lip = 1.0 - smoothstep(0.4, 1.0, uv.x / max(body_lip.y * (0.6 + 0.8 * b), 1e-4));
        albedo = body_colour.rgb * max(1.0 + body_grain.y * ((a + b + c) / 1.5 - 1.0) + 0.4 * body_grain.w * patchy * arc, 0.1);
        albedo = min(albedo * (1.0 + body_lip.x * lip), vec3(0.95));
        rough = body_colour.a * (1.0 - 0.25 * lip); metal = body_grain.x;
        cavity = uv.y;
    }
#endif
    vec3 smooth_normal = normalize(turn * normalize(local_normal));
    vec3 n = normalize(turn * n_local);
    vec3 v = normalize(eye_mm - world_mm);
    float nv = dot(n, v);
    if (nv < 0.02) { n = normalize(n + v * (0.02 - nv)); nv = 0.02; }

    vec3 line = process_turned > 0.5 ? cross(process_axis, local_mm) + process_rise * process_axis : process_axis;
    vec3 t = turn * line;
    t -= n * dot(t, n);
    t = dot(t, t) > 1e-8 ? normalize(t) : normalize(cross(n, abs(n.z) < 0.9 ? vec3(0, 0, 1) : vec3(1, 0, 0)));
    vec3 b = cross(n, t);

    float alpha = max(rough * rough, 0.004);
    // Lines along t: smooth along them, rough across.
    float at = sqrt(pow(alpha * (1.0 - 0.85 * aniso), 2.0) + spread * 0.5);
    float ab = sqrt(pow(alpha * (1.0 + 0.6 * aniso), 2.0) + spread * 1.5);
    float mean_rough = clamp(sqrt(sqrt(at * ab)), 0.0, 1.0);
    vec3 f0 = mix(vec3(0.04), albedo, metal);
    vec3 diffuse = albedo * (1.0 - metal);
    vec4 near_by = surroundings(world_mm, smooth_normal);
    float sky = near_by.a * cavity;

    // Environment. The reflection of an anisotropic surface is bent toward its lines' normal plane.
    vec3 bent = normalize(mix(n, cross(cross(t, v) , t), 0.35 * aniso * clamp(4.0 * mean_rough, 0.0, 1.0)));
    vec3 r = reflect(-v, bent);
    vec4 k = mean_rough * vec4(-1.0, -0.0275, -0.572, 0.022) + vec4(1.0, 0.0425, 1.04, -0.04);
    float a004 = min(k.x * k.x, exp2(-9.28 * nv)) * k.x + k.y;
    vec2 ab_fit = vec2(-1.04, 1.04) * a004 + k.zw;
    float layer = sqrt(mean_rough) * (environment_layers - 2.0);
    vec3 env_spec = environment_radiance(r, clamp(layer, 0.0, environment_layers - 2.0));
    vec3 env_diff = environment_radiance(n, environment_layers - 1.0);
    float spec_sky = clamp(pow(nv + sky, exp2(-16.0 * mean_rough - 1.0)) - 1.0 + sky, 0.0, 1.0);
    vec3 single = f0 * ab_fit.x + ab_fit.y;
    // What hides the sky is lit by it too, and hardly by lamps: its lit side is turned away.
    vec3 about = BOUNCE * near_by.rgb * side_light, under = BOUNCE * near_by.rgb * ground_light;
    vec4 met = reflected(world_mm, r, mean_rough);
    float down = 0.5 - 0.5 * smooth_normal.z;
    vec3 open = max(env_diff - down * ground_instead, vec3(0.0)) * environment_gain;
    vec3 ambient = open * sky + about * (1.0 - down) * (1.0 - sky) + under * down;
    vec3 mirrored = mix(about, environment_gain * env_spec, spec_sky);
    mirrored = mix(mirrored, BOUNCE * met.rgb * ground_light, met.a);
    vec3 colour = diffuse * ambient + single * mirrored;

    mat3 frame = mat3(t, b, n);
    vec3 opening = normalize(n + smooth_normal) * frame;
    v = v * frame;
    vec3 mirror = vec3(-v.xy, v.z);
    for (int i = 0; i < light_count; ++i) {
        vec3 c = (light_position[i].xyz - world_mm) * frame;
        vec3 axis = light_axis[i].xyz * frame;
        float size = light_axis[i].w, kind = light_position[i].w;
        // The point of the light nearest to the mirror ray says where the highlight's light comes
        // from. Of tubes, bars and rings, the lobe is integrated piece by piece.
        vec3 near, edge = vec3(0.0), flank = vec3(0.0);
        // A point is as large as what floats can tell from one.
        float nl = 0.0, wide = 0.0, lobe = 0.0, least = 1e-3 * length(c), full = 1.0;
        // Software rasterizers skip a loop, not a branch: what is dear is in loops.
        int pieces = 0, cells = 0, flat_one = 0;
        if (kind < 0.5) {
            vec3 off = dot(c, mirror) * mirror - c;
            near = c + off * clamp(size / max(length(off), 1e-4), 0.0, 1.0);
            vec3 u = normalize(c);
            float radius = max(size, least);
            edge = radius * normalize(abs(u.z) < 0.8 ? vec3(u.y, -u.x, 0.0) : vec3(0.0, u.z, -u.y));
            flank = cross(u, edge);
            full = PI * radius * radius;
            nl = max(u.z, 0.0) / dot(c, c);
            flat_one = 1;
        } else if (kind < 1.5) {
            vec3 p0 = c - axis * size, d = axis * 2.0 * size;
            float dm = dot(d, mirror);
            float s = (dot(mirror, p0) * dm - dot(p0, d)) / max(dot(d, d) - dm * dm, 1e-4);
            near = p0 + d * clamp(s, 0.0, 1.0);
            wide = BAR_RADIUS * size / length(near);
            pieces = BAR_PIECES;
        } else if (kind < 2.5) {
            // Where the mirror ray meets the ring's plane, pulled to the circle.
            float down = dot(mirror, axis);
            vec3 hit = abs(down) > 1e-3 ? mirror * max(dot(c, axis) / down, 0.0) : mirror * length(c);
            vec3 flat_off = hit - c;
            flat_off -= axis * dot(flat_off, axis);
            edge = normalize(abs(axis.x) < 0.8 ? vec3(0.0, axis.z, -axis.y) : vec3(-axis.z, 0.0, axis.x));
            flank = cross(axis, edge);
            near = c + (length(flat_off) > 1e-3 ? normalize(flat_off) : edge) * size;
            wide = RING_RADIUS * size / length(near);
            pieces = RING_PIECES;
        } else {
            vec3 side = light_side[i].xyz * frame, face = cross(axis, side);
            float breadth = light_side[i].w, down = dot(mirror, face);
            vec3 hit = (abs(down) > 1e-3 && dot(c, face) / down > 0.0 ? mirror * (dot(c, face) / down) : mirror * length(c)) - c;
            near = c + axis * clamp(dot(hit, axis), -size, size) + side * clamp(dot(hit, side), -breadth, breadth);
            vec2 halves = max(vec2(size, breadth), least);
            edge = axis * halves.x;
            flank = side * halves.y;
            full = 4.0 * halves.x * halves.y;
            cells = 4;
            flat_one = 1;
        }
        for (int j = 0; j < cells; ++j) {
            vec3 q = c + edge * (float(j % 2) - 0.5) + flank * (float(j / 2) - 0.5);
            float q2 = dot(q, q);
            nl += max(q.z, 0.0) * abs(dot(cross(edge, flank), q)) / (full * q2 * q2);
        }
        // A tube's width blurs the lobe's middle; its tails stay as narrow as they are.
        vec2 alpha = sqrt(vec2(at * at, ab * ab) + 0.2 * wide * wide);
        float narrow = at * ab / (alpha.x * alpha.y), masked_v = masked(v, alpha);
        vec2 last = vec2(0.0); float last_weight = 0.0, last_gloss = 0.0, last_peak = 0.0;
        for (int j = 0; j <= pieces && pieces > 0; ++j) {
            float w = float(j) / float(pieces);
            vec3 q = c, tangent = axis;
            if (kind < 1.5) {
                q += axis * size * (2.0 * w - 1.0);
            } else {
                float turn = 0.3 + 6.2831853 * w;
                q += (edge * cos(turn) + flank * sin(turn)) * size;
                tangent = flank * cos(turn) - edge * sin(turn);
            }
            float q2 = dot(q, q), along = dot(q, tangent);
            vec3 l = q * inversesqrt(q2);
            // A tube gives off less light the flatter it is looked at.
            float weight = max(l.z, 0.0) * sqrt(max(1.0 - along * along / q2, 0.0)) / q2;
            vec2 here = slopes(l, v, alpha);
            // From slopes to directions: the half vector's cosine to the power of -4.
            float steep = 1.0 + dot(here * alpha, here * alpha);
            float peak = 1.0 / (1.0 + dot(here, here));
            float gloss = weight * masked(l, alpha) * min(steep * steep, 600.0) * mix(narrow, 1.0, peak);
            peak *= peak;
            float mean_gloss = (gloss * peak + last_gloss * last_peak) / (peak + last_peak);
            nl += j > 0 ? 0.5 * (weight + last_weight) / float(pieces) : 0.0;
            lobe += j > 0 ? mean_gloss / float(pieces) * mean_lobe(last, here) : 0.0;
            last = here; last_weight = weight; last_gloss = gloss; last_peak = peak;
        }
        lobe *= masked_v / (PI * alpha.x * alpha.y);
        vec3 l = normalize(near);
        for (int once = 0; once < flat_one; ++once) {
            // Where the middles of its four sides lie in the plane of slopes.
            vec2 p0 = slopes(normalize(c - edge), v, alpha), p1 = slopes(normalize(c + edge), v, alpha);
            vec2 q0 = slopes(normalize(c - flank), v, alpha), q1 = slopes(normalize(c + flank), v, alpha);
            vec2 a = 0.5 * (p1 - p0), d = 0.5 * (q1 - q0), m = 0.25 * (p0 + p1 + q0 + q1), way, low, high;
            float area = abs(a.x * d.y - a.y * d.x), even = 0.0;
            if (kind < 0.5) {
                // Half axes of the ellipse that the disc is there, and a rectangle as large.
                float half_off = 0.5 * (a.x * a.x + d.x * d.x - a.y * a.y - d.y * d.y), xy = a.x * a.y + d.x * d.y;
                float mean = 0.5 * (dot(a, a) + dot(d, d)), off = sqrt(half_off * half_off + xy * xy);
                float major = sqrt(mean + off), minor = area / max(major, 1e-6);
                way = half_off > 0.0 ? vec2(half_off + off, xy) : vec2(xy, off - half_off);
                way = off > 1e-3 * mean ? normalize(way) : vec2(1.0, 0.0);
                vec2 at_m = vec2(dot(m, way), way.x * m.y - way.y * m.x), box = 0.8862 * vec2(major, minor);
                low = at_m - box; high = at_m + box;
                even = smoothstep(2.5, 1.5, major / max(minor, 1e-6));
            } else {
                bool first = dot(a, a) > dot(d, d);
                way = normalize(first ? a : d);
                vec2 beside = 0.5 * (first ? q0 + q1 : p0 + p1);
                float aside = way.x * beside.y - way.y * beside.x, box = area / max(length(first ? a : d), 1e-6);
                low = vec2(dot(first ? p0 : q0, way), aside - box);
                high = vec2(dot(first ? p1 : q1, way), aside + box);
                area *= 4.0 / PI;
            }
            // Of what is small, a rectangle's four corners would cancel out.
            even = max(even, smoothstep(0.01, 0.002, area));
            lobe = lobe_in_disc(dot(m, m), area);
            int oblong = even < 1.0 ? 1 : 0;
            for (int again = 0; again < oblong; ++again) lobe = mix(lobe_in_rectangle(low, high), lobe, even);
            // A lobe much wider than the light takes from all of it, a narrow one from what is near
            // its middle. There the half vector is h.
            vec2 at_p = mix(0.5 * (low + high), clamp(vec2(0.0), low, high), area / (1.0 + area));
            vec3 h = normalize(vec3(alpha * (at_p.x * way + at_p.y * vec2(-way.y, way.x)), 1.0));
            float vh = max(dot(v, h), 0.0);
            vec3 from = 2.0 * vh * h - v;
            lobe *= max(from.z, 0.0) * masked(from, alpha) * masked_v * 4.0 * vh / (h.z * full);
        }
        float seen = 1.0;
        if (light_power[i].w > -0.5 && max(nl, l.z) > 0.0) {
            seen = shadow(int(light_power[i].w + 0.5), world_mm, smooth_normal);
        }
        // A cavity is open in a cone about its mouth: light from lower down falls on the far wall only.
        float mouth = sqrt(1.0 - cavity);
        seen *= smoothstep(mouth - 0.35, mouth, dot(l, opening));
        vec3 f = f0 + (1.0 - f0) * pow(max(1.0 - sqrt(max(0.5 + 0.5 * dot(l, v), 0.0)), 0.0), 5.0);
        colour += light_power[i].rgb * seen * (diffuse / PI * nl + f * lobe);
    }
    colour += glow * albedo;
    out_colour = vec4(min(colour, vec3(400.0)), coverage);
}
