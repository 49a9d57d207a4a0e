#include "cuda/launch.h"

#if defined(DGF_SIMT)

namespace dgf::cuda {

Launcher::Launcher(const Tensor& on) : on_(on), multiprocessors_(simt::multiprocessors) {}

}  // namespace dgf::cuda

#else

#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>

namespace dgf::cuda {
namespace {

using StreamGetter = AOTITorchError (*)(int32_t, void**);

// Looked up at run time: only a CUDA build of torch has it, and the library must load on the others too.
StreamGetter find_stream_getter() {
  const char* name = "aoti_torch_get_current_cuda_stream";
  void* found = dlsym(RTLD_DEFAULT, name);
  if (found == nullptr)
    if (void* torch_cuda = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD)) found = dlsym(torch_cuda, name);
  return reinterpret_cast<StreamGetter>(found);
}

cudaStream_t current_stream(int32_t device) {
  static const StreamGetter getter = find_stream_getter();
  STD_TORCH_CHECK(getter != nullptr,
                  "deepgen_fast (cuda): this torch has no current CUDA stream; install a CUDA build of torch");
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(getter(device, &stream));
  return static_cast<cudaStream_t>(stream);
}

}  // namespace

Launcher::Launcher(const Tensor& on) : on_(on), guard_(on.get_device_index()) {
  const int32_t device = on.get_device_index();
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device), "reading the device");
  stream_ = current_stream(device);
}

void Launcher::check(cudaError_t error, const char* what) const {
  STD_TORCH_CHECK(
      error == cudaSuccess, "deepgen_fast (cuda): ", what, " failed on device ", on_.get_device_index(), ": ",
      cudaGetErrorString(error),
      error == cudaErrorNoKernelImageForDevice ? " (this build has kernels for compute capability 8.0 and newer)" : "");
}

}  // namespace dgf::cuda

#endif
