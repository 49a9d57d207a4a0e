// Rows of the two images as operands of a product: in the accumulation type, padded, in either memory format.
// Included once per instruction set.

DGF_INLINE Extent lanes_left(int64_t count) { return {(int)(count < 0 ? 0 : count < kLanes ? count : kLanes)}; }

// Keeps the first lanes of a group of numbers and clears the others: what the product left there is another tap's.
template <class V>
struct LaneMask;
template <>
struct LaneMask<Floats> {
  int64_t count;
  Words bits_of_first;
  explicit LaneMask(int64_t count_) : count(count_) {
    uint32_t lane[kLanes];
    for (int i = 0; i < kLanes; ++i) lane[i] = i < count_ ? 0xffffffffu : 0u;
    memcpy(&bits_of_first, lane, sizeof lane);
  }
  // x holds numbers [from, from + 16) of the group.
  __attribute__((always_inline)) Floats keep(const Floats& x, int64_t from) const {
    return from == 0 ? from_bits(bits(x) & bits_of_first) : DGF_SET::keep(x, lanes_left(count - from));
  }
};
template <>
struct LaneMask<Doubles> {
  int64_t count;
  explicit LaneMask(int64_t count_) : count(count_) {}
  Doubles keep(const Doubles& x, int64_t from) const { return DGF_SET::keep(x, lanes_left(count - from)); }
};

template <class T, class To>
DGF_INLINE void convert_row(const T* from, int64_t count, To* to) {
  typedef Wide<T> V;
  each_column(0, count,
              [&](int64_t at, Extent extent) DGF_LAMBDA_INLINE { store(load<V>(from + at, extent), to + at, extent); });
}

// Whether an element type is what products are computed in, so that memory can be read as it lies.
template <class T>
constexpr bool kIsWide = sizeof(T) == sizeof(typename AccumulateOf<T>::type);

// How many rows of the small image have about so many pixels.
static int64_t rows_of(const FewChannelsShape& s, int64_t pixels) {
  const int64_t wanted = pixels / s.w;
  return wanted < 1 ? 1 : wanted > s.h ? s.h : wanted;
}
// Rows of one block: its patches, with the weights, fit the first cache.
static int64_t rows_of_block(const FewChannelsShape& s) { return rows_of(s, 64); }

// Asks for memory that is read soon, into the second cache.
template <class T>
DGF_INLINE void prefetch(const T* from, int64_t count) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i, 0, 2);
}

// Rows of the small image, one after the other, as left matrices [pixel, channel]. Contiguous images are copied some
// rows at a time: their planes are pages apart, and each visit should fetch more than a line.
template <class T>
struct PixelRows {
  typedef typename AccumulateOf<T>::type A;
  const FewChannelsArguments& a;
  int64_t image, at_once, first, end;  // rows [first, end) are staged
  Scratch<A> staged;

  PixelRows(const FewChannelsArguments& a_, int64_t image_)
      : a(a_),
        image(image_),
        at_once(a_.small_channels_last ? 1 : rows_of(a_.shape, 128)),
        first(0),
        end(0),
        staged(a_.small_channels_last && kIsWide<T> ? 1 : at_once * a_.shape.w * a_.shape.a) {}

  Left<A> row(int64_t y) {
    const FewChannelsShape& s = a.shape;
    if (a.small_channels_last) {
      const T* from = (const T*)a.small + (image * s.h + y) * s.w * s.a;
      if (y + 1 < s.h) prefetch(from + s.w * s.a, s.w * s.a);
      if constexpr (kIsWide<T>) return {from, s.a, 1};
      convert_row(from, s.w * s.a, staged.data);
      return {staged.data, s.a, 1};
    }
    if (y < first || y >= end) {
      first = y;
      end = y + at_once < s.h ? y + at_once : s.h;
      for (int64_t c = 0; c < s.a; ++c)
        convert_row((const T*)a.small + ((image * s.a + c) * s.h + y) * s.w, (end - first) * s.w,
                    &staged[c * at_once * s.w]);
    }
    return {&staged[(y - first) * s.w], 1, at_once * s.w};
  }
};

// Rows of the small image as a left matrix [channel, pixel].
template <class T, class A = typename AccumulateOf<T>::type>
Left<A> small_rows_of_channels(const FewChannelsArguments& a, int64_t image, int64_t y, int64_t rows, A* staged) {
  const FewChannelsShape& s = a.shape;
  const int64_t count = rows * s.w;
  if (a.small_channels_last) {
    const T* first = (const T*)a.small + (image * s.h + y) * s.w * s.a;
    if (y + 2 * rows <= s.h) prefetch(first + count * s.a, count * s.a);
    if constexpr (kIsWide<T>) return {first, 1, s.a};
    convert_row(first, count * s.a, staged);
    return {staged, 1, s.a};
  }
  const T* first = (const T*)a.small + (image * s.a * s.h + y) * s.w;
  if constexpr (kIsWide<T>) return {first, s.h * s.w, 1};
  for (int64_t c = 0; c < s.a; ++c) convert_row(first + c * s.h * s.w, count, staged + c * count);
  return {staged, count, 1};
}

// The rows of the large image that some rows of the small one meet, with zeros around: channels innermost, or, for
// to_taps, each channel by itself and in it the numbers that are `stride` apart together.
template <class T>
struct Patches {
  typedef typename AccumulateOf<T>::type A;
  const FewChannelsArguments& a;
  bool by_channel;
  int64_t phase, line;  // numbers of a channel that are `stride` apart; numbers in a padded row
  Scratch<A> rows, plane;

  Patches(const FewChannelsArguments& a_, int64_t most, bool by_channel_)
      : a(a_),
        by_channel(by_channel_),
        phase((a_.shape.large_w + 2 * a_.shape.padding) / a_.shape.stride + 1),
        line(phase * a_.shape.stride * a_.shape.b),
        rows(((most - 1) * a_.shape.stride + a_.shape.kernel) * line + kLanes),
        plane(a_.shape.large_w + kLanes) {}

  // Those that small rows [y, y + count) meet.
  void read(int64_t image, int64_t y, int64_t count) {
    const FewChannelsShape& s = a.shape;
    const int64_t first = y * s.stride - s.padding, number = (count - 1) * s.stride + s.kernel;
    for (int64_t i = 0; i < number; ++i) {
      A* to = &rows[i * line];
      const int64_t from = first + i;
      if (from < 0 || from >= s.large_h) {
        for (int64_t x = 0; x < line; ++x) to[x] = 0;
      } else if (a.large_channels_last) {
        convert_row((const T*)a.large + (image * s.large_h + from) * s.large_w * s.b, s.large_w * s.b,
                    to + s.padding * s.b);
      } else {
        for (int64_t c = 0; c < s.b; ++c) {
          convert_row((const T*)a.large + ((image * s.b + c) * s.large_h + from) * s.large_w, s.large_w, plane.data);
          if (by_channel)
            split(to + c * phase * s.stride);
          else
            for (int64_t x = 0; x < s.large_w; ++x) to[(x + s.padding) * s.b + c] = plane[x];
        }
      }
    }
  }

  // Number x of the padded row goes to place x / stride of part x % stride.
  void split(A* to) const {
    const FewChannelsShape& s = a.shape;
    for (int64_t part = 0; part < s.stride; ++part) {
      int64_t x = part - s.padding;
      A* place = to + part * phase;
      for (; x < 0; x += s.stride) ++place;
      for (; x < s.large_w; x += s.stride) *place++ = plane[x];
    }
  }

  // [pixel][ky, kx, b]: a run of kernel * b numbers from each of `kernel` rows. Vectors may reach past a run's end: the
  // next run, or pixel, overwrites that.
  void to_pixels(int64_t count, int64_t columns, A* to) const {
    typedef Wide<T> V;
    const FewChannelsShape& s = a.shape;
    const int64_t run = s.kernel * s.b;
    for (int64_t y = 0; y < count; ++y)
      for (int64_t x = 0; x < s.w; ++x, to += columns) {
        const A* from = &rows[y * s.stride * line + x * s.stride * s.b];
        for (int64_t ky = 0; ky < s.kernel; ++ky)
          for (int64_t v = 0; v < run; v += kLanes)
            store(load<V>(from + ky * line + v, Extent{kLanes}), to + ky * run + v, Extent{kLanes});
        for (int64_t i = s.taps(); i < columns; ++i) to[i] = 0;
      }
  }

  // [ky, kx, b][pixel]
  void to_taps(int64_t count, int64_t lanes, A* to) const {
    const FewChannelsShape& s = a.shape;
    for (int64_t ky = 0; ky < s.kernel; ++ky)
      for (int64_t kx = 0; kx < s.kernel; ++kx)
        for (int64_t c = 0; c < s.b; ++c, to += lanes)
          for (int64_t y = 0; y < count; ++y)
            convert_row(&rows[(y * s.stride + ky) * line + (c * s.stride + kx % s.stride) * phase + kx / s.stride], s.w,
                        to + y * s.w);
  }
};
