// From torch tensors to kernel launches, over LibTorch's stable ABI: device, stream, scratch memory, types, errors.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/MemoryFormat.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "cuda/memory.cuh"

#if defined(DGF_SIMT)
// The emulated kernels are operators of a namespace of their own, on CPU tensors.
#define DGF_CUDA_LIBRARY(m) STABLE_TORCH_LIBRARY_IMPL(deepgen_fast_simt, CPU, m)
#else
#define DGF_CUDA_LIBRARY(m) STABLE_TORCH_LIBRARY_IMPL(deepgen_fast, CUDA, m)
#endif

namespace dgf::cuda {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;
using OptionalTensor = std::optional<Tensor>;

template <class T>
inline constexpr ScalarType kScalarType = ScalarType::Undefined;
template <>
inline constexpr ScalarType kScalarType<float> = ScalarType::Float;
template <>
inline constexpr ScalarType kScalarType<double> = ScalarType::Double;
template <>
inline constexpr ScalarType kScalarType<Half> = ScalarType::Half;
template <>
inline constexpr ScalarType kScalarType<BFloat16> = ScalarType::BFloat16;
template <>
inline constexpr ScalarType kScalarType<int64_t> = ScalarType::Long;
template <>
inline constexpr ScalarType kScalarType<bool> = ScalarType::Bool;

// Calls visit(T{}) with the floating type of a tensor.
template <class Visitor>
auto dispatch_floating(const Tensor& tensor, const char* name, Visitor&& visit) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float: return visit(float{});
    case ScalarType::Double: return visit(double{});
    case ScalarType::Half: return visit(Half{});
    case ScalarType::BFloat16: return visit(BFloat16{});
    default:
      STD_TORCH_CHECK(false, "deepgen_fast (cuda): ", name, " must have dtype float16, bfloat16, float32 or float64");
  }
}

template <class T>
T* mutable_data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

inline Tensor new_tensor(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type) {
  return torch::stable::new_empty(like, sizes, type);
}

// A new image batch [N, C, H, W] whose channels lie side by side, or a new matrix [N, C].
inline Tensor new_channels_last(const Tensor& like, const std::vector<int64_t>& sizes, ScalarType type) {
  if (sizes.size() != 4) return new_tensor(like, sizes, type);
  const Tensor pixels = new_tensor(like, {sizes[0], sizes[2], sizes[3], sizes[1]}, type);
  return torch::stable::transpose(torch::stable::transpose(pixels, 1, 3), 2, 3);
}

inline std::vector<int64_t> sizes_of(const Tensor& tensor) {
  const auto sizes = tensor.sizes();
  return {sizes.begin(), sizes.end()};
}

// The device, stream and allocator of one call; keeps the tensors' device current while it lives. Inputs come through
// it, checked for all that would otherwise read memory that is not theirs (the public functions have checked the rest).
class Launcher {
 public:
  explicit Launcher(const Tensor& on);

  int multiprocessors() const { return multiprocessors_; }

  template <class T>
  const T* input(const Tensor& tensor, int64_t numel, const char* name) const {
    STD_TORCH_CHECK(tensor.scalar_type() == kScalarType<T>, "deepgen_fast (cuda): ", name, " has the wrong dtype");
    STD_TORCH_CHECK(tensor.numel() == numel, "deepgen_fast (cuda): ", name, " has ", tensor.numel(),
                    " elements, expected ", numel);
    return static_cast<const T*>(readable(tensor, name));
  }

  // An image batch [N, C, H, W] as pixels whose channels lie side by side; a matrix [N, C] as it is.
  template <class T>
  const T* pixels(const Tensor& tensor, const char* name) const {
    if (tensor.dim() != 4) return input<T>(tensor, tensor.numel(), name);
    STD_TORCH_CHECK(tensor.scalar_type() == kScalarType<T>, "deepgen_fast (cuda): ", name, " has the wrong dtype");
    check_device(tensor, name);
    if (is_channels_last(tensor)) return static_cast<const T*>(tensor.const_data_ptr());
    using torch::headeronly::MemoryFormat;
    copies_.push_back(torch::stable::contiguous(tensor, MemoryFormat::ChannelsLast));
    return static_cast<const T*>(copies_.back().const_data_ptr());
  }

  // null when absent
  template <class T>
  const T* input(const OptionalTensor& tensor, int64_t numel, const char* name) const {
    return tensor.has_value() ? input<T>(*tensor, numel, name) : nullptr;
  }

  // An input that repeats over `rows` rows of `columns`; T, or with `any_kind` float32, uint8 or bool as well.
  template <class T>
  Operand operand(const OptionalTensor& tensor, int64_t rows, int64_t columns, const char* name,
                  bool any_kind = false) const {
    if (!tensor.has_value()) return {};
    const int64_t numel = tensor->numel();
    Operand result{readable(*tensor, name), columns > 0 ? std::max<int64_t>(1, numel / columns) : 1, Kind::kSame};
    STD_TORCH_CHECK(rows * columns == 0 || (result.rows * columns == numel && rows % result.rows == 0),
                    "deepgen_fast (cuda): ", name, " does not repeat over the rows of the input");
    const ScalarType type = tensor->scalar_type();
    if (type == kScalarType<T>) return result;
    result.kind = type == ScalarType::Float ? Kind::kFloat : Kind::kByte;
    STD_TORCH_CHECK(any_kind && (result.kind == Kind::kFloat || type == ScalarType::Byte || type == ScalarType::Bool),
                    "deepgen_fast (cuda): ", name, " has the wrong dtype");
    return result;
  }

  template <class T>
  struct Scratch {
    OptionalTensor memory;
    T* data;
  };

  // Uninitialized device memory that lives as long as the returned value (freed in stream order).
  template <class T>
  Scratch<T> scratch(int64_t count) const {
    if (count == 0) return {std::nullopt, nullptr};
    Tensor memory = new_tensor(on_, {count}, kScalarType<T>);
    return {memory, mutable_data<T>(memory)};
  }

  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, Arguments... arguments) const {
    STD_TORCH_CHECK(blocks <= std::numeric_limits<int32_t>::max(), "deepgen_fast (cuda): ", blocks,
                    " blocks are more than one launch can take; split the batch");
#if defined(DGF_SIMT)
    simt::launch(dim3(static_cast<unsigned>(blocks)), dim3(threads), kernel, arguments...);
#else
    // clang-format off: it does not know this bracket
    kernel<<<dim3(static_cast<unsigned>(blocks)), dim3(threads), 0, stream_>>>(arguments...);
    // clang-format on
    check(cudaGetLastError(), "a kernel launch");
#endif
  }

 private:
  // Where the tensor's elements lie side by side: its own memory, or a copy that lives until the launches are made.
  const void* readable(const Tensor& tensor, const char* name) const {
    check_device(tensor, name);
    if (tensor.is_contiguous()) return tensor.const_data_ptr();
    return copies_.emplace_back(torch::stable::contiguous(tensor)).const_data_ptr();
  }

  void check_device(const Tensor& tensor, const char* name) const {
    STD_TORCH_CHECK(tensor.is_cuda() == on_.is_cuda() && tensor.get_device_index() == on_.get_device_index(),
                    "deepgen_fast (cuda): ", name, " must be on the device of the other tensors");
  }

  // Whether it lies in memory as [N, H, W, C]; what the stride of a dimension of size 1 says does not matter.
  static bool is_channels_last(const Tensor& tensor) {
    int64_t expected = 1;
    for (int dimension : {1, 3, 2, 0}) {
      if (tensor.size(dimension) != 1 && tensor.stride(dimension) != expected) return false;
      expected *= tensor.size(dimension);
    }
    return true;
  }

  Tensor on_;
  mutable std::vector<Tensor> copies_;
  int multiprocessors_ = 1;
#if !defined(DGF_SIMT)
  void check(cudaError_t error, const char* what) const;

  torch::stable::accelerator::DeviceGuard guard_;
  cudaStream_t stream_ = nullptr;
#endif
};

}  // namespace dgf::cuda
