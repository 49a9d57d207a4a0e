// What tests set of the emulator, reached through ctypes in the same library as the emulated operators.
#include "simt.h"

#define SIMT_EXPORT extern "C" __attribute__((visibility("default")))

SIMT_EXPORT void simt_schedule(unsigned number) { simt::schedule(number); }
SIMT_EXPORT void simt_multiprocessors(int count) { simt::multiprocessors = count; }
SIMT_EXPORT void simt_run_every(unsigned n) { simt::run_every(n); }
