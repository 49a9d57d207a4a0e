// Runs the two kernels that have barriers on small inputs and prints their sums, to the bit. Usage: driver SCHEDULE
#include <cstdio>
#include <cstdlib>

#include "common/cuda_columns.cuh"
#include "common/cuda_rows.cuh"

using namespace dgf::cuda;

int main(int, char** arguments) {
  simt::schedule(static_cast<unsigned>(std::atoi(arguments[1])));
  // Teams of two warps, two to a block, and a single block: it takes unit after unit.
  constexpr int64_t kRows = 7, kColumns = 300;
  std::vector<float> values(kRows * kColumns), row_sums(kRows), column_sums(kColumns);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17);
  const RowPlan plan = RowPlan::make<float>(kRows, kColumns, kRows);
  simt::launch(dim3(1), dim3(static_cast<unsigned>(plan.threads)), &rows_kernel<false, SumBody<float>>,
               SumBody<float>{values.data(), kColumns}, plan, row_sums.data());
  const int64_t tiles = (kColumns + kColumnTile - 1) / kColumnTile;
  simt::launch(dim3(static_cast<unsigned>(tiles)), dim3(kColumnTile * kRowLanes), &columns_kernel<float, float>,
               static_cast<const float*>(values.data()), kRows, kColumns, tiles, column_sums.data());
  for (float sum : row_sums) std::printf("%a ", sum);
  for (float sum : column_sums) std::printf("%a ", sum);
}
