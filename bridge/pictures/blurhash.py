"""Blurhashes: a picture in some thirty characters, to be shown blurred until it is loaded. Pure.

The algorithm is public: https://github.com/woltapp/blurhash/blob/master/Algorithm.md
"""

from collections.abc import Sequence
from math import copysign, cos, pi, sqrt

Color = tuple[float, float, float]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def blurhash(pixels: Sequence[tuple[int, int, int]], width: int) -> str:
    """Return the hash of sRGB pixels, row by row; a few hundred of them are enough, more only cost time."""
    height = len(pixels) // width
    across, down = (4, 3) if width >= height else (3, 4)
    waves = _waves(pixels, width, height, across, down)
    average, details = waves[0], waves[1:]
    loudest = max(abs(part) for color in details for part in color)
    steps = min(max(int(loudest * 166 - 0.5), 0), 82)
    scale = (steps + 1) / 166
    return "".join(
        (
            _base83(across - 1 + (down - 1) * 9, 1),
            _base83(steps, 1),
            _base83(_packed_average(average), 4),
            *(_base83(_packed_detail(color, scale), 2) for color in details),
        )
    )


def _waves(
    pixels: Sequence[tuple[int, int, int]], width: int, height: int, across: int, down: int
) -> list[Color]:
    """Return how much of each cosine wave is in the picture, in linear light: the average, then details."""
    light = [_to_linear(value) for value in range(256)]
    linear = [(light[red], light[green], light[blue]) for red, green, blue in pixels]
    columns = [[cos(pi * wave * x / width) for x in range(width)] for wave in range(across)]
    rows = [[cos(pi * wave * y / height) for y in range(height)] for wave in range(down)]
    waves: list[Color] = []
    for row in rows:
        for column in columns:
            weights = [vertical * horizontal for vertical in row for horizontal in column]
            share = (2 if waves else 1) / (width * height)
            red, green, blue = (
                share * sum(weight * color[part] for weight, color in zip(weights, linear, strict=True))
                for part in range(3)
            )
            waves.append((red, green, blue))
    return waves


def _packed_average(color: Color) -> int:
    red, green, blue = (_to_srgb(part) for part in color)
    return (red << 16) + (green << 8) + blue


def _packed_detail(color: Color, scale: float) -> int:
    """Write a detail as three digits of base 19; small differences get more room than large ones."""
    packed = 0
    for part in color:
        root = copysign(sqrt(abs(part) / scale), part)
        packed = packed * 19 + min(max(int(root * 9 + 9.5), 0), 18)
    return packed


def _base83(number: int, length: int) -> str:
    return "".join(_DIGITS[number // 83**place % 83] for place in reversed(range(length)))


def _to_linear(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _to_srgb(light: float) -> int:
    light = min(max(light, 0.0), 1.0)
    share = light * 12.92 if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return int(share * 255 + 0.5)
