// How launchers look at image tensors [N, C, *spatial]: channels last, or one plane a channel. Both are walked as they
// lie; anything else is copied once, into the format that its strides suggest.
#pragma once

#include "cpu/fresh_memory.h"
#include "cpu/launch.h"

namespace dgf {

using torch::headeronly::MemoryFormat;

inline int64_t spatial_size(const Tensor& tensor) {
  int64_t size = 1;
  for (int64_t i = 2; i < tensor.dim(); ++i) size *= tensor.size(i);
  return size;
}

// Dense with the channels innermost; a dimension of size 1 may have any stride.
inline bool is_channels_last(const Tensor& tensor) {
  if (tensor.size(1) > 1 && tensor.stride(1) != 1) return false;
  int64_t expected = tensor.size(1);
  for (int64_t i = tensor.dim(); i-- > 0;) {
    if (i == 1) continue;
    if (tensor.size(i) > 1 && tensor.stride(i) != expected) return false;
    expected *= tensor.size(i);
  }
  return true;
}

inline MemoryFormat channels_last_format(const Tensor& tensor) {
  return tensor.dim() == 5 ? MemoryFormat::ChannelsLast3d : MemoryFormat::ChannelsLast;
}

// The tensor itself where it is dense, contiguous or channels last; else a dense copy.
inline Tensor dense_channels(const Tensor& tensor) {
  if (tensor.is_contiguous() || is_channels_last(tensor)) return tensor;
  const bool has_format = tensor.dim() == 4 || tensor.dim() == 5;
  const bool innermost = has_format && tensor.stride(1) < tensor.stride(tensor.dim() - 1);
  return torch::stable::contiguous(tensor, innermost ? channels_last_format(tensor) : MemoryFormat::Contiguous);
}

// In the format that `like`, which is dense, has.
inline Tensor dense_channels_like(const Tensor& tensor, const Tensor& like) {
  if (like.is_contiguous()) return dense(tensor);
  if (is_channels_last(tensor)) return tensor;
  return torch::stable::contiguous(tensor, channels_last_format(tensor));
}

// Whether a dense tensor is walked with channels along the lanes. Where both hold, for one channel, its stride tells
// what was meant, as in torch; for one pixel it is the same.
inline bool walks_channels(const Tensor& dense_tensor) {
  return is_channels_last(dense_tensor) && (spatial_size(dense_tensor) == 1 || dense_tensor.stride(1) == 1);
}

// A new tensor with given strides, large ones in huge pages.
inline Tensor empty_strided(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, ScalarType type) {
  AtenTensorHandle handle = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_empty_strided(static_cast<int64_t>(sizes.size()), sizes.data(), strides.data(),
                                                  shim_type(type), aoti_torch_device_type_cpu(), 0, &handle));
  const Tensor tensor(handle);
  prefer_huge_pages(tensor.mutable_data_ptr(), tensor.numel() * static_cast<int64_t>(tensor.element_size()));
  return tensor;
}

inline Tensor empty_image(int64_t batch, int64_t channels, int64_t height, int64_t width, bool channels_last,
                          ScalarType type) {
  const std::vector<int64_t> sizes{batch, channels, height, width};
  if (channels_last) return empty_strided(sizes, {height * width * channels, 1, width * channels, channels}, type);
  return empty_strided(sizes, {channels * height * width, height * width, width, 1}, type);
}

// A new tensor with the sizes and strides of a dense one.
inline Tensor empty_strided_like(const Tensor& like) {
  std::vector<int64_t> strides(like.dim());
  for (int64_t i = 0; i < like.dim(); ++i) strides[i] = like.stride(i);
  return empty_strided(sizes_of(like), strides, like.scalar_type());
}

inline void check_channel_vector(const Tensor& tensor, int64_t channels, ScalarType type, const char* name) {
  STD_TORCH_CHECK(tensor.scalar_type() == type, "deepgen_fast: ", name, " must be ",
                  type == ScalarType::Double ? "float64" : "float32", " for an input of this dtype");
  STD_TORCH_CHECK(tensor.dim() == 1 && tensor.size(0) == channels, "deepgen_fast: ", name, " must have shape [",
                  channels, "], one number a channel");
}

}  // namespace dgf
