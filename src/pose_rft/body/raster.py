"""Compiled kernels of the renderer: a z-buffer, soft shadows from a depth map, and occlusion read off the z-buffer.

Everything is single-threaded and ordered, so that equal input gives equal pixels on one machine. The compiled code is
kept beside the source (or in the user's cache), so only the first call ever pays for compiling it.
"""

import numba
import numpy as np

FAR = np.float32(1e9)


@numba.njit(cache=True, error_model="numpy")
def rasterise(points, faces, height, width):
    """Nearest triangle of every pixel.

    Args:
        points: (V, 3) float32: pixel x, pixel y (down), depth (larger is farther).
        faces: (F, 3) triangles; those that turn clockwise on the screen (seen from behind) are skipped.
        height, width: of the picture.

    Returns:
        depth (H, W) float32, `FAR` where nothing is; face (H, W) int32, -1 where nothing is; and the barycentric
        weights (H, W, 2) float32 of the face's second and third corner.
    """
    depth = np.full((height, width), FAR, dtype=np.float32)
    face = np.full((height, width), -1, dtype=np.int32)
    weights = np.zeros((height, width, 2), dtype=np.float32)
    for f in range(len(faces)):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
        cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area >= -1e-9:  # y points down: a face towards the viewer has negative area
            continue
        left = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        right = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        top = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        bottom = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        for y in range(top, bottom + 1):
            py = y + 0.5 - ay
            for x in range(left, right + 1):
                px = x + 0.5 - ax
                v = (px * (cy - ay) - (cx - ax) * py) / area
                w = ((bx - ax) * py - px * (by - ay)) / area
                if v < 0 or w < 0 or v + w > 1:
                    continue
                z = az + v * (bz - az) + w * (cz - az)
                if z < depth[y, x]:
                    depth[y, x] = z
                    face[y, x] = f
                    weights[y, x, 0] = v
                    weights[y, x, 1] = w
    return depth, face, weights


@numba.njit(cache=True)
def lit_share(points, shadow_map, radius, bias):
    """Share of light (P,) that reaches points (P, 3), given in the shadow map's pixels and depth: 0 dark, 1 lit.

    The mean of (2 radius + 1)^2 comparisons around the point, which softens the shadow's edge.
    """
    height, width = shadow_map.shape
    result = np.ones(len(points), dtype=np.float32)
    for p in range(len(points)):
        px, py = points[p, 0] - 0.5, points[p, 1] - 0.5
        x0, y0 = int(np.floor(px)), int(np.floor(py))
        fx, fy = px - x0, py - y0
        if x0 < radius or y0 < radius or x0 + radius + 1 >= width or y0 + radius + 1 >= height:
            continue
        total = np.float32(0)
        for dy in range(-radius, radius + 2):
            wy = 1 - fy if dy == -radius else (fy if dy == radius + 1 else 1.0)
            for dx in range(-radius, radius + 2):
                wx = 1 - fx if dx == -radius else (fx if dx == radius + 1 else 1.0)
                if points[p, 2] <= shadow_map[y0 + dy, x0 + dx] + bias:
                    total += wx * wy
        result[p] = total / (2 * radius + 1) ** 2
    return result


@numba.njit(cache=True)
def openness(depth, pixels_per_metre, radius):
    """How open every covered pixel is to its surroundings (P,), 0 to 1: creases between limbs darken.

    A fixed spiral of 24 samples within `radius` metres; a sample that lies in front of the pixel by less than the
    radius hides light (screen-space ambient occlusion).
    """
    height, width = depth.shape
    result = np.empty((depth < FAR).sum(), dtype=np.float32)
    reach = radius * pixels_per_metre
    p = 0
    for y in range(height):
        for x in range(width):
            if depth[y, x] >= FAR:
                continue
            hidden = np.float32(0)
            for s in range(24):
                distance = reach * (s + 1) / 24
                angle = 2.399963 * s  # the golden angle spreads the samples evenly
                sx, sy = int(x + distance * np.cos(angle)), int(y + distance * np.sin(angle))
                if 0 <= sx < width and 0 <= sy < height:
                    ahead = depth[y, x] - depth[sy, sx]
                    slope = ahead / (distance / pixels_per_metre)
                    if ahead < 2 * radius and slope > 0.6:
                        hidden += min(slope - 0.6, 1.0)
            result[p] = 1 - hidden / 24
            p += 1
    return result
