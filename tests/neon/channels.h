// Batch norm with an activation, and minibatch discrimination: every entry of BatchNormKernels and MinibatchKernels.
#pragma once

#include "ops/batch_norm_act/arguments.h"
#include "ops/minibatch_discrimination/arguments.h"
#include "values.h"

namespace check {

template <class T>
void batch_norms(const dgf::BatchNormKernels& table) {
  using A = Accumulate<T>;
  for (const int64_t width : {16, 48, 272})
    for (const int64_t count : {16, 100, 999})
      for (int option = 0; option < 20; ++option) {
        const bool last = option % 2, special = option / 2 % 2, training = option % 3 != 0;
        const dgf::ChannelRows rows{last, last ? width : count};
        const int64_t parameters = last ? width : 32;
        const dgf::Segment segment{0, count, last ? 0 : 16};
        const auto x = numbers<T>(count, 21, special), grad = numbers<T>(count, 22, special);
        const auto pivot = numbers<double>(parameters, 23);
        const auto mean = numbers<A>(parameters, 24), scale = numbers<A>(parameters, 25),
                   bias = numbers<A>(parameters, 26), grad_mean = numbers<A>(parameters, 27),
                   projection = numbers<A>(parameters, 28);
        dgf::BatchNormArguments a{};
        a.rows = rows;
        a.input = x.data;
        a.grad_output = grad.data;
        a.activation = option % 5;
        a.negative_slope = 0.2;
        a.mean = mean.data;
        a.scale = scale.data;
        a.bias = bias.data;
        if (training) a.grad_mean = grad_mean.data, a.projection = projection.data;
        const std::string what = std::to_string(width) + "x" + std::to_string(count) + "/" + std::to_string(option);
        const auto sums = [&](const char* entry, auto run) {
          std::vector<double> first(parameters, 0.0), second(parameters, 0.0);
          report.begin(named<T>("BatchNormKernels", entry), what);
          run(dgf::ChannelSums{first.data(), second.data()});
          report.add(first.data(), parameters);
          report.add(second.data(), parameters);
          report.end();
        };
        const auto images = [&](const char* entry, auto run) {
          Buffer<T> output(count);
          a.output = output.data;
          report.begin(named<T>("BatchNormKernels", entry), what);
          run();
          report.add(output);
          report.end();
        };
        constexpr int e = element<T>();
        sums("moments", [&](const dgf::ChannelSums& s) { table.moments[e](rows, x.data, pivot.data, segment, s); });
        sums("backward_sums", [&](const dgf::ChannelSums& s) { table.backward_sums[e](a, segment, s); });
        images("forward", [&] { table.forward[e](a, segment); });
        images("backward", [&] { table.backward[e](a, segment); });
      }
}

template <class T>
void minibatches(const dgf::MinibatchKernels& table) {
  using A = Accumulate<T>;
  struct Shape {
    int64_t batch, kernels, dims, parts;
  };
  for (const Shape& s : {Shape{1, 1, 1, 1}, Shape{5, 3, 2, 1}, Shape{17, 16, 5, 1}, Shape{50, 21, 3, 2}})
    for (int option = 0; option < 4; ++option) {
      constexpr int e = element<T>();
      const int64_t groups = (s.kernels + dgf::kKernelLanes - 1) / dgf::kKernelLanes, lanes = dgf::kKernelLanes;
      const auto features = numbers<T>(s.batch * s.kernels * s.dims, 31, option / 2, 0.25f);
      const auto grad = numbers<A>(s.batch * s.kernels, 32);
      dgf::MinibatchArguments a{features.data, s.batch, s.kernels, s.dims, option % 2 == 1, grad.data};
      Buffer<T> grad_features(s.batch * s.kernels * s.dims);
      const std::string what = std::to_string(s.batch) + "x" + std::to_string(s.kernels) + "x" +
                               std::to_string(s.dims) + "/" + std::to_string(option);
      for (int64_t group = 0; group < groups; ++group) {
        const std::string of_group = what + "/" + std::to_string(group);
        Buffer<A> packed(s.batch * s.dims * lanes);
        report.begin(named<T>("MinibatchKernels", "pack"), of_group);
        table.pack[e](a, group, 0, s.batch, packed.data);
        report.add(packed);
        report.end();
        std::vector<double> sums(s.parts * s.batch * lanes, 0.0), gradients(s.parts * s.batch * s.dims * lanes, 0.0);
        report.begin(named<T>("MinibatchKernels", "similarities"), of_group);
        for (int64_t part = 0; part < s.parts; ++part)
          table.similarities[e](a, packed.data, part, s.parts, &sums[part * s.batch * lanes]);
        report.add(sums.data(), sums.size());
        report.end();
        report.begin(named<T>("MinibatchKernels", "gradients"), of_group);
        for (int64_t part = 0; part < s.parts; ++part)
          table.gradients[e](a, group, packed.data, part, s.parts, &gradients[part * s.batch * s.dims * lanes]);
        report.add(gradients.data(), gradients.size());
        report.end();
        report.begin(named<T>("MinibatchKernels", "unpack"), of_group);
        table.unpack[e](a, group, gradients.data(), s.parts, grad_features.data);
        report.add(grad_features);
        report.end();
      }
    }
}

inline void channels(const dgf::BatchNormKernels& norm, const dgf::MinibatchKernels& minibatch) {
  batch_norms<float>(norm), batch_norms<double>(norm), batch_norms<BFloat16>(norm), batch_norms<Half>(norm);
  minibatches<float>(minibatch), minibatches<double>(minibatch), minibatches<BFloat16>(minibatch);
  minibatches<Half>(minibatch);
}

}  // namespace check
