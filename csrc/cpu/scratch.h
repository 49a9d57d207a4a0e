// Working memory of one call, zero at first. Included once per instruction set.
template <class A>
struct Scratch {
  A* data;
  explicit Scratch(int64_t count) : data((A*)__builtin_calloc(count, sizeof(A))) {
    if (!data) __builtin_trap();
  }
  Scratch(const Scratch&) = delete;
  ~Scratch() { __builtin_free(data); }
  __attribute__((always_inline)) A& operator[](int64_t i) const { return data[i]; }
};
