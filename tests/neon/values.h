// Inputs that are the same on every processor, and what a kernel left in its outputs as one number a case.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "cpu/kernels.h"

namespace check {

using dgf::BFloat16;
using dgf::Half;

template <class T>
constexpr int element() {
  return std::is_same_v<T, float> ? 0 : std::is_same_v<T, double> ? 1 : std::is_same_v<T, BFloat16> ? 2 : 3;
}
template <class T>
using Accumulate = std::conditional_t<std::is_same_v<T, double>, double, float>;

inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <class T>
T number(float value) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return {static_cast<uint16_t>(bits >> 16)};
  } else if constexpr (std::is_same_v<T, Half>) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    const int exponent = static_cast<int>(bits >> 23 & 0xff) - 127 + 15;  // fractions are cut off
    if (std::isnan(value)) return {0x7e00};
    if (exponent >= 31) return {static_cast<uint16_t>(sign | 0x7c00)};
    if (exponent <= 0) return {static_cast<uint16_t>(sign | (value == 0.0f ? 0 : 1))};
    return {static_cast<uint16_t>(sign | exponent << 10 | (bits >> 13 & 0x3ff))};
  } else {
    return static_cast<T>(value);
  }
}

inline bool is_nan(float v) { return std::isnan(v); }
inline bool is_nan(double v) { return std::isnan(v); }
inline bool is_nan(BFloat16 v) { return (v.raw & 0x7fff) > 0x7f80; }
inline bool is_nan(Half v) { return (v.raw & 0x7fff) > 0x7c00; }
inline bool is_nan(uint8_t) { return false; }

// Memory on a line of the cache, with a margin behind it that some kernels read and none may use; one that is written
// ends the program.
template <class T>
struct Buffer {
  static constexpr int64_t kMargin = 256;
  static constexpr unsigned char kUntouched = 0xa5;
  std::vector<unsigned char> bytes;
  T* data;
  int64_t count;

  explicit Buffer(int64_t count_) : bytes((count_ + kMargin) * sizeof(T) + 64, kUntouched), count(count_) {
    data = reinterpret_cast<T*>((reinterpret_cast<uintptr_t>(bytes.data()) + 63) / 64 * 64);
  }
  Buffer(Buffer&&) = default;
  ~Buffer() {
    const auto* begin = reinterpret_cast<const unsigned char*>(data);
    for (const unsigned char& byte : bytes) {
      const bool inside = &byte >= begin && &byte < begin + count * sizeof(T);
      if (!inside && byte != kUntouched) {
        fprintf(stderr, "written outside of %lld elements of %zu bytes\n", static_cast<long long>(count), sizeof(T));
        abort();
      }
    }
  }
};

// Numbers in [-4, 4), about one in nine of them special where that is asked for.
template <class T>
Buffer<T> numbers(int64_t count, uint64_t seed, bool special = false, float scale = 1.0f, float offset = 0.0f) {
  static const float kSpecial[] = {std::numeric_limits<float>::infinity(),
                                   -std::numeric_limits<float>::infinity(),
                                   std::numeric_limits<float>::quiet_NaN(),
                                   0.0f,
                                   -0.0f,
                                   1e30f,
                                   -1e30f,
                                   1e-40f,
                                   88.5f,
                                   -88.5f,
                                   103.9f,
                                   -104.1f,
                                   1e-7f,
                                   20.25f};
  Buffer<T> made(count);
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = mix(seed * 0x9e3779b97f4a7c15ull + i + 1);
    float value = (static_cast<float>(bits % 65536) / 8192.0f - 4.0f) * scale + offset;
    if (special && (bits >> 20) % 9 == 0) value = kSpecial[(bits >> 32) % (sizeof(kSpecial) / sizeof(float))];
    made.data[i] = number<T>(value);
  }
  return made;
}

inline Buffer<uint8_t> flags(int64_t count, uint64_t seed) {
  Buffer<uint8_t> made(count);
  for (int64_t i = 0; i < count; ++i) made.data[i] = mix(seed + 77 * i) % 4 != 0;
  return made;
}

// One line a case. A NaN is a NaN: its sign and payload are the processor's choice.
class Report {
 public:
  void begin(const std::string& entry, const std::string& what) {
    name_ = entry + " " + what;
    hash_ = 0xcbf29ce484222325ull;
  }
  template <class T>
  void add(const T* values, int64_t count) {
    static const unsigned char kNan[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int64_t i = 0; i < count; ++i) {
      const auto* bytes = is_nan(values[i]) ? kNan : reinterpret_cast<const unsigned char*>(values + i);
      for (size_t b = 0; b < sizeof(T); ++b) hash_ = (hash_ ^ bytes[b]) * 0x100000001b3ull;
    }
  }
  template <class T>
  void add(const Buffer<T>& buffer) {
    add(buffer.data, buffer.count + Buffer<T>::kMargin);  // nothing may be written behind an output
  }
  void end() { std::printf("%s %016llx\n", name_.c_str(), static_cast<unsigned long long>(hash_)); }

 private:
  std::string name_;
  uint64_t hash_ = 0;
};

inline Report report;

template <class T>
std::string named(const char* table, const char* entry) {
  static const char* const kNames[] = {"float32", "float64", "bfloat16", "float16"};
  return std::string(table) + "." + entry + "[" + kNames[element<T>()] + "]";
}

}  // namespace check
