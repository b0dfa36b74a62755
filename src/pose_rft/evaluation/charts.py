"""Small charts as inline SVG: they take their colours from the page's CSS, so they follow light and dark."""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 320, 150
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 26


def number(value: float) -> str:
    """Three significant digits without exponents for usual sizes: 0.864, 12.3, 118."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -3 or size > 5:
        return f"{value:.1e}"
    text = f"{value:.{max(0, 2 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def curve(name: str, points: Sequence[tuple[float, float]]) -> str:
    """One line over steps with its range on the axes; values that are not finite leave a gap.

    Args:
        name: read out by screen readers.
        points: (step, value), steps rising.
    """
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        return '<p class="quiet">no values</p>'
    steps, values = [step for step, _ in points], [value for _, value in finite]
    first, last = min(steps), max(max(steps), min(steps) + 1)
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or max(abs(high) * 0.05, 1e-6)
    bottom, top = low - margin, high + margin

    def place(step: float, value: float) -> tuple[float, float]:
        across = LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (top - value) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    pieces, pen = [], "M"
    for step, value in points:
        if math.isfinite(value):
            pieces.append(f"{pen}{place(step, value)[0]:.1f} {place(step, value)[1]:.1f}")
            pen = "L"
        else:
            pen = "M"
    end_x, end_y = place(*finite[-1])
    grid = "".join(
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{number(level)}</text>'
        for level, y in ((level, place(first, level)[1]) for level in sorted({low, high}))
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)} from {number(finite[0][1])}'
        f' to {number(values[-1])}">{grid}<path class="line" d="{" ".join(pieces)}"/>'
        f'<circle class="end" cx="{end_x:.1f}" cy="{end_y:.1f}" r="3.5"/>'
        f'<text class="tick" x="{LEFT}" y="{HEIGHT - 8}">step {number(first)}</text>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{number(max(steps))}</text></svg>'
    )


def share_bars(rows: Sequence[tuple[str, str, dict[str, Any]]]) -> str:
    """Shares of 1 as horizontal bars with their intervals.

    Args:
        rows: (label, CSS class of the bar, interval with mean, low and high).
    """
    bars = []
    for label, style, interval in rows:
        mean, low, high = (100 * interval[key] for key in ("mean", "low", "high"))
        bars.append(
            f'<div class="bar-row"><span class="bar-label">{escape(label)}</span>'
            f'<span class="track"><span class="bar {style}" style="width:{mean:.1f}%"></span>'
            f'<span class="whisker" style="left:{low:.1f}%;width:{high - low:.1f}%"></span></span>'
            f'<span class="bar-value">{mean:.0f}\u00a0%</span></div>'
        )
    return "\n".join(bars)
