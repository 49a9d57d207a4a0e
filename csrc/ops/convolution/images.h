// Transposed convolution and convolution by Winograd filtering: windows of the input and taps of the weight are
// transformed in blocks that stay in the cache, multiplied there, and each output pixel is written once.
//
// A transposed convolution makes each phase of the large image by a correlation of the small one. A convolution adds up
// correlations of the large image's phases: those with as many taps add up before the output transform.
// Included once per instruction set, inside its namespace.

template <class T>
struct ImageWork {
  typedef Wide<T> V;
  typedef typename AccumulateOf<T>::type S;
  typedef RegisterTile<V> Register;
  static constexpr int64_t kRows = Register::kRows, kPanel = Register::kVectors * kLanes;
  // A line between planes of products: without it their addresses would fall into the same few cache sets.
  static constexpr int64_t kLine = 64 / sizeof(S);
  static constexpr int64_t kProductStride = kRows * kPanel + kLine;

  const ConvolutionArguments& a;
  const ConvolutionShape& shape;
  const Blocks& blocks;
  const ConvolutionTask& task;
  const bool transposed;
  const int64_t in_channels, out_channels, tiles;
  const TileGrid grid;
  const RowGroups<V> groups;
  const int64_t window_stride;  // between the products of one group's windows
  int64_t weight_stride;        // between the products of one block's weights
  int products;                 // of the phase at hand
  S *windows, *weights, *sums, *outputs;
  const T* zeros;

  static int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
  static int64_t square(int64_t x) { return x * x; }

  // The parts of the workspace, in elements of S, a multiple of a line each.
  struct Layout {
    int64_t windows, weights, sums, outputs, zeros;
    int64_t total() const { return windows + weights + sums + outputs + zeros; }
    Layout(const ConvolutionShape& shape, const Blocks& blocks, int64_t tiles, int64_t inputs, int64_t outputs_,
           bool transposed) {
      const int64_t most_taps = (shape.kernel + shape.stride - 1) / shape.stride;
      const int64_t products = square(most_taps + kTile - 1);
      const int64_t groups = RowGroups<V>(tiles).count;
      const int64_t kept_inputs = smaller(blocks.inputs, round_up(inputs, blocks.depth));
      const int64_t kept_outputs = smaller(blocks.outputs, round_up(outputs_, kPanel));
      const int64_t kept_columns = smaller(blocks.columns, kept_outputs);
      windows = kept_inputs / blocks.depth * groups * products * (kRows * blocks.depth + kLine);
      weights = products * (kept_columns * blocks.depth + kLine);
      const int64_t all_products = square(shape.stride * (kTile - 1) + shape.kernel);
      sums = kept_outputs / kPanel * groups * (blocks.phases_together ? all_products : products) * kProductStride;
      const bool several = !transposed && shape.kernel % shape.stride;
      outputs = several ? round_up(tiles * kTile * kTile * kept_outputs, kLine) : 0;
      zeros = round_up(inputs + kLanes, kLine);
    }
  };

  ImageWork(const ConvolutionArguments& arguments, const Blocks& blocks_, const ConvolutionTask& task_,
            bool transposed_)
      : a(arguments),
        shape(arguments.shape),
        blocks(blocks_),
        task(task_),
        transposed(transposed_),
        in_channels(transposed ? shape.small_channels : shape.large_channels),
        out_channels(transposed ? shape.large_channels : shape.small_channels),
        tiles(task.row_end - task.row_begin),
        grid(transposed ? large_grid(shape) : small_grid(shape)),
        groups(tiles),
        window_stride(kRows * blocks.depth + kLine) {
    const Layout layout(shape, blocks, tiles, in_channels, task.column_end - task.column_begin, transposed);
    windows = (S*)task.workspace;
    weights = windows + layout.windows;
    sums = weights + layout.weights;
    outputs = sums + layout.sums;
    S* const nothing = outputs + layout.outputs;
    memset(nothing, 0, (in_channels + kLanes) * sizeof(S));
    zeros = (const T*)nothing;
  }

  int64_t width_of(int64_t begin, int64_t end, int64_t most) const { return smaller(end - begin, most); }

  // Windows of a phase, of channels [begin, end): [block of depth][group][product][row][depth].
  template <int kY, int kX>
  void transform_windows(const Phase& y, const Phase& x, int64_t begin, int64_t end) {
    constexpr int kWindowY = kY + kTile - 1, kWindowX = kX + kTile - 1;
    const Image<T> image = transposed
                               ? Image<T>{(const T*)a.small, shape.small_height, shape.small_width, in_channels, zeros}
                               : Image<T>{(const T*)a.large, shape.large_height, shape.large_width, in_channels, zeros};
    const int step = transposed ? 1 : shape.stride;
    const int64_t top = transposed ? -y.offset - (kY - 1) : step * y.offset + y.large_phase;
    const int64_t left = transposed ? -x.offset - (kX - 1) : step * x.offset + x.large_phase;
    const int64_t block_stride = groups.count * products * window_stride;
    each_window<kWindowY, kWindowX>(
        image, grid, task.row_begin, tiles, step, top, left,
        [&](int64_t tile, const T* const* pixels, const T* const* next) {
          S* const row = windows + tile / groups.rows * products * window_stride + tile % groups.rows * blocks.depth;
          for (int64_t c = begin; c < end; c += kLanes) {
            const Extent extent{smaller(kLanes, end - c)};
            S* const to = row + (c - begin) / blocks.depth * block_stride + (c - begin) % blocks.depth;
            expect_loads<kWindowY * kWindowX>(next, c);
            expect_stores<kWindowY * kWindowX>(to + kLanes, window_stride);
            window_2d<kY, kX, V>(
                [&](int i, int j) DGF_LAMBDA_INLINE { return load<V>(pixels[i * kWindowX + j] + c, extent); },
                [&](int i, int j, const V& value)
                    DGF_LAMBDA_INLINE { store_vector(value, to + (i * kWindowX + j) * window_stride); });
          }
        });
  }

  // Weights of a phase, input channels [begin, begin + depth) by output channels [first, first + columns), those past
  // the last zero: [product][panel][depth][kPanel].
  template <int kY, int kX>
  void transform_weights(const Phase& y, const Phase& x, int64_t begin, int64_t depth, int64_t first, int64_t columns) {
    constexpr int kWindowX = kX + kTile - 1;
    const int64_t taps = shape.kernel * shape.kernel;
    const int64_t in_stride = transposed ? shape.large_channels * taps : taps;
    const int64_t out_stride = transposed ? taps : shape.large_channels * taps;
    const auto transform = [&](int64_t k, int64_t column) DGF_LAMBDA_INLINE {
      const int lanes = smaller(kLanes, task.column_end - first - column);
      S* const to = weights + column / kPanel * kPanel * blocks.depth + k * kPanel + column % kPanel;
      expect_stores<(kY + kTile - 1) * kWindowX>(to + kPanel, weight_stride);
      V tap[kY][kX];
      load_taps<kY, kX, V>((const T*)a.weight + (begin + k) * in_stride + (first + column) * out_stride, out_stride,
                           lanes > 0 ? lanes : 0, y.first * shape.kernel + x.first, shape.kernel, shape.stride,
                           transposed, tap);
      weight_2d<kY, kX, V>([&](int i, int j) DGF_LAMBDA_INLINE { return tap[i][j]; },
                           [&](int i, int j, const V& value)
                               DGF_LAMBDA_INLINE { store_vector(value, to + (i * kWindowX + j) * weight_stride); });
    };
    // In the order in which the weights lie in memory.
    if (transposed) {
      for (int64_t k = 0; k < depth; ++k)
        for (int64_t column = 0; column < columns; column += kLanes) {
          // The next row lies far away: ask for it now.
          const T* const next = (const T*)a.weight + (begin + k + 1) * in_stride + (first + column) * out_stride;
          for (int64_t at = 0; at < kLanes * taps * (int64_t)sizeof(T); at += 64)
            __builtin_prefetch((const char*)next + at);
          transform(k, column);
        }
    } else {
      for (int64_t column = 0; column < columns; column += kLanes)
        for (int64_t k = 0; k < depth; ++k) transform(k, column);
    }
  }

  // sums[first panel ...] (+)= windows * weights, product by product.
  template <bool kAdd>
  void multiply(const S* block, int64_t depth, int64_t first_panel, int64_t panels) {
    const LeftOperand stride{blocks.depth, 1};
    const MultiplyRows<S> whole = multiply_for<V, S, kAdd>(groups.rows);
    const MultiplyRows<S> last = multiply_for<V, S, kAdd>(groups.size(groups.count - 1, tiles));
    for (int product = 0; product < products; ++product)
      for (int64_t group = 0; group < groups.count; ++group) {
        const MultiplyRows<S> run = group + 1 < groups.count ? whole : last;
        const S* const left = block + (group * products + product) * window_stride;
        for (int64_t panel = 0; panel < panels; ++panel)
          run(left, stride, weights + product * weight_stride + panel * kPanel * blocks.depth, depth,
              sums + (((first_panel + panel) * groups.count + group) * products + product) * kProductStride,
              left + products * window_stride);
      }
  }

  // Adds one phase of input channels [begin, end) to the sums of output channels [first, last).
  template <int kY, int kX>
  void add_phase(const Phase& y, const Phase& x, int64_t begin, int64_t end, int64_t first, int64_t last, bool add) {
    products = (kY + kTile - 1) * (kX + kTile - 1);
    transform_windows<kY, kX>(y, x, begin, end);
    for (int64_t column = first; column < last; column += blocks.columns) {
      const int64_t columns = round_up(width_of(column, last, blocks.columns), kPanel);
      weight_stride = columns * blocks.depth + kLine;
      for (int64_t k = begin; k < end; k += blocks.depth) {
        const int64_t depth = width_of(k, end, blocks.depth);
        transform_weights<kY, kX>(y, x, k, depth, column, columns);
        const S* const block = windows + (k - begin) / blocks.depth * groups.count * products * window_stride;
        if (add || k > begin)
          multiply<true>(block, depth, (column - first) / kPanel, columns / kPanel);
        else
          multiply<false>(block, depth, (column - first) / kPanel, columns / kPanel);
      }
    }
  }

  struct Channel {
    V scale, shift;
  };
  Channel channel_of(int64_t channel, Extent extent) const {
    const S *scale = (const S*)a.epilogue.scale, *shift = (const S*)a.epilogue.shift;
    return {scale ? load<V>(scale + channel, extent) : V(1.0), shift ? load<V>(shift + channel, extent) : V(0.0)};
  }

  // Statistics of the outputs of one tile: sum, sum^2 / count, and squared deviations from the tile's own mean.
  void add_statistics(const V* value, int rows, int columns, int64_t tile, int64_t channel, Extent extent) {
    V sum(0.0), squares(0.0);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) sum = sum + value[i * kTile + j];
    const V mean = sum * V(1.0 / (rows * columns));
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) {
        const V deviation = value[i * kTile + j] - mean;
        squares = fma(deviation, deviation, squares);
      }
    S lane[3][kLanes];
    store_vector(sum, lane[0]);
    store_vector(mean, lane[1]);
    store_vector(squares, lane[2]);
    double* const to = a.epilogue.statistics + tile / kStatisticsTiles * 3 * out_channels + channel;
    const double count = rows * columns;
    // The tile's mean carries a rounding error, which its deviations were taken from: (sum - count mean) corrects it.
    for (int l = 0; l < extent.count; ++l) {
      const double total = lane[0][l], center = lane[1][l];
      to[l] += total;
      to[out_channels + l] += total * center * 2.0 - count * center * center;
      to[2 * out_channels + l] += lane[2][l];
    }
  }

  // Output pixels of every tile, channels [first, last): origin and step say where they lie. Where several sets of
  // phases add up, they do so in `outputs` until the last.
  template <int kY, int kX>
  void transform_outputs(int64_t first, int64_t last, int64_t y_phase, int64_t x_phase, bool first_set, bool last_set) {
    constexpr int kWindowX = kX + kTile - 1;
    const int64_t step = transposed ? shape.stride : 1;
    const int64_t height = transposed ? shape.large_height : shape.small_height;
    const int64_t width = transposed ? shape.large_width : shape.small_width;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const TileGrid::Position at = grid.at(task.row_begin + tile);
      const int64_t top = step * at.y + y_phase, left = step * at.x + x_phase;
      const int rows = smaller(kTile, (height - top + step - 1) / step);
      const int columns = smaller(kTile, (width - left + step - 1) / step);
      if (rows <= 0 || columns <= 0) continue;
      T* const pixel = (T*)a.output + ((at.example * height + top) * width + left) * out_channels;
      for (int64_t c = first; c < last; c += kLanes) {
        const int64_t column = c - first;
        const Extent extent{smaller(kLanes, last - c)};
        const S* const from = sums + (column / kPanel * groups.count + tile / groups.rows) * products * kProductStride +
                              tile % groups.rows * kPanel + column % kPanel;
        V value[kTile * kTile];
        output_2d<kY, kX, V>(
            [&](int i, int j) DGF_LAMBDA_INLINE {
              V product;
              load_vector(from + (i * kWindowX + j) * kProductStride, product);
              return product;
            },
            [&](int i, int j, const V& v) DGF_LAMBDA_INLINE { value[i * kTile + j] = v; });
        if (!(first_set && last_set)) {
          S* const kept = outputs + (tile * round_up(last - first, kLanes) + column) * kTile * kTile;
          for (int i = 0; i < kTile * kTile; ++i) {
            if (!first_set) {
              V before;
              load_vector(kept + i * kLanes, before);
              value[i] = before + value[i];
            }
            if (!last_set) store_vector(value[i], kept + i * kLanes);
          }
          if (!last_set) continue;
        }
        finish(value, rows, columns, task.row_begin + tile, c, extent, pixel + c, step * width * out_channels,
               step * out_channels);
      }
    }
  }

  DGF_LAMBDA_INLINE void store_pixels(const V* value, int rows, int columns, Extent extent, T* to, int64_t row_stride,
                                      int64_t column_stride) {
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) store(value[i * kTile + j], to + i * row_stride + j * column_stride, extent);
  }

  template <int activation>
  void activate_all(V* value) const {
    const V slope(a.epilogue.negative_slope);
    for (int i = 0; i < kTile * kTile; ++i) value[i] = activate<activation>(value[i], slope);
  }

  DGF_LAMBDA_INLINE void finish(V* value, int rows, int columns, int64_t tile, int64_t channel, Extent extent, T* to,
                                int64_t row_stride, int64_t column_stride) {
    const Epilogue& e = a.epilogue;
    if (e.scale || e.shift) {
      const Channel of = channel_of(channel, extent);
      for (int i = 0; i < kTile * kTile; ++i) value[i] = fma(value[i], of.scale, of.shift);
    }
    switch (e.activation) {
      case kRelu: activate_all<kRelu>(value); break;
      case kLeakyRelu: activate_all<kLeakyRelu>(value); break;
      case kTanh: activate_all<kTanh>(value); break;
      case kSigmoid: activate_all<kSigmoid>(value); break;
      default: break;
    }
    if (e.statistics) add_statistics(value, rows, columns, tile, channel, extent);
    if (rows == kTile && columns == kTile && extent.full())
      store_pixels(value, kTile, kTile, Extent{kLanes}, to, row_stride, column_stride);
    else
      store_pixels(value, rows, columns, extent, to, row_stride, column_stride);
  }

  void run() {
    for (int64_t first = task.column_begin; first < task.column_end; first += blocks.outputs) {
      const int64_t last = first + width_of(first, task.column_end, blocks.outputs);
      if (transposed)
        make_large(first, last);
      else
        make_small(first, last);
    }
  }

  // Calls body.template operator()<taps_y, taps_x>(phase_y, phase_x) for each phase.
  template <class F>
  void each_phase(F body) {
    for (int y = 0; y < shape.stride; ++y)
      for (int x = 0; x < shape.stride; ++x) {
        const Phase of_y = phase_of(shape, y), of_x = phase_of(shape, x);
        with_taps(of_y.taps, of_x.taps, [&]<int kY, int kX>() { body.template operator()<kY, kX>(of_y, of_x); });
      }
  }

  // Calls body(begin, end) for each block of input channels.
  template <class F>
  void each_input_block(F body) {
    for (int64_t begin = 0; begin < in_channels; begin += blocks.inputs)
      body(begin, begin + width_of(begin, in_channels, blocks.inputs));
  }

  void make_large(int64_t first, int64_t last) {
    if (!blocks.phases_together) {
      each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x) {
        each_input_block(
            [&](int64_t begin, int64_t end) { add_phase<kY, kX>(y, x, begin, end, first, last, begin > 0); });
        transform_outputs<kY, kX>(first, last, y.large_phase, x.large_phase, true, true);
      });
      return;
    }
    // Each block of weights serves all phases while it is in the cache.
    S* const of_first_phase = sums;
    const auto next_phase = [&] {
      sums += round_up(last - first, kPanel) / kPanel * groups.count * products * kProductStride;
    };
    each_input_block([&](int64_t begin, int64_t end) {
      sums = of_first_phase;
      each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x) {
        add_phase<kY, kX>(y, x, begin, end, first, last, begin > 0);
        next_phase();
      });
    });
    sums = of_first_phase;
    each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x) {
      products = (kY + kTile - 1) * (kX + kTile - 1);
      transform_outputs<kY, kX>(first, last, y.large_phase, x.large_phase, true, true);
      next_phase();
    });
    sums = of_first_phase;
  }

  // Phases with as many taps along both axes add up before the output transform: all of them where the stride divides
  // the kernel. Else each makes outputs that are added to the others'.
  void make_small(int64_t first, int64_t last) {
    if (shape.kernel % shape.stride == 0) {
      each_input_block([&](int64_t begin, int64_t end) {
        bool add = begin > 0;
        each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x) {
          add_phase<kY, kX>(y, x, begin, end, first, last, add);
          add = true;
        });
      });
      const int taps = shape.kernel / shape.stride;
      with_taps(taps, taps, [&]<int kY, int kX>() { transform_outputs<kY, kX>(first, last, 0, 0, true, true); });
      return;
    }
    int phase = 0;
    each_phase([&]<int kY, int kX>(const Phase& y, const Phase& x) {
      each_input_block(
          [&](int64_t begin, int64_t end) { add_phase<kY, kX>(y, x, begin, end, first, last, begin > 0); });
      ++phase;
      transform_outputs<kY, kX>(first, last, 0, 0, phase == 1, phase == shape.stride * shape.stride);
    });
  }

  static int64_t workspace(const ConvolutionShape& shape, const Blocks& blocks, int64_t rows, int64_t columns) {
    const int64_t inputs = shape.small_channels > shape.large_channels ? shape.small_channels : shape.large_channels;
    const Layout up(shape, blocks, rows, inputs, columns, true), down(shape, blocks, rows, inputs, columns, false);
    return (up.total() > down.total() ? up.total() : down.total()) * sizeof(S);
  }
};

template <class T>
static void conv_transpose2d_task(const ConvolutionArguments& a, const Blocks& blocks, const ConvolutionTask& task) {
  ImageWork<T>(a, blocks, task, true).run();
}
template <class T>
static void conv2d_task(const ConvolutionArguments& a, const Blocks& blocks, const ConvolutionTask& task) {
  ImageWork<T>(a, blocks, task, false).run();
}
