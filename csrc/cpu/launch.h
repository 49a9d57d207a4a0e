// What every CPU launcher does: look at tensors as rows of columns, and spread rows over threads.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <vector>

#include "cpu/fresh_memory.h"
#include "cpu/kernels.h"

namespace dgf {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// The table of the instruction set in use, among one operator's tables of each set; null ones are not built.
template <class Kernels>
const Kernels& choose_kernels(std::initializer_list<const Kernels*> tables) {
  const char* name = instruction_set();
  STD_TORCH_CHECK(name != nullptr,
                  "deepgen_fast: no CPU kernels for this processor (AVX2 with FMA, AVX-512 or NEON is needed) or for "
                  "the set named by DEEPGEN_FAST_ISA; use backend=\"reference\"");
  for (const Kernels* table : tables)
    if (table && std::strcmp(table->name, name) == 0) return *table;
  STD_TORCH_CHECK(false, "deepgen_fast: no kernels built for instruction set ", name);
}

inline Element element_of(const Tensor& tensor, const char* name) {
  switch (tensor.scalar_type()) {
    case ScalarType::Float: return Element::kFloat;
    case ScalarType::Double: return Element::kDouble;
    case ScalarType::BFloat16: return Element::kBFloat16;
    case ScalarType::Half: return Element::kHalf;
    default: break;
  }
  STD_TORCH_CHECK(false, "deepgen_fast: ", name, " must be float16, bfloat16, float32 or float64");
}

inline ScalarType accumulation_type(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Double ? ScalarType::Double : ScalarType::Float;
}

inline Tensor dense(const Tensor& tensor) {
  return tensor.is_contiguous() ? tensor : torch::stable::contiguous(tensor);
}

inline std::optional<Tensor> dense(const std::optional<Tensor>& tensor) {
  return tensor ? std::optional<Tensor>(dense(*tensor)) : std::nullopt;
}

inline std::vector<int64_t> sizes_of(const Tensor& tensor) {
  std::vector<int64_t> sizes(tensor.dim());
  for (int64_t i = 0; i < tensor.dim(); ++i) sizes[i] = tensor.size(i);
  return sizes;
}

inline int32_t shim_type(ScalarType type) {
  switch (type) {
    case ScalarType::Double: return aoti_torch_dtype_float64();
    case ScalarType::BFloat16: return aoti_torch_dtype_bfloat16();
    case ScalarType::Half: return aoti_torch_dtype_float16();
    default: return aoti_torch_dtype_float32();
  }
}

// A new contiguous floating tensor on the CPU. The shim is called straight: through the dispatcher an allocation costs
// a microsecond more, which a small batch notices.
inline Tensor allocate(const std::vector<int64_t>& sizes, ScalarType type) {
  std::vector<int64_t> strides(sizes.size());
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0; stride *= std::max<int64_t>(1, sizes[i])) strides[i] = stride;
  AtenTensorHandle handle = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(),
                                                  shim_type(type), aoti_torch_device_type_cpu(), 0, &handle));
  return Tensor(handle);
}

// First touches of fresh memory cost several times the arithmetic, see csrc/cpu/fresh_memory.h.
inline Tensor empty(const std::vector<int64_t>& sizes, ScalarType type) {
  const Tensor made = allocate(sizes, type);
  const int64_t bytes = made.numel() * (type == ScalarType::Double ? 8 : type == ScalarType::Float ? 4 : 2);
  if (const int64_t block = block_to_free(bytes)) allocate({block / 4}, ScalarType::Float);
  prefer_huge_pages(made.mutable_data_ptr(), bytes);
  return made;
}

inline Tensor empty_shaped(const Tensor& like, ScalarType type) { return empty(sizes_of(like), type); }
// What stands for a gradient that nobody asked for.
inline Tensor nothing(const Tensor& like) { return empty({0}, like.scalar_type()); }

// The row view: the first `leading` dimensions count rows, the rest are the event's columns.
struct Rows {
  int64_t rows = 1, columns = 1;
  Rows(const Tensor& tensor, int64_t leading) {
    for (int64_t i = 0; i < tensor.dim(); ++i) (i < leading ? rows : columns) *= tensor.size(i);
  }
  bool empty() const { return rows == 0 || columns == 0; }
};

// How many rows an operand that repeats has; its shape was checked by the public function, its size here.
inline int64_t repeating_rows(const Tensor& operand, const Rows& view, const char* name) {
  const int64_t rows = view.columns ? operand.numel() / view.columns : 0;
  const bool whole_rows = operand.numel() == rows * view.columns;
  STD_TORCH_CHECK(whole_rows && (view.empty() || (rows > 0 && view.rows % rows == 0)), "deepgen_fast: ", name,
                  " does not repeat over the rows of the input");
  return std::max<int64_t>(rows, 1);
}

inline RowOperand row_operand(const std::optional<Tensor>& operand, const Tensor& like, const Rows& view,
                              const char* name) {
  if (!operand) return {nullptr, 1};
  STD_TORCH_CHECK(operand->scalar_type() == like.scalar_type(), "deepgen_fast: ", name, " must have the input's dtype");
  return {operand->const_data_ptr(), repeating_rows(*operand, view, name)};
}

inline RowOperand mask_operand(const std::optional<Tensor>& mask, const Rows& view) {
  if (!mask) return {nullptr, 1};
  STD_TORCH_CHECK(mask->scalar_type() == ScalarType::Bool, "deepgen_fast: mask must be bool");
  return {mask->const_data_ptr(), repeating_rows(*mask, view, "mask")};
}

inline Target target_operand(const Tensor& target, const Tensor& output, const Rows& view) {
  TargetKind kind = TargetKind::kSame;
  if (target.scalar_type() != output.scalar_type()) {
    const bool byte = target.scalar_type() == ScalarType::Byte || target.scalar_type() == ScalarType::Bool;
    STD_TORCH_CHECK(byte || target.scalar_type() == ScalarType::Float,
                    "deepgen_fast: target must be of the input's dtype, float32, uint8 or bool");
    kind = byte ? TargetKind::kByte : TargetKind::kFloat;
  }
  return {target.const_data_ptr(), repeating_rows(target, view, "target"), kind};
}

inline void check_numel(const Tensor& tensor, int64_t numel, const char* name) {
  STD_TORCH_CHECK(tensor.numel() == numel, "deepgen_fast: ", name, " has ", tensor.numel(), " elements, expected ",
                  numel);
}

// Work below this many elements is not worth another thread: waking one costs some microseconds.
constexpr int64_t kGrain = 8192;
// A longer row is cut into chunks that threads share; a multiple of the columns a Philox counter and a lane block
// cover.
constexpr int64_t kChunk = 1 << 15;

inline int64_t chunks_of(int64_t columns) { return std::max<int64_t>(1, (columns + kChunk - 1) / kChunk); }

// Calls work(span) over all rows, and gives each row's sum, its chunks added in order: the result does not depend on
// the number of threads. `weight` scales the work of one element against kGrain.
template <class F>
std::vector<double> over_rows(const Rows& view, int64_t weight, F work) {
  const int64_t chunks = chunks_of(view.columns);
  std::vector<double> partial(view.rows * chunks, 0.0);
  if (view.empty()) return partial;
  const auto span = [&](int64_t row_begin, int64_t row_end, int64_t chunk) {
    const int64_t begin = chunks == 1 ? 0 : chunk * kChunk;
    work(Span{row_begin, row_end, begin, chunks == 1 ? view.columns : std::min(begin + kChunk, view.columns), chunk,
              chunks, partial.data()});
  };
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, std::min(view.columns, kChunk) * weight));
  if (chunks == 1 && view.rows <= grain) {
    span(0, view.rows, 0);
  } else if (chunks == 1) {
    torch::stable::parallel_for(0, view.rows, grain, [&](int64_t begin, int64_t end) { span(begin, end, 0); });
  } else {
    torch::stable::parallel_for(0, view.rows * chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) span(unit / chunks, unit / chunks + 1, unit % chunks);
    });
  }
  if (chunks > 1)
    for (int64_t row = 0; row < view.rows; ++row) {
      double sum = 0.0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[row * chunks + chunk];
      partial[row] = sum;
    }
  return partial;
}

// Stores per-row sums in a tensor of the accumulation type.
inline void store_rows(const std::vector<double>& sums, int64_t rows, double scale, const Tensor& to) {
  if (to.scalar_type() == ScalarType::Double) {
    double* out = static_cast<double*>(to.mutable_data_ptr());
    for (int64_t row = 0; row < rows; ++row) out[row] = scale * sums[row];
  } else {
    float* out = static_cast<float*>(to.mutable_data_ptr());
    for (int64_t row = 0; row < rows; ++row) out[row] = static_cast<float>(scale * sums[row]);
  }
}

}  // namespace dgf
