"""Curves of precision over recall: a line of blocks for a terminal, and SVG text without a plotting library. Pure."""

from collections.abc import Mapping, Sequence
from html import escape

_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*#@"
_COLUMNS = 50
_COLOURS = ("#0f6fde", "#dd7f1f", "#8f63c4", "#1a7f37", "#cf222e", "#1f2328")
_SIDE, _LEFT, _TOP, _LEGEND = 400, 60, 60, 150
_TICKS = 5
_STYLE = (
    "text{font-family:system-ui,sans-serif;fill:#1f2328;font-size:12px}.title{font-size:15px;font-weight:600}"
    ".end{text-anchor:end}.middle{text-anchor:middle}.grid{stroke:#e3e6ea}.curve{fill:none;stroke-width:2}"
)

Points = Sequence[tuple[float, float]]
"""(recall, precision), by rising recall."""


def line_of(points: Points, *, plain: bool = False) -> str:
    """Precision as the height of blocks, from recall 0 on the left to recall 1 on the right. ``plain``: ASCII alone."""
    blocks = _PLAIN if plain else _BLOCKS
    heights = [precision_at(points, (column + 1) / _COLUMNS) for column in range(_COLUMNS)]
    return "".join(blocks[round(height * (len(blocks) - 1))] for height in heights)


def precision_at(points: Points, recall: float) -> float:
    """The best precision at which at least this share is found: 0 where it is never found."""
    return max((precision for found, precision in points if found >= recall - 1e-9), default=0.0)


def svg_of(title: str, curves: Mapping[str, Points]) -> str:
    """A page with every curve, its axes from 0 to 1, and a legend. A white ground, whatever page it is put on."""
    width, height = _LEFT + _SIDE + _LEGEND, _TOP + _SIDE + 50
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    ground = f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>'
    body = [_text(_LEFT, 30, title, "title"), *_axes()]
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        y = _TOP + 14 + 20 * number
        body.append(f'<rect x="{_LEFT + _SIDE + 16}" y="{y - 9}" width="10" height="10" fill="{colour}"/>')
        body.append(_text(_LEFT + _SIDE + 32, y, name))
        path = " ".join(f"{_x(recall):.1f},{_y(precision):.1f}" for recall, precision in points)
        body.append(f'<polyline class="curve" stroke="{colour}" points="{path}"/>')
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *body, "</svg>", ""])


def _axes() -> list[str]:
    drawn = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        drawn += [
            f'<line class="grid" x1="{_x(0):.0f}" x2="{_x(1):.0f}" y1="{_y(share):.1f}" y2="{_y(share):.1f}"/>',
            f'<line class="grid" x1="{_x(share):.1f}" x2="{_x(share):.1f}" y1="{_y(0):.0f}" y2="{_y(1):.0f}"/>',
            _text(_LEFT - 8, _y(share) + 4, f"{share:.1f}", "end"),
            _text(_x(share), _y(0) + 18, f"{share:.1f}", "middle"),
        ]
    return [*drawn, _text(_x(0.5), _y(0) + 38, "recall", "middle"), _text(_LEFT - 40, _TOP - 10, "precision")]


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


def _text(x: float, y: float, words: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}>{escape(words)}</text>'
