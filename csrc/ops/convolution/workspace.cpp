#include "ops/convolution/workspace.h"

#include <cstdlib>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dgf {
namespace {

// Kernels walk several streams at once: large pages keep them from missing the TLB.
constexpr int64_t kAlignment = 1 << 21;

struct Workspace {
  void* data = nullptr;
  int64_t bytes = 0;
  ~Workspace() { std::free(data); }

  void* at_least(int64_t wanted) {
    if (wanted <= bytes) return data;
    std::free(data);
    bytes = 0;
    const int64_t rounded = (wanted + kAlignment - 1) / kAlignment * kAlignment;
    data = std::aligned_alloc(kAlignment, rounded);
    if (data == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    madvise(data, rounded, MADV_HUGEPAGE);  // advice: a refusal costs speed alone
#endif
    bytes = rounded;
    return data;
  }
};

thread_local Workspace workspace;

}  // namespace

void* thread_workspace(int64_t bytes) { return workspace.at_least(bytes); }
int64_t thread_workspace_bytes() { return workspace.bytes; }

}  // namespace dgf
