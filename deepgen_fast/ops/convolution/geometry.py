"""Kernel, stride and padding of a convolution, and the image sizes that they relate."""

from __future__ import annotations

from typing import NamedTuple

Pair = tuple[int, int]

# What the winograd-filtering engine serves: (kernel, stride, padding), the same along both axes.
ENGINE_GEOMETRIES = frozenset({(4, 2, 1), (3, 2, 1), (5, 2, 2), (3, 1, 1)})


class Geometry(NamedTuple):
    """Of both axes, (height, width).

    Output padding is not here: for a pair of a small and a large image it follows from their sizes.
    """

    kernel: Pair
    stride: Pair
    padding: Pair

    def small_size(self, large: Pair) -> Pair:
        """Size of ``conv2d``'s output."""
        height, width = (
            (size + 2 * p - k) // s + 1
            for size, k, s, p in zip(large, self.kernel, self.stride, self.padding, strict=True)
        )
        return height, width

    def large_size(self, small: Pair, output_padding: Pair) -> Pair:
        """Size of ``conv_transpose2d``'s output."""
        height, width = (
            (size - 1) * s - 2 * p + k + o
            for size, k, s, p, o in zip(small, self.kernel, self.stride, self.padding, output_padding, strict=True)
        )
        return height, width

    def output_padding(self, small: Pair, large: Pair) -> Pair:
        """The output padding with which ``conv_transpose2d`` maps the small size to the large one."""
        height, width = self.large_size(small, (0, 0))
        return large[0] - height, large[1] - width

    def engine_serves(self) -> bool:
        """Whether Winograd filtering is built for this geometry."""
        (k, k_w), (s, s_w), (p, p_w) = self
        return k == k_w and s == s_w and p == p_w and (k, s, p) in ENGINE_GEOMETRIES

    def __str__(self) -> str:
        def text(pair: Pair) -> str:
            return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"

        return f"kernel {text(self.kernel)}, stride {text(self.stride)}, padding {text(self.padding)}"


class Shapes(NamedTuple):
    """Sizes of the two images that a convolution relates."""

    batch: int
    small_channels: int
    large_channels: int
    small: Pair
    large: Pair

    def __str__(self) -> str:
        def image(channels: int, size: Pair) -> str:
            return f"[{self.batch}, {channels}, {size[0]}, {size[1]}]"

        return f"{image(self.small_channels, self.small)} and {image(self.large_channels, self.large)}"
