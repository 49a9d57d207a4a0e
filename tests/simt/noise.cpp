// Noise of a batch's examples from `first` on, as the CUDA bodies draw it, where the batch may be too large to exist:
// the bodies get addresses from which those rows' own are reached.
#include "cuda/launch.h"
#include "ops/reparameterize_kl/kernels.cuh"

namespace {

using namespace dgf::cuda;

template <class T>
T* matrix_of(T* rows, int64_t first, int64_t columns) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(rows) - sizeof(T) * first * columns);
}

template <class Body>
void run_row(const Body& body, int64_t row, int64_t columns) {
  const auto state = body.row(row);
  float sums[Body::kSums] = {};
  for (int64_t column = 0; column < columns; column += Body::N)
    body.template columns<false>(state, column, static_cast<int>(min<int64_t>(Body::N, columns - column)), sums);
}

}  // namespace

// noise: philox_normal's, of `sample`; z and grad_std: reparameterize_kl's and its backward's, of sample 0, for means of
// 0, deviations of 1 and gradients of 1. All [rows, columns]; zeros and ones are as large.
extern "C" __attribute__((visibility("default"))) void simt_noise_of_examples(
    int64_t seed, int64_t sample, int64_t first, int64_t rows, int64_t columns, const float* zeros, const float* ones,
    float* noise, float* z, float* grad_mean, float* grad_std) {
  const int64_t batch = first + rows;
  const NoiseBody normal{&seed, batch, columns, matrix_of(noise, sample * batch + first, columns)};
  PosteriorInputs<float> inputs{matrix_of(zeros, first, columns), matrix_of(ones, first, columns), columns, {}, {},
                                dgf::kStandardDeviation};
  ReparameterizeForward<float> forward{inputs, {nullptr, &seed}, batch, 1, 1, matrix_of(z, first, columns), nullptr};
  ReparameterizeBackward<float> backward{};
  backward.inputs = inputs;
  backward.noise = {nullptr, &seed};
  backward.batch = batch;
  backward.samples = 1;
  backward.grad_z = inputs.scale;
  backward.grad_mean = matrix_of(grad_mean, first, columns);
  backward.grad_scale = matrix_of(grad_std, first, columns);
  for (int64_t example = first; example < batch; ++example) {
    run_row(normal, sample * batch + example, columns);
    run_row(forward, example, columns);
    run_row(backward, example, columns);
  }
}
