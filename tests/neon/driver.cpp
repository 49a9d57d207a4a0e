// Runs every entry of an instruction set's kernel tables (CHECKED_SET: avx2, avx512 or neon) on fixed inputs: one line
// a case, a hash of all its outputs. The lines of all sets must be the same.
#include "channels.h"
#include "images.h"
#include "rows.h"

#define JOINED(name, set) name##_##set
#define OF_SET(name, set) JOINED(name, set)
#define TABLE(name) *dgf::OF_SET(name, CHECKED_SET)()

int main() {
  check::rows(TABLE(bernoulli), TABLE(gaussian), TABLE(reparameterize_kl));
  check::channels(TABLE(batch_norm), TABLE(minibatch));
  check::images(TABLE(convolution), TABLE(few_channels));
  return 0;
}
