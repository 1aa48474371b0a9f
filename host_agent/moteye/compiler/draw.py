"""A drawing of the arena plan: which tensor stands where, and when."""

from dataclasses import dataclass

_PALETTE = ("#8dd3c7", "#ffffb3", "#bebada", "#fb8072", "#80b1d3", "#fdb462", "#b3de69", "#fccde5")
_NAME_WIDTH = 40
_WIDTH, _HEIGHT, _MARGIN = 1200, 640, 60


@dataclass(frozen=True)
class Placed:
    """Bytes [offset, offset + size) hold `name` from step `first` to step `last`, inclusive.

    Step 0 is the input's arrival, step n the n-th record, the last step the output's departure.
    """

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Drawing:
    """What a plan looks like: the arena's size, the records' names in order, the blocks."""

    arena_bytes: int
    steps: tuple[str, ...]
    blocks: tuple[Placed, ...]

    def text(self) -> str:
        """A table of the blocks, a line each, with their lives drawn as bars, and the peak."""
        steps = len(self.steps) + 2
        width = min(steps, 72)
        lines = [f"{'bytes from':>10} {'size':>9}  {'life'.ljust(width)}  tensor"]
        for block in sorted(self.blocks, key=lambda b: (b.first, b.offset)):
            begin = block.first * width // steps
            end = max(-(-(block.last + 1) * width // steps), begin + 1)
            bar = "·" * begin + "█" * (end - begin) + "·" * (width - end)
            lines.append(f"{block.offset:>10,} {block.size:>9,}  {bar}  {_short(block.name)}")
        live, step = self.peak()
        where = self.steps[step - 1] if 0 < step <= len(self.steps) else "the ends"
        lines.append(
            f"arena {self.arena_bytes:,} bytes; most in use at once: {live:,}, "
            f"at step {step} of {len(self.steps)} ({where})"
        )
        return "\n".join(lines)

    def peak(self) -> tuple[int, int]:
        """(most bytes in use at once, the first step where)."""
        sums = [
            sum(b.size for b in self.blocks if b.first <= step <= b.last)
            for step in range(len(self.steps) + 2)
        ]
        return max(sums), sums.index(max(sums))

    def svg(self) -> str:
        """The plan as a picture: steps to the right, bytes upwards."""
        across = _WIDTH / (len(self.steps) + 2)
        up = _HEIGHT / self.arena_bytes
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11" '
            f'viewBox="0 0 {_WIDTH + 2 * _MARGIN} {_HEIGHT + 2 * _MARGIN}">',
            f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_WIDTH}" height="{_HEIGHT}" '
            'fill="none" stroke="#888"/>',
            f'<text x="{_MARGIN}" y="{_MARGIN - 8}">arena {self.arena_bytes:,} bytes, '
            f"{len(self.steps)} records</text>",
        ]
        for i, block in enumerate(self.blocks):
            x = _MARGIN + block.first * across
            y = _MARGIN + _HEIGHT - (block.offset + block.size) * up
            wide, high = (block.last - block.first + 1) * across, block.size * up
            title = f"{block.name}: {block.size:,} bytes from {block.offset:,}"
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" '
                f'fill="{_PALETTE[i % len(_PALETTE)]}" stroke="#444">'
                f"<title>{_escaped(title)}</title></rect>"
            )
        return "\n".join([*parts, "</svg>", ""])


def _short(name: str) -> str:
    """Exporters join the names of what they fused: the first one says enough."""
    first = name.split(";")[0]
    return first if len(first) <= _NAME_WIDTH else f"…{first[1 - _NAME_WIDTH :]}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
