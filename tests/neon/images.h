// The convolutions: every entry of ConvolutionKernels and FewChannelsKernels.
#pragma once

#include "ops/convolution/plan.h"
#include "ops/few_channels/arguments.h"
#include "values.h"

namespace check {

inline int64_t small_size(int64_t large, int64_t kernel, int64_t stride, int64_t padding) {
  return (large + 2 * padding - kernel) / stride + 1;
}

inline void run(dgf::Plan& plan, const dgf::ConvolutionArguments& a, dgf::ConvolutionKernel kernel,
                dgf::WorkspaceBytes bytes) {
  for (dgf::ConvolutionTask task : plan.tasks) {
    Buffer<uint8_t> workspace(
        bytes(a.shape, plan.blocks, task.row_end - task.row_begin, task.column_end - task.column_begin));
    task.workspace = workspace.data;
    kernel(a, plan.blocks, task);
  }
}

template <class T>
void convolutions(const dgf::ConvolutionKernels& table) {
  using A = Accumulate<T>;
  constexpr int e = element<T>();
  struct Layer {
    int64_t batch, a, b, height, width;  // of the large image
    int kernel, stride, padding;
  };
  for (const Layer& l :
       {Layer{1, 1, 1, 4, 4, 4, 2, 1}, Layer{2, 21, 35, 9, 14, 4, 2, 1}, Layer{2, 140, 19, 8, 8, 4, 2, 1},
        Layer{3, 17, 33, 11, 7, 3, 2, 1}, Layer{1, 33, 18, 13, 10, 5, 2, 2}, Layer{2, 20, 25, 9, 6, 3, 1, 1}})
    for (int option = 0; option < 5; ++option) {
      const bool special = option == 4;
      dgf::ConvolutionShape s{l.batch, l.a, l.b, 0, 0, l.height, l.width, l.kernel, l.stride, l.padding};
      s.small_height = small_size(l.height, l.kernel, l.stride, l.padding);
      s.small_width = small_size(l.width, l.kernel, l.stride, l.padding);
      const int64_t small_count = l.batch * l.a * s.small_height * s.small_width,
                    large_count = l.batch * l.b * l.height * l.width;
      const auto small = numbers<T>(small_count, 41, special), large = numbers<T>(large_count, 42, special);
      const auto weight = numbers<T>(l.a * l.b * l.kernel * l.kernel, 43, false, 0.25f);
      const auto scale = numbers<A>(std::max(l.a, l.b), 44), shift = numbers<A>(std::max(l.a, l.b), 45);
      const std::string what = std::to_string(l.a) + ">" + std::to_string(l.b) + "k" + std::to_string(l.kernel) + "s" +
                               std::to_string(l.stride) + "/" + std::to_string(option);
      for (const bool transposed : {true, false}) {
        const int64_t channels = transposed ? l.b : l.a, height = transposed ? l.height : s.small_height,
                      width = transposed ? l.width : s.small_width;
        const int64_t across = transposed ? l.stride : 1;
        const int64_t tiles = l.batch * dgf::divide_up(dgf::divide_up(height, across), 4) *
                              dgf::divide_up(dgf::divide_up(width, across), 4);
        std::vector<double> statistics(dgf::divide_up(tiles, dgf::kStatisticsTiles) * 3 * channels, 0.0);
        Buffer<T> output(transposed ? large_count : small_count);
        dgf::ConvolutionArguments a{};
        a.shape = s;
        a.small = small.data;
        a.large = large.data;
        a.weight = weight.data;
        a.output = output.data;
        a.epilogue = {option ? scale.data : nullptr, option ? shift.data : nullptr, option, 0.2,
                      option ? nullptr : statistics.data()};
        report.begin(named<T>("ConvolutionKernels", transposed ? "conv_transpose2d" : "conv2d"), what);
        dgf::Plan plan = dgf::plan_image(s, transposed, tiles, table.panel[e], sizeof(A), 1 + option % 3);
        run(plan, a, (transposed ? table.conv_transpose2d : table.conv2d)[e], table.image_workspace[e]);
        report.add(output);
        report.add(statistics.data(), statistics.size());
        report.end();
      }
      Buffer<T> gradient(l.a * l.b * l.kernel * l.kernel);
      dgf::ConvolutionArguments a{};
      a.shape = s;
      a.small = small.data;
      a.large = large.data;
      a.output = gradient.data;
      report.begin(named<T>("ConvolutionKernels", "conv2d_weight_gradient"), what);
      dgf::Plan plan = dgf::plan_weight(s, table.panel[e], sizeof(A), 1 + option % 3);
      run(plan, a, table.conv2d_weight_gradient[e], table.weight_workspace[e]);
      report.add(gradient);
      report.end();
    }
}

inline void transposes(const dgf::ConvolutionKernels& table) {
  for (const int64_t rows : {1, 16, 37})
    for (const int64_t columns : {1, 32, 45}) {
      const auto from = numbers<float>(rows * columns, 46, true);
      Buffer<float> to(rows * columns);
      report.begin("ConvolutionKernels.transpose", std::to_string(rows) + "x" + std::to_string(columns));
      table.transpose(from.data, rows, columns, 0, columns, to.data);
      report.add(to);
      report.end();
    }
}

template <class T>
void few_channels(const dgf::FewChannelsKernels& table) {
  using A = Accumulate<T>;
  constexpr int e = element<T>();
  struct Layer {
    int64_t batch, a, b, height, width, kernel, stride, padding;
  };
  for (const Layer& l : {Layer{1, 1, 1, 4, 4, 4, 2, 1}, Layer{2, 20, 3, 10, 14, 4, 2, 1},
                         Layer{1, 35, 1, 9, 40, 3, 1, 1}, Layer{2, 64, 3, 11, 9, 5, 2, 2}})
    for (int option = 0; option < 8; ++option) {
      const bool last = option % 2, special = option / 2 % 2;
      const dgf::FewChannelsShape s{l.batch,
                                    l.a,
                                    l.b,
                                    small_size(l.height, l.kernel, l.stride, l.padding),
                                    small_size(l.width, l.kernel, l.stride, l.padding),
                                    l.height,
                                    l.width,
                                    l.kernel,
                                    l.stride,
                                    l.padding};
      const int64_t small_count = l.batch * l.a * s.h * s.w, large_count = l.batch * l.b * l.height * l.width;
      const auto small = numbers<T>(small_count, 51, special), large = numbers<T>(large_count, 52, special);
      const auto weight = numbers<T>(l.a * l.b * l.kernel * l.kernel, 53, false, 0.25f);
      const auto scale = numbers<A>(std::max(l.a, l.b * l.width), 54),
                 shift = numbers<A>(std::max(l.a, l.b * l.width), 55);
      Buffer<A> taps_of_a(l.a * s.padded_taps()), a_of_taps(s.taps() * s.padded_a());
      const std::string what = std::to_string(l.a) + ">" + std::to_string(l.b) + "k" + std::to_string(l.kernel) + "/" +
                               std::to_string(option);
      report.begin(named<T>("FewChannelsKernels", "pack"), what);
      std::memset(taps_of_a.data, 0, taps_of_a.count * sizeof(A));
      std::memset(a_of_taps.data, 0, a_of_taps.count * sizeof(A));
      table.pack[e](s, weight.data, taps_of_a.data, a_of_taps.data);
      report.add(taps_of_a);
      report.add(a_of_taps);
      report.end();
      dgf::FewChannelsArguments a{};
      a.shape = s;
      a.small = small.data;
      a.large = large.data;
      a.small_channels_last = a.large_channels_last = last;
      a.taps_of_a = taps_of_a.data;
      a.a_of_taps = a_of_taps.data;
      a.scale = scale.data;
      a.shift = shift.data;
      a.activation = option % 5;
      a.negative_slope = 0.2;
      for (const bool transposed : {true, false}) {
        Buffer<T> output(transposed ? large_count : small_count);
        a.output = output.data;
        report.begin(named<T>("FewChannelsKernels", transposed ? "transposed" : "convolution"), what);
        for (int64_t image = 0; image < l.batch; ++image)
          (transposed ? table.transposed : table.convolution)[e](a, image, 0, transposed ? l.height : s.h);
        report.add(output);
        report.end();
      }
      std::vector<double> sums(l.a * s.padded_taps(), 0.0);
      report.begin(named<T>("FewChannelsKernels", "weight_gradient"), what);
      table.weight_gradient[e](a, 0, l.batch * s.h, sums.data());
      report.add(sums.data(), sums.size());
      report.end();
    }
}

inline void images(const dgf::ConvolutionKernels& table, const dgf::FewChannelsKernels& few) {
  convolutions<float>(table), convolutions<double>(table), convolutions<BFloat16>(table);
  transposes(table);
  few_channels<float>(few), few_channels<double>(few), few_channels<BFloat16>(few), few_channels<Half>(few);
}

}  // namespace check
