// CUDA bodies (ops/batch_norm_act/channels.cuh) of channel statistics and of batch norm with its activation, both ways.
#pragma once

#include "cuda/activation.cuh"
#include "ops/batch_norm_act/channels.cuh"

namespace dgf::cuda {

// Mean and sum of squared deviations of each channel.
template <class T>
struct StatisticsBody {
  using Element = T;
  using C = Compute<T>;
  using Merge = MergeMoments;
  static constexpr int N = kPack<T>, kResidentBlocks = 2;

  const T* input;  // [rows, row_length]
  int64_t row_length;

  template <bool Vectorized>
  __device__ __forceinline__ PivotSums<C, N> channels(int64_t, int) const {
    return {};
  }

  template <bool Vectorized>
  __device__ __forceinline__ void row(PivotSums<C, N>& state, int64_t row, int64_t channel, int valid) const {
    C values[N];
    load<Vectorized>(input + row * row_length + channel, valid, values);
    state.add(values);
  }

  __device__ __forceinline__ void parts(const PivotSums<C, N>& state, int i, double (&into)[3]) const {
    state.parts(i, into);
  }
};

// What batch norm and its backward know of each channel.
template <class C>
struct NormParameters {
  const C *mean, *invstd, *weight, *bias;  // [channels]; weight and bias may be null
  int activation;
  C negative_slope;

  template <int N>
  struct Channels {
    C mean[N], invstd[N], scale[N], bias[N];
  };

  template <bool Vectorized, int N>
  __device__ __forceinline__ void read(int64_t channel, int valid, Channels<N>& channels) const {
    load<Vectorized>(mean + channel, valid, channels.mean);
    load<Vectorized>(invstd + channel, valid, channels.invstd);
    load_channels<Vectorized>(weight, channel, valid, C(1), channels.scale);
    load_channels<Vectorized>(bias, channel, valid, C(0), channels.bias);
#pragma unroll
    for (int i = 0; i < N; ++i) channels.scale[i] *= channels.invstd[i];
  }

  // In place of the gradient of the output, that of the activation's argument.
  template <int N>
  __device__ __forceinline__ void through_activation(const Channels<N>& channels, const C (&input)[N],
                                                     C (&grad)[N]) const {
    if (activation == kNoActivation) return;
    with_activation(activation, [&](auto chosen) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
        const C argument = batch_norm_argument(input[i], channels.mean[i], channels.scale[i], channels.bias[i]);
        grad[i] = activation_gradient<decltype(chosen)::value>(grad[i], argument, negative_slope);
      }
    });
  }
};

template <class T>
struct BatchNormBody {
  using Element = T;
  using C = Compute<T>;
  using Merge = void;
  static constexpr int N = kPack<T>, kResidentBlocks = 2;
  using State = typename NormParameters<C>::template Channels<N>;

  NormParameters<C> norm;
  const T* input;  // [rows, row_length]
  T* output;
  int64_t row_length;

  template <bool Vectorized>
  __device__ __forceinline__ State channels(int64_t channel, int valid) const {
    State state;
    norm.template read<Vectorized>(channel, valid, state);
    return state;
  }

  template <bool Vectorized>
  __device__ __forceinline__ void row(const State& state, int64_t row, int64_t channel, int valid) const {
    const int64_t at = row * row_length + channel;
    C values[N];
    load<Vectorized>(input + at, valid, values);
#pragma unroll
    for (int i = 0; i < N; ++i)
      values[i] = batch_norm_argument(values[i], state.mean[i], state.scale[i], state.bias[i]);
    if (norm.activation != kNoActivation) activate_pack(norm.activation, norm.negative_slope, values);
    store<Vectorized>(output + at, valid, values);
  }
};

// First pass of backward. With g the gradient of the activation's argument: sums of g and of g * (input - mean).
template <class T>
struct BatchNormSumsBody {
  using Element = T;
  using C = Compute<T>;
  using Merge = AddParts<2>;
  static constexpr int N = kPack<T>, kResidentBlocks = 2;

  NormParameters<C> norm;
  const T *grad_output, *input;  // [rows, row_length]
  int64_t row_length;

  struct State {
    typename NormParameters<C>::template Channels<N> channels;
    C grad[N], product[N];
  };

  template <bool Vectorized>
  __device__ __forceinline__ State channels(int64_t channel, int valid) const {
    State state;
    norm.template read<Vectorized>(channel, valid, state.channels);
#pragma unroll
    for (int i = 0; i < N; ++i) state.grad[i] = state.product[i] = C(0);
    return state;
  }

  template <bool Vectorized>
  __device__ __forceinline__ void row(State& state, int64_t row, int64_t channel, int valid) const {
    const int64_t at = row * row_length + channel;
    C grad[N], values[N];
    load<Vectorized>(grad_output + at, valid, grad);
    load<Vectorized>(input + at, valid, values);
    norm.through_activation(state.channels, values, grad);
#pragma unroll
    for (int i = 0; i < N; ++i) {
      state.grad[i] += grad[i];
      state.product[i] = dgf::fma(grad[i], values[i] - state.channels.mean[i], state.product[i]);
    }
  }

  __device__ __forceinline__ void parts(const State& state, int i, double (&into)[2]) const {
    into[0] = element(state.grad, i), into[1] = element(state.product, i);
  }
};

// Second pass: the gradient of the input.
template <class T>
struct BatchNormBackwardBody {
  using Element = T;
  using C = Compute<T>;
  using Merge = void;
  static constexpr int N = kPack<T>, kResidentBlocks = 2;

  NormParameters<C> norm;
  const T *grad_output, *input;  // [rows, row_length]
  const double* sums;            // [2, row_length] where mean and invstd are functions of the input, else null
  double count;
  T* grad_input;
  int64_t row_length;

  struct State {
    typename NormParameters<C>::template Channels<N> channels;
    C grad_mean[N], projection[N];
  };

  template <bool Vectorized>
  __device__ __forceinline__ State channels(int64_t channel, int valid) const {
    State state;
    norm.template read<Vectorized>(channel, valid, state.channels);
#pragma unroll
    for (int i = 0; i < N; ++i) state.grad_mean[i] = state.projection[i] = C(0);
    if (sums) {
      double grad[N], product[N];
      load<Vectorized>(sums + channel, valid, grad);
      load<Vectorized>(sums + row_length + channel, valid, product);
#pragma unroll
      for (int i = 0; i < N; ++i) {
        state.grad_mean[i] = static_cast<C>(batch_norm_grad_mean(grad[i], count));
        state.projection[i] = static_cast<C>(batch_norm_projection(product[i], state.channels.invstd[i], count));
      }
    }
    return state;
  }

  template <bool Vectorized>
  __device__ __forceinline__ void row(const State& state, int64_t row, int64_t channel, int valid) const {
    const int64_t at = row * row_length + channel;
    C grad[N], values[N];
    load<Vectorized>(grad_output + at, valid, grad);
    load<Vectorized>(input + at, valid, values);
    norm.through_activation(state.channels, values, grad);
#pragma unroll
    for (int i = 0; i < N; ++i)
      grad[i] = batch_norm_input_gradient(grad[i], values[i], state.channels.mean[i], state.channels.scale[i],
                                          state.grad_mean[i], state.projection[i]);
    store<Vectorized>(grad_input + at, valid, grad);
  }
};

// The gradients of weight and bias from the sums: grad_weight = sum of g * (input - mean) * invstd, grad_bias = sum g.
// A thread a channel.
template <class C>
__global__ void __launch_bounds__(kChannelThreads)
    affine_gradients_kernel(const double* sums, const C* invstd, int64_t channels, C* grad_weight, C* grad_bias) {
  const int64_t channel = static_cast<int64_t>(blockIdx.x) * kChannelThreads + threadIdx.x;
  if (channel >= channels) return;
  grad_weight[channel] = static_cast<C>(sums[channels + channel] * static_cast<double>(invstd[channel]));
  grad_bias[channel] = static_cast<C>(sums[channel]);
}

}  // namespace dgf::cuda
