// Weight gradient of both convolutions by Winograd filtering: windows of the large image's phases and tiles of the small
// image are transformed, multiplied over all tiles, and the products turned into taps.
// Included once per instruction set, inside its namespace.

template <class T>
struct WeightWork {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type S;
  typedef RegisterTile<V> Register;
  static constexpr int64_t kRows = Register::kRows, kPanel = Register::kVectors * kLanes;
  static constexpr int64_t kLine = 64 / sizeof(S);
  static constexpr int64_t kProductStride = kRows * kPanel;

  const ConvolutionArguments& a;
  const ConvolutionShape& shape;
  const ConvolutionTask& task;
  const int64_t depth;  // tiles at once
  const int64_t small_begin, small_channels, large_begin, large_channels;
  const TileGrid grid;
  const RowGroups<V> groups;
  const int64_t panels, tile_row;
  const int64_t tile_stride, window_stride, sum_stride;  // between products
  S *tiles, *windows, *sums;
  const T* zeros;

  static int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

  // Over all phases: along an axis, each output and each tap but a phase's first is one.
  static int64_t all_products(const ConvolutionShape& shape) {
    const int64_t along = shape.stride * (kTile - 1) + shape.kernel;
    return along * along;
  }

  struct Layout {
    int64_t tiles, windows, sums, zeros;
    int64_t total() const { return tiles + windows + sums + zeros; }
    Layout(const ConvolutionShape& shape, const Blocks& blocks, int64_t small_channels, int64_t large_channels) {
      const int64_t most_taps = (shape.kernel + shape.stride - 1) / shape.stride;
      const int64_t products = (most_taps + kTile - 1) * (most_taps + kTile - 1);
      tiles = products * (blocks.depth * (round_up(small_channels, kLanes) + kLine) + kLine);
      windows = products * (blocks.depth * round_up(large_channels, kPanel) + kLine);
      sums = all_products(shape) * RowGroups<V>(small_channels).count * round_up(large_channels, kPanel) * kRows;
      const int64_t most = shape.small_channels > shape.large_channels ? shape.small_channels : shape.large_channels;
      zeros = round_up(most + kLanes, kLine);
    }
  };

  WeightWork(const ConvolutionArguments& arguments, const Blocks& blocks, const ConvolutionTask& task_)
      : a(arguments),
        shape(arguments.shape),
        task(task_),
        depth(blocks.depth),
        small_begin(task.row_begin),
        small_channels(task.row_end - task.row_begin),
        large_begin(task.column_begin),
        large_channels(task.column_end - task.column_begin),
        grid(small_grid(shape)),
        groups(small_channels),
        panels(round_up(large_channels, kPanel) / kPanel),
        tile_row(round_up(small_channels, kLanes) + kLine),
        tile_stride(depth * tile_row + kLine),
        window_stride(depth * panels * kPanel + kLine),
        sum_stride(groups.count * panels * kProductStride) {
    const Layout layout(shape, blocks, small_channels, large_channels);
    tiles = (S*)task.workspace;
    windows = tiles + layout.tiles;
    sums = windows + layout.windows;
    S* const nothing = sums + layout.sums;
    memset(nothing, 0, layout.zeros * sizeof(S));
    zeros = (const T*)nothing;
  }

  // Tiles of the small image: [product][tile][channel].
  template <int kY, int kX>
  void transform_tiles(int64_t first, int64_t count) {
    constexpr int kWindowX = kX + kTile - 1;
    const Image<T> image{(const T*)a.small, shape.small_height, shape.small_width, shape.small_channels, zeros};
    each_window<kTile, kTile>(
        image, grid, first, count, 1, 0, 0, [&](int64_t tile, const T* const* pixels, const T* const* next) {
          for (int64_t c = 0; c < small_channels; c += kLanes) {
            const Extent extent{smaller(kLanes, small_channels - c)};
            S* const to = tiles + tile * tile_row + c;
            expect_loads<kTile * kTile>(next, small_begin + c);
            expect_stores<(kY + kTile - 1) * kWindowX>(to + kLanes, tile_stride);
            tile_2d<kY, kX, V>(
                [&](int i, int j)
                    DGF_LAMBDA_INLINE { return load<V>(pixels[i * kTile + j] + small_begin + c, extent); },
                [&](int i, int j, const V& value)
                    DGF_LAMBDA_INLINE { store_vector(value, to + (i * kWindowX + j) * tile_stride); });
          }
        });
  }

  // Windows of a phase of the large image: [product][panel][tile][kPanel].
  template <int kY, int kX>
  void transform_windows(const Phase& y, const Phase& x, int64_t first, int64_t count) {
    constexpr int kWindowY = kY + kTile - 1, kWindowX = kX + kTile - 1;
    const Image<T> image{(const T*)a.large, shape.large_height, shape.large_width, shape.large_channels, zeros};
    each_window<kWindowY, kWindowX>(
        image, grid, first, count, shape.stride, shape.stride * y.offset + y.large_phase,
        shape.stride * x.offset + x.large_phase, [&](int64_t tile, const T* const* pixels, const T* const* next) {
          for (int64_t c = 0; c < panels * kPanel; c += kLanes) {
            const int lanes = smaller(kLanes, large_channels - c);
            S* const to = windows + c / kPanel * depth * kPanel + tile * kPanel + c % kPanel;
            if (lanes <= 0) {
              for (int product = 0; product < kWindowY * kWindowX; ++product)
                store_vector(V(0.0), to + product * window_stride);
              continue;
            }
            const Extent extent{lanes};
            expect_loads<kWindowY * kWindowX>(next, large_begin + c);
            expect_stores<kWindowY * kWindowX>(to + kPanel, window_stride);
            window_2d<kY, kX, V>(
                [&](int i, int j)
                    DGF_LAMBDA_INLINE { return load<V>(pixels[i * kWindowX + j] + large_begin + c, extent); },
                [&](int i, int j, const V& value)
                    DGF_LAMBDA_INLINE { store_vector(value, to + (i * kWindowX + j) * window_stride); });
          }
        });
  }

  // to[product][group][panel] (+)= tiles' * windows.
  template <bool kAdd>
  void multiply(int products, int64_t count, S* to) {
    const LeftOperand stride{1, tile_row};
    const MultiplyRows<S> whole = multiply_for<V, S, kAdd>(groups.rows);
    const MultiplyRows<S> last = multiply_for<V, S, kAdd>(groups.size(groups.count - 1, small_channels));
    for (int product = 0; product < products; ++product)
      for (int64_t group = 0; group < groups.count; ++group) {
        const MultiplyRows<S> run = group + 1 < groups.count ? whole : last;
        for (int64_t panel = 0; panel < panels; ++panel)
          run(tiles + product * tile_stride + group * groups.rows, stride,
              windows + product * window_stride + panel * depth * kPanel, count,
              to + product * sum_stride + (group * panels + panel) * kProductStride,
              windows + product * window_stride + (panel + 1) * depth * kPanel);
      }
  }

  // The taps of one phase, of one channel of the small image and 16 of the large one.
  template <int kY, int kX>
  void transform_sums(const Phase& y, const Phase& x, const S* from, V* taps) {
    constexpr int kWindowX = kX + kTile - 1;
    expect_loads<(kY + kTile - 1) * kWindowX>(from + 2 * kPanel, sum_stride);
    taps_2d<kY, kX, V>(
        [&](int i, int j) DGF_LAMBDA_INLINE {
          V product;
          load_vector(from + (i * kWindowX + j) * sum_stride, product);
          return product;
        },
        [&](int i, int j, const V& value) DGF_LAMBDA_INLINE {
          taps[(y.first + shape.stride * i) * shape.kernel + x.first + shape.stride * j] = value;
        });
  }

  // Calls body.template operator()<taps_y, taps_x>(phase_y, phase_x, its sums) for each phase.
  template <class F>
  void each_phase(F body) {
    S* of_phase = sums;
    for (int y = 0; y < shape.stride; ++y)
      for (int x = 0; x < shape.stride; ++x) {
        const Phase of_y = phase_of(shape, y), of_x = phase_of(shape, x);
        with_taps(of_y.taps, of_x.taps, [&]<int kY, int kX>() {
          body.template operator()<kY, kX>(of_y, of_x, of_phase);
          of_phase += (kY + kTile - 1) * (kX + kTile - 1) * sum_stride;
        });
      }
  }

  // All phases of some tiles before the next tiles: their pixels are in the cache then, and phases with as many taps
  // share the transformed tiles of the small image.
  void run() {
    const int64_t total = shape.batch * grid.rows * grid.columns;
    for (int64_t first = 0; first < total; first += depth) {
      const int64_t count = smaller(depth, total - first);
      int transformed = 0;
      each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x, S* of_phase) {
        if (transformed != kY * 4 + kX) transform_tiles<kY, kX>(first, count);
        transformed = kY * 4 + kX;
        transform_windows<kY, kX>(y, x, first, count);
        constexpr int kProducts = (kY + kTile - 1) * (kX + kTile - 1);
        if (first)
          multiply<true>(kProducts, count, of_phase);
        else
          multiply<false>(kProducts, count, of_phase);
      });
    }
    const int64_t taps = shape.kernel * shape.kernel;
    // In the order in which the sums lie in memory: panel by panel, row by row.
    for (int64_t panel = 0; panel < large_channels; panel += kPanel)
      for (int64_t i = 0; i < small_channels * Register::kVectors; ++i) {
        const int64_t row = i / Register::kVectors, c = panel + i % Register::kVectors * kLanes;
        if (c >= large_channels) continue;
        const int64_t at =
            (row / groups.rows * panels + panel / kPanel) * kProductStride + row % groups.rows * kPanel + c - panel;
        V found[kMaxStride * kMaxTaps * kMaxStride * kMaxTaps];
        each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x, const S* of_phase) {
          transform_sums<kY, kX>(y, x, of_phase + at, found);
        });
        T* const to = (T*)a.output + ((small_begin + row) * shape.large_channels + large_begin + c) * taps;
        store_kernels(found, taps, to, smaller(kLanes, large_channels - c));
      }
  }

  static int64_t workspace(const ConvolutionShape& shape, const Blocks& blocks, int64_t rows, int64_t columns) {
    return Layout(shape, blocks, rows, columns).total() * sizeof(S);
  }
};

template <class T>
static void conv2d_weight_gradient_task(const ConvolutionArguments& a, const Blocks& blocks,
                                        const ConvolutionTask& task) {
  WeightWork<T>(a, blocks, task).run();
}
