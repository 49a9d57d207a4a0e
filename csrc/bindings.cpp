// deepgen_fast._C: importing it registers the CPU operators; its own functions tell what was built.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <vector>

#include "math/philox.h"
#include "cpu/kernels.h"
#include "ops/convolution/workspace.h"
#include "ops/reparameterize_kl/arguments.h"
#include "ops/reparameterize_kl/math.h"

namespace py = pybind11;

namespace {

// Which instruction set the CPU kernels use, None where this processor has none of those built.
py::object cpu_instruction_set() {
  const char* name = dgf::instruction_set();
  return name ? py::object(py::str(name)) : py::none();
}

py::list built_instruction_sets() {
  py::list names;
  for (const auto* kernels :
       {dgf::reparameterize_kl_avx2(), dgf::reparameterize_kl_avx512(), dgf::reparameterize_kl_neon()})
    if (kernels) names.append(kernels->name);
  return names;
}

std::array<uint32_t, 4> philox(uint64_t seed, std::array<uint32_t, 4> counter) {
  dgf::philox4x32(seed, counter[0], counter[1], counter[2], counter[3]);
  return counter;
}

// Where a matrix would begin whose rows from `first` on are these.
template <class T>
T* matrix_of(std::vector<T>& rows, int64_t first, int64_t columns) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(rows.data()) - sizeof(T) * first * columns);
}

// What the kernels draw for some rows of a batch that may be too large to exist: philox_normal for any sample,
// reparameterize_kl (as z) and its backward (as the gradient of the deviation) for sample 0.
std::array<std::vector<float>, 3> noise_of_examples(uint64_t seed, int64_t sample, int64_t first, int64_t rows,
                                                    int64_t columns) {
  const dgf::ReparameterizeKernels& kernels = dgf::reparameterize_kl_kernels();
  const size_t size = static_cast<size_t>(rows * columns);
  std::vector<float> zero(size, 0.0f), one(size, 1.0f), noise(size), z(size), grad_mean(size), grad_std(size);
  std::vector<double> sums(static_cast<size_t>(rows));
  const dgf::Span span{first, first + rows, 0, columns, 0, 1, matrix_of(sums, first, 1)};
  dgf::PosteriorArguments arguments{};
  arguments.mean = matrix_of(zero, first, columns);
  arguments.scale = matrix_of(one, first, columns);
  arguments.seed = seed;
  arguments.batch = first + rows;
  arguments.columns = columns;
  arguments.samples = 1;
  arguments.scale_kind = dgf::kStandardDeviation;
  arguments.z = matrix_of(z, first, columns);
  arguments.grad_z = arguments.scale;
  arguments.grad_mean = matrix_of(grad_mean, first, columns);
  arguments.grad_scale = matrix_of(grad_std, first, columns);
  const int element = static_cast<int>(dgf::Element::kFloat);
  kernels.forward[element](arguments, span);
  kernels.backward[element](arguments, span);
  kernels.philox_normal(seed, sample, first, first + rows, columns, matrix_of(noise, first, columns));
  return {noise, z, grad_std};
}

}  // namespace

PYBIND11_MODULE(_C, m) {
  m.doc() = "Build facts of deepgen_fast's CPU library, and Philox words for tests.";
  m.def("cpu_instruction_set", &cpu_instruction_set, "Name of the instruction set in use, or None.");
  m.def("built_instruction_sets", &built_instruction_sets, "Names of the instruction sets that were compiled.");
  m.def(
      "philox",
      [](uint64_t seed, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
        const std::array<uint32_t, 4> words = philox(seed, {c0, c1, c2, c3});
        return py::make_tuple(words[0], words[1], words[2], words[3]);
      },
      py::arg("seed"), py::arg("word0"), py::arg("word1"), py::arg("word2"), py::arg("word3"),
      "The four output words of Philox4x32-10 for one counter.");
  m.def(
      "noise_of_examples", &noise_of_examples, py::arg("seed"), py::arg("sample"), py::arg("first"), py::arg("rows"),
      py::arg("columns"),
      "Noise [rows, columns] of a batch's examples from `first` on, as philox_normal (of `sample`), reparameterize_kl "
      "and its backward (of sample 0) draw it, for tests.");
  m.def("workspace_bytes", &dgf::thread_workspace_bytes,
        "Bytes that the calling thread keeps for the convolutions' blocks, for tests.");
  m.attr("compiler") = __VERSION__;
}
