"""Triton kernels of the strided convolution, its adjoint and their weight gradient: implicit matrix products.

A pair of images, small [batch, height, width, A] and large [batch, height, width, B], channels contiguous, is tied by
a weight [A, B, kernel, kernel]. Convolution maps large to small, transposed convolution small to large, and the weight
gradient takes both. Each output is a matrix product whose left factor, pixels by (taps x channels), is
gathered while it is multiplied and never stored.

A transposed convolution of stride s is s * s dense convolutions, one a phase of the output: output row s * y + phase
receives from input row y + offset - t the tap first + s * t, for each t below ceil or floor(kernel / s). No product
with a zero of a dilated image is ever formed.
"""

from __future__ import annotations

import triton
import triton.language as tl

from deepgen_fast.ops.triton_activation import activate
from deepgen_fast.ops.triton_channels import tile_moments

# An input row that exists in no image, and stays so when a tap is added: it masks the rows past the last pixel.
_OUTSIDE = tl.constexpr(-(2**30))


@triton.jit
def grouped_tile(index, row_tiles, col_tiles, GROUP: tl.constexpr):
    """(row tile, column tile) of a program: GROUP row tiles walk all column tiles together, so that programs which run
    at the same time share the rows and columns they read through the L2 cache."""
    per_group = GROUP * col_tiles
    first = index // per_group * GROUP
    size = tl.minimum(row_tiles - first, GROUP)
    within = index % per_group
    return first + within % size, within // size


@triton.jit
def multiply_add(left, right, total, PRECISION: tl.constexpr, WIDEN: tl.constexpr):
    """left @ right + total. WIDEN: bfloat16 through float32, which is exact; the interpreter, which keeps bfloat16 as
    bit patterns, would multiply those."""
    if WIDEN:
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, total, input_precision=PRECISION)


@triton.jit
def phase_taps(phase, KERNEL: tl.constexpr, STRIDE: tl.constexpr, PADDING: tl.constexpr, TRANSPOSED: tl.constexpr):
    """(first tap, number of taps, input offset of the first tap) along one axis."""
    if TRANSPOSED:
        first = (phase + PADDING) % STRIDE
        return first, (KERNEL - first + STRIDE - 1) // STRIDE, (phase + PADDING) // STRIDE
    else:
        return phase, phase + KERNEL, phase - PADDING


@triton.jit(
    do_not_specialize=[
        "batch", "input_height", "input_width", "output_height", "output_width", "phase_height",
        "phase_width", "input_units", "output_units", "row_tiles", "col_tiles",
    ]
)  # fmt: skip
def convolution_kernel(
    output_ptr,
    moments_ptr,
    count_ptr,
    input_ptr,
    weight_ptr,
    scale_ptr,
    shift_ptr,
    batch,
    input_height,
    input_width,
    output_height,
    output_width,
    phase_height,
    phase_width,
    input_units,
    output_units,
    row_tiles,
    col_tiles,
    TRANSPOSED: tl.constexpr,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    ACTIVATION: tl.constexpr,
    NEGATIVE_SLOPE: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    INPUT_UNIT: tl.constexpr,
    OUTPUT_UNIT: tl.constexpr,
    PACKED: tl.constexpr,
    FULL_INPUT: tl.constexpr,
    FULL_OUTPUT: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    GROUP: tl.constexpr,
    WIDE: tl.constexpr,
):
    """output = activation(convolution * scale + shift) for ROWS pixels of one phase by COLS channels.

    The weight is [output channel, kernel, kernel, input channel] in memory either way: the summed axis contiguous, as
    the matrix instructions for TF32 want it. The summed axis is (tap, input channel), DEPTH channels of one tap a step;
    PACKED steps run across taps, for images whose few channels would leave most of a step empty.
    """
    input_channels, output_channels = input_units * INPUT_UNIT, output_units * OUTPUT_UNIT
    PHASES: tl.constexpr = STRIDE if TRANSPOSED else 1
    INPUT_STRIDE: tl.constexpr = 1 if TRANSPOSED else STRIDE
    TAP_STRIDE: tl.constexpr = STRIDE if TRANSPOSED else 1

    # Phases are innermost: programs that run together read the same input.
    program = tl.program_id(0)
    phase = program % (PHASES * PHASES)
    row_tile, col_tile = grouped_tile(program // (PHASES * PHASES), row_tiles, col_tiles, GROUP)
    phase_y, phase_x = phase // PHASES, phase % PHASES
    first_y, taps_y, offset_y = phase_taps(phase_y, KERNEL, STRIDE, PADDING, TRANSPOSED)
    first_x, taps_x, offset_x = phase_taps(phase_x, KERNEL, STRIDE, PADDING, TRANSPOSED)

    if WIDE:
        row_tile, col_tile = row_tile.to(tl.int64), col_tile.to(tl.int64)
    pixel = row_tile * ROWS + tl.arange(0, ROWS)
    x = pixel % phase_width
    y = pixel // phase_width % phase_height
    image = pixel // (phase_width * phase_height)
    channel = col_tile * COLS + tl.arange(0, COLS)
    channel_exists = channel < output_channels
    input_y = tl.where(image < batch, y * INPUT_STRIDE + offset_y, _OUTSIDE)[:, None]
    input_x = (x * INPUT_STRIDE + offset_x)[:, None]
    source = ((image * input_height + y * INPUT_STRIDE + offset_y) * input_width)[:, None] + input_x

    total = tl.zeros([ROWS, COLS], tl.float32)
    taps = taps_y * taps_x
    blocks = tl.cdiv(input_channels, DEPTH)
    steps = tl.cdiv(taps * input_channels, DEPTH) if PACKED else taps * blocks
    for step in range(steps):
        if PACKED:
            summed = step * DEPTH + tl.arange(0, DEPTH)
            tap, depth = summed // input_channels, summed % input_channels
            depth_exists = tap < taps
        else:
            tap, depth = step // blocks, step % blocks * DEPTH + tl.arange(0, DEPTH)
            depth_exists = depth < input_channels
        if WIDE:
            depth = depth.to(tl.int64)
        tap_y, tap_x = tap // taps_x, tap % taps_x
        weight_tap = (first_y + tap_y * TAP_STRIDE) * KERNEL + first_x + tap_x * TAP_STRIDE
        step_y, step_x = (-tap_y, -tap_x) if TRANSPOSED else (tap_y, tap_x)
        shift = step_y * input_width + step_x
        if PACKED:
            step_y, step_x, shift, weight_tap = step_y[None, :], step_x[None, :], shift[None, :], weight_tap[:, None]
        from_y, from_x = input_y + step_y, input_x + step_x
        inside = (from_y >= 0) & (from_y < input_height) & (from_x >= 0) & (from_x < input_width)
        if not FULL_INPUT:
            inside = inside & depth_exists[None, :]
        left = tl.load(input_ptr + ((source + shift) * input_channels + depth[None, :]), mask=inside, other=0.0)

        place = (channel[None, :] * (KERNEL * KERNEL) + weight_tap) * input_channels + depth[:, None]
        if FULL_INPUT and FULL_OUTPUT:
            right = tl.load(weight_ptr + place)
        else:
            right = tl.load(weight_ptr + place, mask=depth_exists[:, None] & channel_exists[None, :], other=0.0)
        total = multiply_add(left, right, total, PRECISION, WIDEN)

    if scale_ptr is not None:
        total *= tl.load(scale_ptr + channel, mask=channel_exists, other=0.0).to(tl.float32)[None, :]
    if shift_ptr is not None:
        total += tl.load(shift_ptr + channel, mask=channel_exists, other=0.0).to(tl.float32)[None, :]
    value = activate(total, NEGATIVE_SLOPE, ACTIVATION).to(output_ptr.dtype.element_ty)
    output_y, output_x = y * PHASES + phase_y, x * PHASES + phase_x
    exists = (image < batch) & (output_y < output_height) & (output_x < output_width)
    target = ((image * output_height + output_y) * output_width + output_x)[:, None] * output_channels
    mask = exists[:, None] if FULL_OUTPUT else exists[:, None] & channel_exists[None, :]
    tl.store(output_ptr + (target + channel[None, :]), value, mask=mask)

    if moments_ptr is not None:
        # Of the values as they are stored: what a batch norm that reads them back would find.
        count, mean, deviations = tile_moments(value.to(tl.float32), exists)
        tile = row_tile * (PHASES * PHASES) + phase
        moments = moments_ptr + 2 * tile * output_channels + channel
        tl.store(moments, mean, mask=channel_exists)
        tl.store(moments + output_channels, deviations, mask=channel_exists)
        if col_tile == 0:
            tl.store(count_ptr + tile, count)


@triton.jit(
    do_not_specialize=[
        "pixels", "small_height", "small_width", "large_height", "large_width", "small_units", "large_units", "steps",
        "row_tiles", "col_tiles",
    ]
)  # fmt: skip
def weight_gradient_kernel(
    partial_ptr,
    small_ptr,
    large_ptr,
    pixels,
    small_height,
    small_width,
    large_height,
    large_width,
    small_units,
    large_units,
    steps,
    row_tiles,
    col_tiles,
    KERNEL: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    SMALL_UNIT: tl.constexpr,
    LARGE_UNIT: tl.constexpr,
    PACKED: tl.constexpr,
    FULL_SMALL: tl.constexpr,
    FULL_LARGE: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
    DEPTH: tl.constexpr,
    GROUP: tl.constexpr,
    WIDE: tl.constexpr,
):
    """partial [splits, A, kernel, kernel, B]: gradient of ROWS channels of small by COLS of large for one tap, summed
    over a split of the pixels of small, DEPTH a step. PACKED columns run across taps, as in convolution_kernel."""
    small_channels, large_channels = small_units * SMALL_UNIT, large_units * LARGE_UNIT
    TAPS: tl.constexpr = KERNEL * KERNEL

    # Taps are innermost: programs that run together read the same pixels.
    program, split = tl.program_id(0), tl.program_id(1)
    if PACKED:
        row_tile, col_tile = grouped_tile(program, row_tiles, col_tiles, GROUP)
        column = col_tile * COLS + tl.arange(0, COLS)
        tap, channel = column // large_channels, column % large_channels
        column_exists = tap < TAPS
    else:
        row_tile, col_tile = grouped_tile(program // TAPS, row_tiles, col_tiles, GROUP)
        tap, channel = program % TAPS, col_tile * COLS + tl.arange(0, COLS)
        column = tap * large_channels + channel
        column_exists = channel < large_channels
    if WIDE:
        split = split.to(tl.int64)
    tap_y, tap_x = tap // KERNEL - PADDING, tap % KERNEL - PADDING
    shift = tap_y * large_width + tap_x
    if PACKED:
        tap_y, tap_x, shift = tap_y[None, :], tap_x[None, :], shift[None, :]
    row = row_tile * ROWS + tl.arange(0, ROWS)
    row_exists = row < small_channels

    total = tl.zeros([ROWS, COLS], tl.float32)
    for step in range(steps):
        pixel = (split * steps + step) * DEPTH + tl.arange(0, DEPTH)
        pixel_exists = pixel < pixels
        x = pixel % small_width
        y = pixel // small_width % small_height
        image = pixel // (small_width * small_height)
        left_mask = pixel_exists[:, None] if FULL_SMALL else pixel_exists[:, None] & row_exists[None, :]
        left = tl.load(small_ptr + (pixel[:, None] * small_channels + row[None, :]), mask=left_mask, other=0.0)

        corner = ((image * large_height + y * STRIDE) * large_width + x * STRIDE)[:, None]
        from_y, from_x = (y * STRIDE)[:, None] + tap_y, (x * STRIDE)[:, None] + tap_x
        inside = (from_y >= 0) & (from_y < large_height) & (from_x >= 0) & (from_x < large_width)
        inside = inside & pixel_exists[:, None]
        if not FULL_LARGE:
            inside = inside & column_exists[None, :]
        place = (corner + shift) * large_channels + channel[None, :]
        right = tl.load(large_ptr + place, mask=inside, other=0.0)
        total = multiply_add(tl.trans(left), right, total, PRECISION, WIDEN)

    target = (split * small_channels + row)[:, None] * (TAPS * large_channels) + column[None, :]
    tl.store(partial_ptr + target, total, mask=row_exists[:, None] & column_exists[None, :])
