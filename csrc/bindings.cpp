// deepgen_fast._C: importing it registers the CPU operators; its own functions tell what was built.
#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>

#include "common/philox.h"
#include "cpu/kernels.h"
#include "ops/convolution/workspace.h"

namespace py = pybind11;

namespace {

// Which instruction set the CPU kernels use, None where this processor has none of those built.
py::object cpu_instruction_set() {
  const dgf::CpuKernels* kernels = dgf::cpu_kernels();
  return kernels ? py::object(py::str(kernels->name)) : py::none();
}

py::list built_instruction_sets() {
  py::list names;
  for (const dgf::CpuKernels* kernels : {dgf::kernels_avx2(), dgf::kernels_avx512(), dgf::kernels_neon()})
    if (kernels) names.append(kernels->name);
  return names;
}

std::array<uint32_t, 4> philox(uint64_t seed, std::array<uint32_t, 4> counter) {
  dgf::philox4x32(seed, counter[0], counter[1], counter[2], counter[3]);
  return counter;
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
  m.def("workspace_bytes", &dgf::thread_workspace_bytes,
        "Bytes that the calling thread keeps for the convolutions' blocks, for tests.");
  m.attr("compiler") = __VERSION__;
}
