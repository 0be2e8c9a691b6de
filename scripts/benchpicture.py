"""A dot plot of bench's results as SVG: one row a shape, CPU time an operation on a logarithmic axis."""
import html
import math

import benchlib as lib

COLOURS = {"berth": "#0b62a8", "berth --spin 0": "#5aa9e6", "berth file": "#0b8a6a", "tgt": "#c0392b",
           "tgt default": "#e59866", "limit": "#7f8c8d", "limit --run 256": "#bdc3c7"}
LEFT, ROW, WIDTH, TOP = 250, 22, 960, 58


def draw(path, facts, results):
    points = [(r["shape"], {n: lib.median([m["cpu_us"] for m in ms]) for n, ms in r["servers"].items()})
              for r in results]
    values = [v for _, row in points for v in row.values()]
    if not values:
        return
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)
    height = TOP + ROW * len(points) + 40

    def x(v):
        return LEFT + (math.log10(v) - low) / (high - low) * (WIDTH - LEFT - 30)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           '<text x="10" y="20" font-size="15">Server CPU time for each operation, microseconds</text>',
           f'<text x="10" y="{height - 10}" fill="#666">'
           + html.escape(f'{facts["commit"]}, {facts["cpu"]}, Linux {facts["kernel"]}, loopback, '
                         f'{facts["congestion"]}, medians of {facts["rounds"]} rounds') + '</text>']
    at = 10
    for name, colour in COLOURS.items():
        if any(name in row for _, row in points):
            out.append(f'<circle cx="{at + 5}" cy="38" r="5" fill="{colour}"/>'
                       f'<text x="{at + 14}" y="42">{html.escape(name)}</text>')
            at += 30 + 7 * len(name)
    for power in range(low, high + 1):
        for step in (1, 2, 5) if power < high else (1,):
            v = step * 10 ** power
            out.append(f'<line x1="{x(v):.1f}" y1="{TOP}" x2="{x(v):.1f}" y2="{height - 30}" stroke="#ddd"/>'
                       f'<text x="{x(v):.1f}" y="{TOP - 4}" text-anchor="middle" fill="#666">{v:g}</text>')
    for i, (shape, row) in enumerate(points):
        y = TOP + ROW * i + ROW / 2
        out.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(shape)}</text>'
                   f'<line x1="{x(min(row.values())):.1f}" y1="{y}" x2="{x(max(row.values())):.1f}" y2="{y}" stroke="#bbb"/>')
        for name, v in row.items():
            out.append(f'<circle cx="{x(v):.1f}" cy="{y}" r="5" fill="{COLOURS[name]}" fill-opacity="0.85">'
                       f'<title>{html.escape(name)}: {v:.2f} us</title></circle>')
    out.append('</svg>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")
