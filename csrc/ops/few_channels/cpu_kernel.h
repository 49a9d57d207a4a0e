// Convolutions between a small image of many channels and a large one of few: each is one product in cache, and what
// turns the large image's rows into a matrix or back. Included once per instruction set, see cpu/instruction_set.h.

#include "cpu/product.h"
#include "cpu/scratch.h"
#include "ops/few_channels/rows.h"

// Rows [begin, end) of the large image. Each pixel of the small one gives a row of all taps; an output pixel gathers
// the taps that fall on it, so that it is written once, and passes the epilogue on its way.
template <class T, int activation>
void transposed_rows(const FewChannelsArguments& a, int64_t image, int64_t begin, int64_t end) {
  typedef typename AccumulateOf<T>::type A;
  typedef Wide<T> V;
  const FewChannelsShape& s = a.shape;
  const int64_t reach = (s.kernel + s.stride - 1) / s.stride;  // small pixels an axis that meet a large one
  const int64_t columns = s.padded_taps(), group = s.stride * s.b;
  // A row of taps, with zeros where the small image has no pixel, for each small row that is still needed.
  const int64_t taps_row = (reach - 1 + s.w + reach) * columns + kLanes;
  Scratch<A> taps(reach * taps_row), line((s.large_w + s.padding + 2 * s.stride) * s.b + 2 * kLanes),
      plane(s.large_w + kLanes);
  PixelRows<T> small(a, image);
  const V slope((A)a.negative_slope);
  const A *scale = (const A*)a.scale, *shift = (const A*)a.shift;
  // The tap groups at most `group` numbers wide that make `stride` neighboring pixels; the last one may be narrower.
  const LaneMask<V> last_group((s.kernel - (reach - 1) * s.stride) * s.b);
  int64_t known = -1;  // small rows up to here have been multiplied
  for (int64_t y = begin; y < end; ++y) {
    const int64_t top = y + s.padding;
    const int64_t last = top / s.stride < s.h ? top / s.stride : s.h - 1;
    int64_t first = top < s.kernel ? 0 : (top - s.kernel) / s.stride + 1;
    for (int64_t row = first > known ? first : known + 1; row <= last; ++row) {
      A* place = &taps[row % reach * taps_row + (reach - 1) * columns];
      product(small.row(row), (const A*)a.taps_of_a, columns, s.w, columns / kLanes, s.a, false, place, columns);
      known = row;
    }
    // Pixel x takes tap kx of small pixel i where x + padding = i * stride + kx: `stride` pixels that start together.
    for (int64_t q = s.padding / s.stride; q * s.stride < s.large_w + s.padding; ++q) {
      for (int64_t v = 0; v < group; v += kLanes) {
        V sum(0.0f);
        for (int64_t row = first; row <= last; ++row) {
          const A* found =
              &taps[row % reach * taps_row + (reach - 1 + q) * columns + (top - row * s.stride) * s.kernel * s.b + v];
          for (int64_t j = 0; j < reach; ++j, found += group - columns) {
            const V tap = load<V>(found, Extent{kLanes});
            sum = sum + (j == reach - 1 ? last_group.keep(tap, v) : tap);
          }
        }
        store(sum, &line[q * group + v], Extent{kLanes});
      }
    }
    const int64_t length = s.large_w * s.b;
    A* numbers = &line[s.padding * s.b];
    auto epilogue = [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
      const V value = fma(load<V>(numbers + at, extent), load<V>(scale + at, extent), load<V>(shift + at, extent));
      return activate<activation>(value, slope);
    };
    if (a.large_channels_last) {
      T* to = (T*)a.output + (image * s.large_h + y) * length;
      each_column(0, length,
                  [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE { store(epilogue(at, extent), to + at, extent); });
    } else {
      each_column(0, length, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
        store(epilogue(at, extent), numbers + at, extent);
      });
      for (int64_t c = 0; c < s.b; ++c) {
        for (int64_t x = 0; x < s.large_w; ++x) plane[x] = numbers[x * s.b + c];
        convert_row(plane.data, s.large_w, (T*)a.output + ((image * s.b + c) * s.large_h + y) * s.large_w);
      }
    }
  }
}

// So many rows of a product pass the epilogue while they are in the first cache, and between products, so that writing
// the output and multiplying overlap.
constexpr int64_t kEpilogueRows = 32;

// Rows [begin, end) of the small image: its pixels' patches of the large one times the weights, channels along the
// lanes where the output has them innermost, else pixels along the lanes.
template <class T, int activation>
void convolution_rows(const FewChannelsArguments& a, int64_t image, int64_t begin, int64_t end) {
  typedef typename AccumulateOf<T>::type A;
  typedef Wide<T> V;
  const FewChannelsShape& s = a.shape;
  const int64_t rows_a_block = rows_of_block(s), pixels = rows_a_block * s.w, lanes = (pixels + 15) / 16 * 16;
  const int64_t width = s.padded_a(), columns = s.padded_taps();
  Patches<T> patches(a, rows_a_block, !a.small_channels_last);
  Scratch<A> matrix(a.small_channels_last ? pixels * columns + kLanes : s.taps() * lanes),
      sums(kEpilogueRows * (a.small_channels_last ? width : lanes));
  const V slope((A)a.negative_slope);
  const A *scale = (const A*)a.scale, *shift = (const A*)a.shift;
  for (int64_t y = begin; y < end; y += rows_a_block) {
    const int64_t rows = y + rows_a_block < end ? rows_a_block : end - y, count = rows * s.w;
    patches.read(image, y, rows);
    if (a.small_channels_last) {
      patches.to_pixels(rows, columns, matrix.data);
      T* output = (T*)a.output + (image * s.h + y) * s.w * s.a;
      for (int64_t first = 0; first < count; first += kEpilogueRows) {
        const int64_t here = first + kEpilogueRows < count ? kEpilogueRows : count - first;
        product(Left<A>{&matrix[first * columns], columns, 1}, (const A*)a.a_of_taps, width, here, width / kLanes,
                s.taps(), false, sums.data, width);
        for (int64_t pixel = 0; pixel < here; ++pixel) {
          T* to = output + (first + pixel) * s.a;
          const A* from = &sums[pixel * width];
          each_column(0, s.a, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
            const V value = fma(load<V>(from + at, extent), load<V>(scale + at, extent), load<V>(shift + at, extent));
            store(activate<activation>(value, slope), to + at, extent);
          });
        }
      }
    } else {
      patches.to_taps(rows, lanes, matrix.data);
      for (int64_t first = 0; first < s.a; first += kEpilogueRows) {
        const int64_t here = first + kEpilogueRows < s.a ? kEpilogueRows : s.a - first;
        product(Left<A>{(const A*)a.taps_of_a + first * columns, columns, 1}, matrix.data, lanes, here,
                (count + 15) / 16, s.taps(), false, sums.data, lanes);
        for (int64_t c = 0; c < here; ++c) {
          T* to = (T*)a.output + ((image * s.a + first + c) * s.h + y) * s.w;
          const A* from = &sums[c * lanes];
          const V factor(scale[first + c]), offset(shift[first + c]);
          each_column(0, count, [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE {
            store(activate<activation>(fma(load<V>(from + at, extent), factor, offset), slope), to + at, extent);
          });
        }
      }
    }
  }
}

// The product of small pixels and patches over a block of pixels, added up in the accumulation type for some blocks,
// then in double.
template <class T>
void weight_gradient_rows(const FewChannelsArguments& a, int64_t begin, int64_t end, double* sums) {
  typedef typename AccumulateOf<T>::type A;
  constexpr int kBlocksAtOnce = 16;
  const FewChannelsShape& s = a.shape;
  const int64_t columns = s.padded_taps(), rows_a_block = rows_of_block(s), pixels = rows_a_block * s.w;
  Patches<T> patches(a, rows_a_block, false);
  Scratch<A> matrix(pixels * columns + kLanes), staged(pixels * s.a), block(s.a * columns);
  int waiting = 0;
  auto flush = [&] {
    for (int64_t i = 0; i < s.a * columns; ++i) sums[i] += (double)block[i];
    waiting = 0;
  };
  for (int64_t row = begin; row < end;) {
    const int64_t image = row / s.h, y = row % s.h;
    int64_t rows = s.h - y < end - row ? s.h - y : end - row;
    if (rows > rows_a_block) rows = rows_a_block;
    patches.read(image, y, rows);
    patches.to_pixels(rows, columns, matrix.data);
    product(small_rows_of_channels<T>(a, image, y, rows, staged.data), matrix.data, columns, s.a, columns / kLanes,
            rows * s.w, waiting > 0, block.data, columns);
    if (++waiting == kBlocksAtOnce) flush();
    row += rows;
  }
  if (waiting) flush();
}

template <class T>
void pack_weights(const FewChannelsShape& s, const void* weight, void* taps_of_a, void* a_of_taps) {
  typedef typename AccumulateOf<T>::type A;
  const int64_t area = s.kernel * s.kernel, columns = s.padded_taps(), width = s.padded_a();
  Scratch<A> wide(s.taps());
  for (int64_t c = 0; c < s.a; ++c) {
    convert_row((const T*)weight + c * s.taps(), s.taps(), wide.data);
    for (int64_t b = 0; b < s.b; ++b)
      for (int64_t k = 0; k < area; ++k) {
        const int64_t tap = k * s.b + b;
        if (taps_of_a) ((A*)taps_of_a)[c * columns + tap] = wide[b * area + k];
        if (a_of_taps) ((A*)a_of_taps)[tap * width + c] = wide[b * area + k];
      }
  }
}

#define DGF_BY_ACTIVATION(body)                                        \
  switch (a.activation) {                                              \
    case kRelu: return body<T, kRelu>(a, image, begin, end);           \
    case kLeakyRelu: return body<T, kLeakyRelu>(a, image, begin, end); \
    case kTanh: return body<T, kTanh>(a, image, begin, end);           \
    case kSigmoid: return body<T, kSigmoid>(a, image, begin, end);     \
    default: return body<T, kNoActivation>(a, image, begin, end);      \
  }
template <class T>
void transposed_any(const FewChannelsArguments& a, int64_t image, int64_t begin, int64_t end) {
  DGF_BY_ACTIVATION(transposed_rows)
}
template <class T>
void convolution_any(const FewChannelsArguments& a, int64_t image, int64_t begin, int64_t end) {
  DGF_BY_ACTIVATION(convolution_rows)
}
#undef DGF_BY_ACTIVATION

static const FewChannelsKernels kTable = {
    DGF_SET_NAME,
    {transposed_any<float>, transposed_any<double>, transposed_any<BFloat16>, transposed_any<Half>},
    {convolution_any<float>, convolution_any<double>, convolution_any<BFloat16>, convolution_any<Half>},
    {weight_gradient_rows<float>, weight_gradient_rows<double>, weight_gradient_rows<BFloat16>,
     weight_gradient_rows<Half>},
    {pack_weights<float>, pack_weights<double>, pack_weights<BFloat16>, pack_weights<Half>},
};
