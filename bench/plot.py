"""Plots as SVG text, without a plotting library: panels of horizontal bars, and curves of latency by percentile.

Pure: values in, SVG out. A white background and fixed colours, so that a page in light or dark shows the same picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {
    "direct": "#b6bcc4",
    "nginx": "#6b7480",
    "tollhouse": "#0f6fde",
    "tollhouse, everything on": "#0b4da0",
    "tollhouse, safety on": "#08356e",
    "tollhouse, interpreted": "#9db8d9",
    "portkey": "#8f63c4",
    "litellm": "#dd7f1f",
}
NAMES = {
    "direct": "no gateway",
    "nginx": "nginx proxy_pass",
    "tollhouse": "Tollhouse",
    "tollhouse, everything on": "Tollhouse, everything on",
    "tollhouse, safety on": "Tollhouse, safety on too",
    "tollhouse, interpreted": "Tollhouse, interpreted",
    "portkey": "Portkey gateway",
    "litellm": "LiteLLM proxy",
}

_WIDTH = 760
_MARGIN = 24
_LABEL_WIDTH = 150
_BAR_HEIGHT, _BAR_STEP = 20, 30
_VALUE_WIDTH = 110
_STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2328;font-size:13px}"
    ".title{font-size:16px;font-weight:600}.small{font-size:12px;fill:#59636e}.end{text-anchor:end}"
    ".middle{text-anchor:middle}.grid{stroke:#e3e6ea;stroke-width:1}"
    ".curve{fill:none;stroke-width:2.5;stroke-linejoin:round}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One gateway's value, and the text that says it."""

    gateway: str
    value: float
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars that share one scale, which begins at zero."""

    title: str
    bars: Sequence[Bar]


def _text(x: float, y: float, words: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}>{escape(words)}</text>'


def _page(height: float, title: str, note: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(title)}">'
    )
    ground = f'<rect width="{_WIDTH}" height="{height:.0f}" rx="8" fill="#ffffff"/>'
    words = [_text(_MARGIN, 34, title, "title"), _text(_MARGIN, 54, note, "small")]
    return "\n".join([head, f"<style>{_STYLE}</style>", ground, *words, *body, "</svg>", ""])


def bars(title: str, note: str, panels: Sequence[Panel]) -> str:
    """Panels of horizontal bars below each other, each with a scale of its own."""
    body: list[str] = []
    y = 78.0
    for panel in panels:
        if panel.title:
            body.append(_text(_MARGIN, y + 8, panel.title))
            y += 22
        body += _panel(panel, y)
        y += len(panel.bars) * _BAR_STEP + 14
    return _page(y + 4, title, note, body)


def _panel(panel: Panel, top: float) -> list[str]:
    left = _MARGIN + _LABEL_WIDTH
    scale = (_WIDTH - left - _VALUE_WIDTH - _MARGIN) / max(1e-9, *(bar.value for bar in panel.bars))
    made = []
    for index, bar in enumerate(panel.bars):
        y = top + index * _BAR_STEP
        width = max(2.0, bar.value * scale)
        made.append(_text(left - 12, y + 15, NAMES[bar.gateway], "end"))
        size = f'width="{width:.1f}" height="{_BAR_HEIGHT}"'
        made.append(f'<rect x="{left}" y="{y:.1f}" {size} rx="3" fill="{COLOURS[bar.gateway]}"/>')
        made.append(_text(left + width + 8, y + 15, bar.text))
    return made


_PLOT = {"left": 84.0, "right": 590.0, "top": 84.0, "bottom": 330.0}


def curves(title: str, note: str, lines: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> str:
    """One curve per gateway: value over percentile, percentiles spaced evenly so that the tail can be read."""
    shares = [share for share, _ in next(iter(lines.values()))]
    top = _round_up(max(value for line in lines.values() for _, value in line))
    step = (_PLOT["right"] - _PLOT["left"]) / max(1, len(shares) - 1)
    rise = (_PLOT["bottom"] - _PLOT["top"]) / top
    body = _grid(top, rise, unit)
    for index, share in enumerate(shares):
        body.append(_text(_PLOT["left"] + index * step, _PLOT["bottom"] + 20, f"p{share:g}", "small middle"))
    ends: list[float] = []
    for gateway, line in sorted(lines.items(), key=lambda item: -item[1][-1][1]):
        heights = [_PLOT["bottom"] - value * rise for _, value in line]
        points = [(_PLOT["left"] + index * step, y) for index, y in enumerate(heights)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = COLOURS[gateway]
        body.append(f'<polyline class="curve" points="{path}" stroke="{colour}"/>')
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        # Labels stand at the ends of their curves, pushed apart where curves meet.
        ends.append(max(points[-1][1], ends[-1] + 17) if ends else points[-1][1])
        body.append(_text(_PLOT["right"] + 12, ends[-1] + 4, NAMES[gateway]))
    return _page(_PLOT["bottom"] + 44, title, note, body)


def _grid(top: float, rise: float, unit: str) -> list[str]:
    made = []
    for part in range(5):
        value = top * part / 4
        y = _PLOT["bottom"] - value * rise
        made.append(f'<line class="grid" x1="{_PLOT["left"]}" x2="{_PLOT["right"]}" y1="{y:.1f}" y2="{y:.1f}"/>')
        made.append(_text(_PLOT["left"] - 10, y + 4, f"{value:g} {unit}", "small end"))
    return made


def _round_up(value: float) -> float:
    """The next value above that divides into four plain numbers."""
    size = 10.0 ** len(str(int(value))) / 10 if value >= 1 else 0.1
    return next(size * factor for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10, 12) if size * factor >= value)
