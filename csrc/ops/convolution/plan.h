// How a convolution is cut into blocks that fit the cache and tasks that threads share. Only speed depends on it: each
// output is added up in the same order whatever the cut.
#pragma once

#include <algorithm>
#include <vector>

#include "ops/convolution/arguments.h"

namespace dgf {

// Channels added up in registers, then in memory: fixed, since the order of addition follows from it. Short enough for
// a small error, long enough that the products' trips to memory do not show.
constexpr int64_t kDepth = 128;
// Bytes of one of a task's large buffers (windows or products); with the transformed weights and the other one a task
// stays below 10 MB.
constexpr int64_t kBufferBytes = 12 << 19;
constexpr int64_t kColumns = 64;

struct Plan {
  Blocks blocks;
  std::vector<ConvolutionTask> tasks;
};

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// `rows` split into `parts` ranges of a multiple of `unit` each.
inline std::vector<int64_t> split(int64_t rows, int64_t parts, int64_t unit) {
  const int64_t size = std::max<int64_t>(unit, divide_up(divide_up(rows, parts), unit) * unit);
  std::vector<int64_t> bounds{0};
  while (bounds.back() < rows) bounds.push_back(std::min(rows, bounds.back() + size));
  return bounds;
}

inline std::vector<ConvolutionTask> tasks_of(const std::vector<int64_t>& rows, const std::vector<int64_t>& columns) {
  std::vector<ConvolutionTask> tasks;
  for (size_t j = 1; j < columns.size(); ++j)
    for (size_t i = 1; i < rows.size(); ++i)
      tasks.push_back({rows[i - 1], rows[i], columns[j - 1], columns[j], nullptr});
  return tasks;
}

// The split of rows and columns over threads with the least work on the busiest one. In units of one multiplication by
// a vector: a row by a column costs 1; a transformed row costs as much as `per_row` columns, a column as `per_column`
// rows.
inline std::vector<ConvolutionTask> share(int64_t rows, int64_t row_unit, int64_t most_rows, int64_t columns,
                                          int64_t column_unit, int64_t most_columns, int64_t threads, double per_row,
                                          double per_column) {
  double least = -1.0;
  std::vector<ConvolutionTask> best;
  for (int64_t column_parts = divide_up(columns, most_columns);
       column_parts <= divide_up(columns, column_unit) && column_parts <= divide_up(columns, most_columns) + threads;
       ++column_parts)
    for (int64_t row_parts = divide_up(rows, most_rows);
         row_parts <= divide_up(rows, row_unit) && row_parts <= divide_up(rows, most_rows) + threads; ++row_parts) {
      const std::vector<int64_t> row_bounds = split(rows, row_parts, row_unit);
      const std::vector<int64_t> column_bounds = split(columns, column_parts, column_unit);
      const double height = static_cast<double>(row_bounds[1]), width = static_cast<double>(column_bounds[1]);
      const int64_t tasks = (row_bounds.size() - 1) * (column_bounds.size() - 1);
      const double cost = divide_up(tasks, threads) * (height * width + per_row * height + per_column * width);
      if (least < 0.0 || cost < least) {
        least = cost;
        best = tasks_of(row_bounds, column_bounds);
      }
    }
  return best;
}

inline int64_t most_products(const ConvolutionShape& s) {
  const int64_t along = divide_up(s.kernel, s.stride) + 3;
  return along * along;
}

// Rows are tiles, columns output channels.
inline Plan plan_image(const ConvolutionShape& s, bool transposed, int64_t tiles, int64_t panel, int64_t element,
                       int64_t threads) {
  const int64_t inputs = transposed ? s.small_channels : s.large_channels;
  const int64_t outputs = transposed ? s.large_channels : s.small_channels;
  const int64_t kept_inputs = std::min<int64_t>(256, divide_up(inputs, kDepth) * kDepth);
  const int64_t kept_outputs = std::min<int64_t>(256, divide_up(outputs, kColumns) * kColumns);
  const int64_t per_tile = most_products(s) * std::max(kept_inputs, kept_outputs) * element;
  const int64_t most_tiles =
      std::max<int64_t>(kStatisticsTiles, kBufferBytes / per_tile / kStatisticsTiles * kStatisticsTiles);
  Plan plan{{kept_inputs, kept_outputs, kDepth, kColumns, false}, {}};
  plan.tasks = share(tiles, kStatisticsTiles, most_tiles, outputs, panel, std::max(outputs, panel), threads, 70.0, 5.0);
  if (!plan.tasks.empty()) {
    const ConvolutionTask& task = plan.tasks.front();
    const int64_t along = 3 * s.stride + s.kernel;
    const int64_t width = std::min(kept_outputs, divide_up(task.column_end - task.column_begin, panel) * panel);
    plan.blocks.phases_together = transposed && inputs > kept_inputs &&
                                  along * along * (task.row_end - task.row_begin) * width * element <= 2 * kBufferBytes;
  }
  return plan;
}

// Rows are channels of the small image, columns those of the large one.
inline Plan plan_weight(const ConvolutionShape& s, int64_t panel, int64_t element, int64_t threads) {
  const int64_t along = 3 * s.stride + s.kernel;
  const int64_t area = 2 * kBufferBytes / (along * along * element);  // channels by channels
  const int64_t columns = std::min(std::max<int64_t>(64, panel), divide_up(s.large_channels, panel) * panel);
  const int64_t rows = std::max<int64_t>(24, area / columns / 12 * 12);
  Plan plan{{0, 0, kDepth, 0, false}, {}};
  plan.tasks = share(s.small_channels, 12, rows, s.large_channels, panel, columns, threads, 5.0, 20.0);
  return plan;
}

}  // namespace dgf
