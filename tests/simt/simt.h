// A SIMT emulator: runs CUDA kernels on the CPU, compiled from their own source by an ordinary C++ compiler.
//
// Each CUDA thread is a fiber (ucontext). Blocks run one after another; within a block the scheduler runs fibers
// until every one of them waits at a barrier or a warp operation, then lets go those whose rendezvous is complete.
//
//   simt::schedule(3);  // 0 in thread order; 1 reversed; n > 1 shuffled by seed n, with some warps far behind
//   simt::launch(dim3(blocks), dim3(threads), kernel, argument...);
//
// What it finds, always as a std::runtime_error naming block and threads:
//   - __syncthreads() that some threads of the block never reach, or shuffles that lanes of the mask never join;
//   - lanes that meet in different warp operations, or with different masks;
//   - shuffles that read a lane outside the mask (an undefined value on a GPU).
// Missing barriers show as results that change with the schedule. Out-of-bounds accesses show under
// -fsanitize=address, for which every switch of stacks is announced. Not modeled: speed, weak memory ordering,
// tensor cores, lockstep execution within a warp (code that relies on it breaks here, as it may on a GPU).
//
// Supported: threadIdx .. gridDim, __shared__ (static arrays; their content is left over from the last block),
// __syncthreads, __syncwarp, __shfl_sync, __shfl_xor_sync, __shfl_down_sync, __ldg, __stwb, min. One host thread at a
// time.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace simt {

constexpr unsigned kWarpSize = 32;
constexpr size_t kStackBytes = 256 * 1024;

enum class State { kReady, kAtBarrier, kAtWarpOperation, kFinished };
enum class WarpOperation { kSync, kShuffle };

// A stack on which one CUDA thread runs, and what it waits for.
struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack = std::make_unique<std::byte[]>(kStackBytes);
  State state = State::kReady;
  // The warp operation it waits in: the lanes taking part, what it gives, from whom it takes, what it got.
  WarpOperation operation = WarpOperation::kSync;
  uint32_t mask = 0;
  uint64_t given = 0, received = 0;
  unsigned source = 0;
  void* sanitizer_stack = nullptr;
};

class Emulator {
 public:
  void run(dim3 grid, dim3 block, std::function<void()> body) {
    if (running_) throw std::runtime_error("simt: a kernel was launched from inside a kernel");
    if (block.x * block.y * block.z == 0 || block.x * block.y * block.z > 1024)
      throw std::runtime_error("simt: a block has 1 to 1024 threads");
    Running guard(running_);
    ::gridDim = grid;
    ::blockDim = block;
    body_ = std::move(body);
    threads_ = block.x * block.y * block.z;
    while (fibers_.size() < threads_) fibers_.push_back(std::make_unique<Fiber>());
    order_.resize(threads_);
    for (unsigned i = 0; i < threads_; ++i) order_[i] = i;
    uint64_t left = static_cast<uint64_t>(grid.x) * grid.y * grid.z;
    for (unsigned z = 0; z < grid.z; ++z)
      for (unsigned y = 0; y < grid.y; ++y)
        for (unsigned x = 0; x < grid.x; ++x) {
          if (--left % every_ != 0) continue;
          ::blockIdx = dim3(x, y, z);
          run_block();
        }
  }

  void set_every(unsigned every) { every_ = every; }

  void set_schedule(unsigned schedule) {
    schedule_ = schedule;
    shuffle_.seed(schedule);
  }

  void barrier() { wait(State::kAtBarrier); }

  void warp_sync(uint32_t mask) {
    current().source = lane();
    meet(WarpOperation::kSync, mask);
  }

  // Gives `value` to the lanes of the mask that ask for it, and returns what lane `source` gave.
  uint64_t exchange(uint32_t mask, uint64_t value, unsigned source) {
    if (!(mask >> source & 1)) fail("a shuffle reads a lane outside its mask");
    current().given = value;
    current().source = source;
    meet(WarpOperation::kShuffle, mask);
    return current().received;
  }

  unsigned lane() const { return current_ % kWarpSize; }

 private:
  struct Running {
    explicit Running(bool& flag) : flag(flag) { flag = true; }
    ~Running() { flag = false; }
    bool& flag;
  };

  Fiber& current() { return *fibers_[current_]; }

  void run_block() {
    failure_.clear();
    for (unsigned i = 0; i < threads_; ++i) start(*fibers_[i]);
    const uint32_t slow_warps = schedule_ > 1 ? static_cast<uint32_t>(shuffle_()) : 0;
    const auto slow = [&](unsigned i) { return (slow_warps >> i / kWarpSize & 1) != 0; };
    for (;;) {
      if (schedule_ > 1) std::shuffle(order_.begin(), order_.end(), shuffle_);
      // Slow warps move only when no other can: what they have yet to read, others may long have overwritten.
      const bool moved = run_ready([&](unsigned i) { return !slow(i); }) || run_ready(slow);
      if (!failure_.empty()) throw std::runtime_error(failure_);
      if (count(State::kFinished) == threads_) return;
      const bool warps_released = release_warps();
      if (!release_barrier() && !warps_released && !moved) fail_stuck();
    }
  }

  // Runs the ready fibers that are chosen, each until it waits or ends; false if there was none.
  template <class Choice>
  bool run_ready(Choice chosen) {
    bool moved = false;
    for (unsigned k = 0; k < threads_; ++k) {
      const unsigned i = order_[schedule_ == 1 ? threads_ - 1 - k : k];
      if (fibers_[i]->state != State::kReady || !chosen(i)) continue;
      enter(i);
      moved = true;
    }
    return moved;
  }

  void start(Fiber& fiber) {
    fiber.state = State::kReady;
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack.get(), kStackBytes);  // a failed launch leaves its frames poisoned
#endif
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &Emulator::entry, 0);
  }

  static void entry();

  void thread_main() {
    finish_switch(nullptr, &scheduler_stack_, &scheduler_stack_bytes_);
    try {
      body_();
    } catch (const std::exception& error) {
      if (failure_.empty()) failure_ = error.what();
    }
    current().state = State::kFinished;
    leave();
  }

  // Scheduler -> fiber, until it waits or ends.
  void enter(unsigned thread) {
    current_ = thread;
    ::threadIdx =
        dim3(thread % ::blockDim.x, thread / ::blockDim.x % ::blockDim.y, thread / (::blockDim.x * ::blockDim.y));
    Fiber& fiber = current();
    void* stack = nullptr;
    start_switch(&stack, fiber.stack.get(), kStackBytes);
    swapcontext(&scheduler_, &fiber.context);
    finish_switch(stack, nullptr, nullptr);
  }

  // Fiber -> scheduler.
  void leave() {
    Fiber& fiber = current();
    // A finished fiber never returns: a null pointer tells the sanitizer to drop its fake stack.
    start_switch(fiber.state == State::kFinished ? nullptr : &fiber.sanitizer_stack, scheduler_stack_,
                 scheduler_stack_bytes_);
    swapcontext(&fiber.context, &scheduler_);
    finish_switch(fiber.sanitizer_stack, &scheduler_stack_, &scheduler_stack_bytes_);
  }

  void wait(State state) {
    current().state = state;
    leave();
  }

  void meet(WarpOperation operation, uint32_t mask) {
    if (!(mask >> lane() & 1)) fail("a lane calls a warp operation whose mask does not name it");
    current().operation = operation;
    current().mask = mask;
    wait(State::kAtWarpOperation);
  }

  // Lets go every warp operation whose named lanes have all arrived.
  bool release_warps() {
    bool released = false;
    for (unsigned first = 0; first < threads_; first += kWarpSize) {
      const unsigned lanes = std::min(kWarpSize, threads_ - first);
      for (unsigned leader = 0; leader < lanes; ++leader) {
        const Fiber& waiting = *fibers_[first + leader];
        if (waiting.state != State::kAtWarpOperation) continue;
        bool complete = true;
        for (unsigned lane = 0; lane < kWarpSize; ++lane) {
          if (!(waiting.mask >> lane & 1)) continue;
          if (lane >= lanes || fibers_[first + lane]->state == State::kFinished)
            throw std::runtime_error(place(first + leader) + ": a warp operation names lane " + std::to_string(lane) +
                                     ", which has exited or does not exist");
          const Fiber& other = *fibers_[first + lane];
          if (other.state != State::kAtWarpOperation) {
            complete = false;
          } else if (other.mask != waiting.mask || other.operation != waiting.operation) {
            throw std::runtime_error(place(first + leader) + ": lanes of one warp meet in different operations");
          }
        }
        if (!complete) continue;
        for (unsigned lane = 0; lane < lanes; ++lane) {
          if (!(waiting.mask >> lane & 1)) continue;
          Fiber& fiber = *fibers_[first + lane];
          fiber.received = fibers_[first + fiber.source]->given;
          fiber.state = State::kReady;
        }
        released = true;
      }
    }
    return released;
  }

  bool release_barrier() {
    if (count(State::kAtBarrier) != threads_) return false;
    for (unsigned i = 0; i < threads_; ++i) fibers_[i]->state = State::kReady;
    return true;
  }

  unsigned count(State state) const {
    unsigned n = 0;
    for (unsigned i = 0; i < threads_; ++i) n += fibers_[i]->state == state;
    return n;
  }

  [[noreturn]] void fail_stuck() const {
    throw std::runtime_error(place(0) + ": threads wait for each other: " + std::to_string(count(State::kAtBarrier)) +
                             " at __syncthreads(), " + std::to_string(count(State::kAtWarpOperation)) +
                             " in warp operations, " + std::to_string(count(State::kFinished)) + " exited, of " +
                             std::to_string(threads_));
  }

  [[noreturn]] void fail(const char* what) const { throw std::runtime_error(place(current_) + ": " + what); }

  std::string place(unsigned thread) const {
    return "simt: block (" + std::to_string(::blockIdx.x) + ", " + std::to_string(::blockIdx.y) + ", " +
           std::to_string(::blockIdx.z) + "), thread " + std::to_string(thread);
  }

  static void start_switch([[maybe_unused]] void** save, [[maybe_unused]] const void* bottom,
                           [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(save, bottom, bytes);
#endif
  }

  static void finish_switch([[maybe_unused]] void* save, [[maybe_unused]] const void** bottom,
                            [[maybe_unused]] size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(save, bottom, bytes);
#endif
  }

  bool running_ = false;
  unsigned schedule_ = 0, threads_ = 0, current_ = 0, every_ = 1;
  std::mt19937 shuffle_;
  std::vector<unsigned> order_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::function<void()> body_;
  std::string failure_;
  ucontext_t scheduler_;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_stack_bytes_ = 0;
};

inline Emulator emulator;

inline void Emulator::entry() { emulator.thread_main(); }

// How the threads of a block are interleaved from now on.
inline void schedule(unsigned number) { emulator.set_schedule(number); }

// Of each launch, run the last block and every n-th before it: for tensors too large to be walked whole.
inline void run_every(unsigned n) { emulator.set_every(n); }

// What the emulated GPU reports: launchers size their grids by it, and results must not depend on it.
inline int multiprocessors = 2;

template <class... Parameters, class... Arguments>
void launch(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
  emulator.run(grid, block, [=] { kernel(arguments...); });
}

template <class T>
T exchange(uint32_t mask, T value, unsigned source) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulator.exchange(mask, bits, source);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace simt

inline void __syncthreads() { simt::emulator.barrier(); }
inline void __syncwarp(uint32_t mask = 0xffffffffu) { simt::emulator.warp_sync(mask); }

template <class T>
T __shfl_sync(uint32_t mask, T value, int source) {
  return simt::exchange(mask, value, static_cast<unsigned>(source) % simt::kWarpSize);
}

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits) {
  return simt::exchange(mask, value, (simt::emulator.lane() ^ static_cast<unsigned>(bits)) % simt::kWarpSize);
}

template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta) {
  const unsigned lane = simt::emulator.lane();
  return simt::exchange(mask, value, lane + delta < simt::kWarpSize ? lane + delta : lane);
}

template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}

template <class T>
T __ldg(const T* address) {
  return *address;
}

template <class T>
void __stwb(T* address, T value) {
  *address = value;
}
