// Schema and CPU launchers of minibatch_discrimination.
#include "cpu/channels.h"
#include "ops/minibatch_discrimination/arguments.h"

#include <torch/csrc/stable/library.h>

namespace dgf {
namespace {

const MinibatchKernels& minibatch_kernels() {
  static const MinibatchKernels& chosen =
      choose_kernels<MinibatchKernels>({minibatch_avx2(), minibatch_avx512(), minibatch_neon()});
  return chosen;
}

// So many units of work are aimed at, by shape alone. What a group of kernels is cut into has sums of its own, so there
// are few of them.
constexpr int64_t kUnits = 16;
// Terms of distances, of 16 kernels, that are worth another thread.
constexpr int64_t kTermsAThread = 2048;

// The features as the kernels walk them, and the units of work.
struct Packed {
  Tensor features;
  MinibatchArguments arguments{};
  int element;
  int64_t groups, parts, grain;
  Tensor packed;  // [groups, batch, dims, 16]

  Packed(const Tensor& features_, bool include_self)
      : features(dense(features_)), element(static_cast<int>(element_of(features_, "features"))), packed(features) {
    STD_TORCH_CHECK(features.dim() == 3, "deepgen_fast: features must have shape [batch, kernels, dims], got ",
                    features.dim(), " dimensions");
    const int64_t batch = features.size(0), kernels = features.size(1), dims = features.size(2);
    arguments.features = features.const_data_ptr();
    arguments.batch = batch;
    arguments.kernels = kernels;
    arguments.dims = dims;
    arguments.include_self = include_self;
    groups = batch ? (kernels + kKernelLanes - 1) / kKernelLanes : 0;
    const int64_t tiles = (batch + kTileRows - 1) / kTileRows;
    parts = groups ? std::max<int64_t>(1, std::min((kUnits + groups - 1) / groups, tiles / 2)) : 1;
    const int64_t terms = batch * (batch + 1) / 2 * (dims + 4) / parts;
    grain = std::max<int64_t>(1, kTermsAThread / std::max<int64_t>(1, terms));
    packed = empty({groups, batch, dims, kKernelLanes}, accumulation_type(features));
    each_group([&](int64_t group) {
      minibatch_kernels().pack[element](arguments, group, 0, arguments.batch, examples(group));
    });
  }

  void* examples(int64_t group) const {
    const int64_t count = arguments.batch * arguments.dims * kKernelLanes;
    return static_cast<char*>(packed.mutable_data_ptr()) + group * count * static_cast<int64_t>(packed.element_size());
  }

  template <class F>
  void each_group(F work) const {
    torch::stable::parallel_for(0, groups, grain * parts, [&](int64_t begin, int64_t end) {
      for (int64_t group = begin; group < end; ++group) work(group);
    });
  }

  // work(group, part): which thread has it changes nothing.
  template <class F>
  void each_unit(F work) const {
    torch::stable::parallel_for(0, groups * parts, grain, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) work(unit / parts, unit % parts);
    });
  }
};

template <class A>
void store_sums(const Packed& in, const std::vector<double>& sums, A* out) {
  const int64_t batch = in.arguments.batch, kernels = in.arguments.kernels;
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t k = 0; k < kernels; ++k) {
      const int64_t group = k / kKernelLanes, lane = k % kKernelLanes;
      double sum = 0.0;
      for (int64_t part = 0; part < in.parts; ++part)
        sum += sums[((group * in.parts + part) * batch + i) * kKernelLanes + lane];
      out[i * kernels + k] = static_cast<A>(sum);
    }
}

Tensor minibatch_discrimination(const Tensor& features, bool include_self) {
  const Packed in(features, include_self);
  const int64_t count = in.arguments.batch * kKernelLanes;
  std::vector<double> sums(in.groups * in.parts * count, 0.0);
  in.each_unit([&](int64_t group, int64_t part) {
    minibatch_kernels().similarities[in.element](in.arguments, in.examples(group), part, in.parts,
                                                 &sums[(group * in.parts + part) * count]);
  });
  const Tensor value = empty({in.arguments.batch, in.arguments.kernels}, accumulation_type(features));
  if (value.scalar_type() == ScalarType::Double)
    store_sums(in, sums, static_cast<double*>(value.mutable_data_ptr()));
  else
    store_sums(in, sums, static_cast<float*>(value.mutable_data_ptr()));
  return value;
}

Tensor minibatch_discrimination_backward(const Tensor& grad, const Tensor& features, bool include_self) {
  Packed in(features, include_self);
  const Tensor dense_grad = dense(grad);
  STD_TORCH_CHECK(grad.scalar_type() == accumulation_type(features),
                  "deepgen_fast: grad must have the accumulation dtype");
  STD_TORCH_CHECK(grad.dim() == 2 && grad.size(0) == in.arguments.batch && grad.size(1) == in.arguments.kernels,
                  "deepgen_fast: grad must have shape [batch, kernels] = [", in.arguments.batch, ", ",
                  in.arguments.kernels, "]");
  in.arguments.grad = dense_grad.const_data_ptr();
  const Tensor grad_features = empty_shaped(in.features, features.scalar_type());
  const int64_t count = in.arguments.batch * in.arguments.dims * kKernelLanes;
  // Of every group and part in double: `parts` times the gradient, twice as wide.
  std::vector<double> sums(in.groups * in.parts * count, 0.0);
  in.each_unit([&](int64_t group, int64_t part) {
    minibatch_kernels().gradients[in.element](in.arguments, group, in.examples(group), part, in.parts,
                                              sums.data() + (group * in.parts + part) * count);
  });
  in.each_group([&](int64_t group) {
    minibatch_kernels().unpack[in.element](in.arguments, group, sums.data() + group * in.parts * count, in.parts,
                                           grad_features.mutable_data_ptr());
  });
  return grad_features;
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(deepgen_fast, m) {
  m.def("minibatch_discrimination(Tensor features, bool include_self) -> Tensor");
  m.def("minibatch_discrimination_backward(Tensor grad, Tensor features, bool include_self) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CPU, m) {
  m.impl("minibatch_discrimination", TORCH_BOX(&minibatch_discrimination));
  m.impl("minibatch_discrimination_backward", TORCH_BOX(&minibatch_discrimination_backward));
}

}  // namespace dgf
