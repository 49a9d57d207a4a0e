// What makes large outputs cheap: memory that stays mapped between calls, and large pages where it cannot.
//
// A page's first touch costs more than a microsecond on a virtual machine, as much as 4,000 floats' worth of
// arithmetic.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dgf {

// glibc hands the free end of the heap back to the system as soon as it exceeds twice the largest mapped block that the
// process has ever freed. Two gradients of one size, freed together, exceed it in every step, and every step touches
// all of their pages anew. One larger block, freed once and never touched, keeps them. Returns its size in bytes, or 0
// when no output has grown past those that it was made for.
inline int64_t block_to_free(int64_t bytes) {
  constexpr int64_t kSmallestMapped = 128 << 10, kLargestCounted = 31 << 20;  // glibc looks at blocks up to 32 MiB
  constexpr int64_t kOutputs = 4;
  static std::atomic<int64_t> settled{kSmallestMapped};
  if (bytes <= settled.load(std::memory_order_relaxed)) return 0;
  settled.store(bytes, std::memory_order_relaxed);
  return std::min(kOutputs * bytes, kLargestCounted);
}

// What is larger still is mapped anew at each call: in pages of 2 MiB, where the system grants them, 512 times fewer.
inline void prefer_huge_pages(void* data, int64_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t kPage = 2 << 20;
  if (bytes < static_cast<int64_t>(4 * kPage)) return;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(bytes)) / kPage * kPage;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // a wish: where it fails, nothing is lost
#else
  (void)data;
  (void)bytes;
#endif
}

}  // namespace dgf
