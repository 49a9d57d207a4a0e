// Preloaded, it gives the blocks that torch allocates for CPU tensors pages of their own, between pages that nobody may
// touch. A write into the few bytes that alignment leaves between a block and those pages is found when it is freed.
//
// torch asks for 64-byte alignment through posix_memalign; every other allocation is the C library's. guard_from(1)
// starts it, with blocks that end where a guard page begins; guard_from(2) with blocks that begin where one ends.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { kPage = 4096, kAlignment = 64, kFill = 0xA5, kMost = 1 << 26 };
static const size_t kRegion = (size_t)1 << 38;

extern void __libc_free(void*);
extern void* __libc_memalign(size_t, size_t);

static int edge;
static uint8_t *region, *next;
static int lock;

// At the start of a block's first page, which is forbidden while the block lives.
struct Header {
  size_t bytes, pages, offset;
};

__attribute__((visibility("default"))) void guard_from(int wanted) { edge = wanted; }

int posix_memalign(void** out, size_t alignment, size_t bytes) {
  if (!edge || alignment != kAlignment || bytes == 0 || bytes > kMost) {
    *out = __libc_memalign(alignment, bytes);
    return *out ? 0 : ENOMEM;
  }
  while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
  }
  if (!region) region = next = mmap(0, kRegion, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  const size_t inner = (bytes + kPage - 1) / kPage * kPage;
  uint8_t* start = next;
  next += inner + 2 * kPage;
  __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  if (region == MAP_FAILED || next > region + kRegion) abort();
  mprotect(start, kPage + inner, PROT_READ | PROT_WRITE);
  const size_t offset = edge == 1 ? (inner - bytes) / kAlignment * kAlignment : 0;
  *(struct Header*)start = (struct Header){bytes, inner / kPage, offset};
  memset(start + kPage, kFill, inner);
  mprotect(start, kPage, PROT_NONE);
  *out = start + kPage + offset;
  return 0;
}

void free(void* block) {
  uint8_t* at = block;
  if (!region || at < region || at >= region + kRegion) {
    __libc_free(block);
    return;
  }
  uint8_t* start = (uint8_t*)((uintptr_t)at / kPage * kPage) - kPage;  // an offset is less than a page
  mprotect(start, kPage, PROT_READ);
  const struct Header header = *(const struct Header*)start;
  if (start + kPage + header.offset != at) abort();
  const uint8_t *first = start + kPage, *last = first + header.pages * kPage;
  for (const uint8_t* byte = first; byte < last; ++byte)
    if ((byte < at || byte >= at + header.bytes) && *byte != kFill) {
      fprintf(stderr, "a write %s a block of %zu bytes\n", byte < at ? "before" : "past", header.bytes);
      fflush(stderr);
      abort();
    }
  madvise(start, kPage + header.pages * kPage, MADV_DONTNEED);
  mprotect(start, kPage + header.pages * kPage, PROT_NONE);
}
