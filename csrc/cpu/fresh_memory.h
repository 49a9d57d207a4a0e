// Large outputs come from the allocator as pages that no one has touched. In pages of 4 KiB their first touch takes
// longer than the arithmetic of most operators here (measured: 24 of 28 ms for 67 MB); in huge pages it does not.
#pragma once

#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dgf {

constexpr int64_t kHugePage = 1 << 21;

// Asks the kernel for huge pages inside [data, data + bytes); only a hint, and no other memory is touched by it.
inline void prefer_huge_pages(void* data, int64_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes < 2 * kHugePage) return;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / kHugePage * kHugePage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

}  // namespace dgf
