// Philox noise for a run of examples, 64 columns at a time, written in column order.

// Lane l computes counter number kLaneOrder[l] of its block of 16, so that after the transpose each of the four
// vectors holds 16 neighboring columns.
static const uint32_t kLaneOrder[kLanes] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};

// Noise of examples [example, ...) starting at column group `group`, for `count` groups of four columns in all.
// A row occupies `groups` groups; what lies past a row's last column is noise nobody reads. Writes
// round_up(count, 16) * 4 floats.
DGF_OUT_OF_LINE void fill_noise(uint64_t seed, int64_t sample, int64_t example, int64_t group, int64_t groups,
                                int64_t count, float* noise) {
  // Each lane's (example, group) pair, stepped 16 counters at a time without a division.
  uint32_t first_example[kLanes], first_group[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    const int64_t position = group + kLaneOrder[l];
    first_example[l] = (uint32_t)(example + position / groups);
    first_group[l] = (uint32_t)(position % groups);
  }
  Words lane_example, lane_group;
  memcpy(&lane_example, first_example, sizeof first_example);
  memcpy(&lane_group, first_group, sizeof first_group);
  const uint32_t high = (uint32_t)((uint64_t)example >> 32);
  const Words low_start((uint32_t)example), row_groups((uint32_t)groups);
  const Words step_example((uint32_t)(kLanes / groups)), step_group((uint32_t)(kLanes % groups));
  for (int64_t done = 0; done < count; done += kLanes, noise += 4 * kLanes) {
    Words word0 = lane_group, word1 = lane_example;
    // The low word wraps where the example index passes a multiple of 2^32.
    Words word2 = select(lane_example < low_start, Words(high + 1), Words(high));
    Words word3((uint32_t)sample);
    philox4x32(seed, word0, word1, word2, word3);
    Floats normal0, normal1, normal2, normal3;
    box_muller(word0, word1, normal0, normal1);
    box_muller(word2, word3, normal2, normal3);
    transpose_quads(normal0, normal1, normal2, normal3);
    store_vector(normal0, noise);
    store_vector(normal1, noise + kLanes);
    store_vector(normal2, noise + 2 * kLanes);
    store_vector(normal3, noise + 3 * kLanes);
    lane_group = lane_group + step_group;
    const Mask carry = lane_group >= row_groups;
    lane_group = select(carry, lane_group - row_groups, lane_group);
    lane_example = lane_example + step_example + select(carry, Words(1u), Words(0u));
  }
}

static void philox_normal(uint64_t seed, int64_t sample, int64_t begin, int64_t end, int64_t columns, float* noise) {
  constexpr int64_t kTileGroups = 512;
  float tile[kTileGroups * 4];
  const int64_t groups = (columns + 3) / 4;
  for (int64_t example = begin; example < end; ++example)
    for (int64_t group = 0; group < groups; group += kTileGroups) {
      const int64_t count = groups - group < kTileGroups ? groups - group : kTileGroups;
      fill_noise(seed, sample, example, group, groups, count, tile);
      const int64_t width = columns - group * 4 < count * 4 ? columns - group * 4 : count * 4;
      memcpy(noise + example * columns + group * 4, tile, width * sizeof(float));
    }
}
