// How the CPU launchers walk a dense tensor channel by channel: its rows, their segments on threads, and sums over
// them.
#pragma once

#include "cpu/channels.h"
#include "ops/batch_norm_act/arguments.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace dgf {

// A row of whole pixels is at least this long, so that walking it is mostly one loop.
constexpr int64_t kRow = 256;
// Sums are taken over at most so many segments, each at least so many elements, and then added in order: the split
// depends on the shape alone.
constexpr int64_t kSegments = 32;
constexpr int64_t kSegmentElements = 1 << 16;

// A dense tensor as rows whose parameters repeat, see ChannelRows.
struct ChannelView {
  ChannelRows rows;
  int64_t channels, batch, pixels, elements;
  int64_t repeat;  // pixels in a row, channels last

  explicit ChannelView(const Tensor& tensor)
      : channels(tensor.size(1)), batch(tensor.size(0)), pixels(spatial_size(tensor)), elements(tensor.numel()) {
    rows.channels_last = walks_channels(tensor);
    const int64_t least = 16 / std::gcd<int64_t>(channels, 16);
    repeat = channels ? least * ((kRow + least * channels - 1) / (least * channels)) : 1;
    rows.width = rows.channels_last ? repeat * channels : pixels;
  }

  int64_t count() const { return batch * pixels; }
  // How many numbers an array of parameters, or of a segment's sums, has.
  int64_t parameters() const { return rows.channels_last ? rows.width : channels * 16; }
  int64_t sums() const { return rows.channels_last ? rows.width : 16; }

  // All segments of at least `least` elements, whole rows, no more than `most` of them if channels last; pieces of
  // planes else.
  std::vector<Segment> segments(int64_t least, int64_t most) const {
    std::vector<Segment> found;
    if (elements == 0) return found;
    if (rows.channels_last) {
      const int64_t all = (elements + rows.width - 1) / rows.width;
      const int64_t each = std::max((least + rows.width - 1) / rows.width, (all + most - 1) / most);
      for (int64_t row = 0; row < all; row += each)
        found.push_back({row * rows.width, std::min((row + each) * rows.width, elements), 0});
    } else {
      for (int64_t plane = 0; plane < batch * channels; ++plane)
        for (int64_t at = 0; at < pixels; at += kSegmentElements)
          found.push_back(
              {plane * pixels + at, plane * pixels + std::min(at + kSegmentElements, pixels), plane % channels * 16});
    }
    return found;
  }

  // One number a channel, repeated as rows need it.
  template <class A, class F>
  std::vector<A> repeated(F of_channel) const {
    std::vector<A> values(parameters());
    for (int64_t i = 0; i < parameters(); ++i)
      values[i] = static_cast<A>(of_channel(rows.channels_last ? i % channels : i / 16));
    return values;
  }
};

// Calls work(index) for each of `count` segments, on all threads if there is enough of it.
template <class F>
void over_segments(const std::vector<Segment>& segments, F work) {
  const int64_t count = static_cast<int64_t>(segments.size());
  if (count == 0) return;
  const int64_t longest = segments[0].end - segments[0].begin;
  const int64_t grain = std::max<int64_t>(1, kGrain / longest);
  if (count <= grain) {
    for (int64_t i = 0; i < count; ++i) work(i);
  } else {
    torch::stable::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) work(i);
    });
  }
}

// Two sums a channel, taken segment by segment and added in order.
struct ChannelTotals {
  std::vector<double> first, second;

  template <class F>
  ChannelTotals(const ChannelView& view, F sum_segment) : first(view.channels, 0.0), second(view.channels, 0.0) {
    const std::vector<Segment> segments = view.segments(kSegmentElements, kSegments);
    const int64_t each = view.sums(), count = static_cast<int64_t>(segments.size());
    std::vector<double> partial(2 * each * count, 0.0);
    over_segments(segments, [&](int64_t i) {
      sum_segment(segments[i], ChannelSums{&partial[2 * each * i], &partial[2 * each * i + each]});
    });
    if (view.rows.channels_last) {
      // Segment by segment along the row, and only then pixel by pixel.
      for (int64_t i = 1; i < count; ++i)
        for (int64_t at = 0; at < 2 * each; ++at) partial[at] += partial[2 * each * i + at];
      if (count)
        for (int64_t at = 0; at < each; ++at) {
          first[at % view.channels] += partial[at];
          second[at % view.channels] += partial[each + at];
        }
    } else {
      for (int64_t i = 0; i < count; ++i)
        for (int64_t lane = 0; lane < each; ++lane) {
          first[segments[i].parameter / 16] += partial[2 * each * i + lane];
          second[segments[i].parameter / 16] += partial[2 * each * i + each + lane];
        }
    }
  }
};

}  // namespace dgf
