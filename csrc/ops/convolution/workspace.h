// Memory that a kernel works in: one block a thread, kept for the next call, so that no call pays for fresh pages.
#pragma once

#include <cstdint>

namespace dgf {

// At least `bytes` bytes, aligned to a page, not initialized; valid until this thread's next call. Other threads (of
// this call, of calls made at the same time, of a forked child) have their own. Freed when the thread ends.
void* thread_workspace(int64_t bytes);

// Bytes that the calling thread holds.
int64_t thread_workspace_bytes();

}  // namespace dgf
