// Rows of the two images as operands of a product: in the accumulation type, padded, in either memory format.
// Included once per instruction set.

// Working memory of one call, zero at first.
template <class A>
struct Scratch {
  A* data;
  explicit Scratch(int64_t count) : data((A*)__builtin_calloc(count, sizeof(A))) {
    if (!data) __builtin_trap();
  }
  Scratch(const Scratch&) = delete;
  ~Scratch() { __builtin_free(data); }
  __attribute__((always_inline)) A& operator[](int64_t i) const { return data[i]; }
};

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

// How many rows of the small image one block takes: some tens of pixels, which with the weights fit the first cache.
static int64_t rows_of_block(const FewChannelsShape& s) {
  const int64_t wanted = 64 / s.w;
  return wanted < 1 ? 1 : wanted > s.h ? s.h : wanted;
}

// A row of the small image as a left matrix [pixel, channel].
template <class T, class A = typename AccumulateOf<T>::type>
Left<A> small_row_of_pixels(const FewChannelsArguments& a, int64_t image, int64_t y, A* staged) {
  const FewChannelsShape& s = a.shape;
  if (!a.small_channels_last) {
    for (int64_t c = 0; c < s.a; ++c)
      convert_row((const T*)a.small + ((image * s.a + c) * s.h + y) * s.w, s.w, staged + c * s.w);
    return {staged, 1, s.w};
  }
  const T* row = (const T*)a.small + (image * s.h + y) * s.w * s.a;
  if constexpr (kIsWide<T>) return {row, s.a, 1};
  convert_row(row, s.w * s.a, staged);
  return {staged, s.a, 1};
}

// Rows of the small image as a left matrix [channel, pixel].
template <class T, class A = typename AccumulateOf<T>::type>
Left<A> small_rows_of_channels(const FewChannelsArguments& a, int64_t image, int64_t y, int64_t rows, A* staged) {
  const FewChannelsShape& s = a.shape;
  const int64_t count = rows * s.w;
  if (a.small_channels_last) {
    const T* first = (const T*)a.small + (image * s.h + y) * s.w * s.a;
    if constexpr (kIsWide<T>) return {first, 1, s.a};
    convert_row(first, count * s.a, staged);
    return {staged, 1, s.a};
  }
  const T* first = (const T*)a.small + (image * s.a * s.h + y) * s.w;
  if constexpr (kIsWide<T>) return {first, s.h * s.w, 1};
  for (int64_t c = 0; c < s.a; ++c) convert_row(first + c * s.h * s.w, count, staged + c * count);
  return {staged, count, 1};
}

// The rows of the large image that some rows of the small one meet, channels innermost, with zeros around.
template <class T>
struct Patches {
  typedef typename AccumulateOf<T>::type A;
  const FewChannelsArguments& a;
  int64_t line;  // numbers in a padded row
  Scratch<A> rows, plane;

  Patches(const FewChannelsArguments& a_, int64_t most)
      : a(a_),
        line((a_.shape.large_w + 2 * a_.shape.padding + a_.shape.stride) * a_.shape.b),
        rows(((most - 1) * a_.shape.stride + a_.shape.kernel) * line + kLanes),
        plane(a_.shape.large_w + kLanes) {}

  // Those that small rows [y, y + count) meet.
  void read(int64_t image, int64_t y, int64_t count) {
    const FewChannelsShape& s = a.shape;
    const int64_t first = y * s.stride - s.padding, number = (count - 1) * s.stride + s.kernel;
    for (int64_t i = 0; i < number; ++i) {
      A* to = &rows[i * line + s.padding * s.b];
      const int64_t from = first + i;
      if (from < 0 || from >= s.large_h) {
        for (int64_t x = 0; x < s.large_w * s.b; ++x) to[x] = 0;
      } else if (a.large_channels_last) {
        convert_row((const T*)a.large + (image * s.large_h + from) * s.large_w * s.b, s.large_w * s.b, to);
      } else {
        for (int64_t c = 0; c < s.b; ++c) {
          convert_row((const T*)a.large + ((image * s.b + c) * s.large_h + from) * s.large_w, s.large_w, plane.data);
          for (int64_t x = 0; x < s.large_w; ++x) to[x * s.b + c] = plane[x];
        }
      }
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
          for (int64_t y = 0; y < count; ++y) {
            const A* from = &rows[(y * s.stride + ky) * line + kx * s.b + c];
            for (int64_t x = 0; x < s.w; ++x) to[y * s.w + x] = from[x * s.stride * s.b];
          }
  }
};
