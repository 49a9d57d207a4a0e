// Runs the kernels that have barriers on small inputs and prints their results, to the bit. Usage: driver SCHEDULE
#include <cstdio>
#include <cstdlib>

#include "cuda/columns.cuh"
#include "cuda/rows.cuh"
#include "ops/batch_norm_act/kernels.cuh"
#include "ops/few_channels/kernels.cuh"
#include "ops/minibatch_discrimination/kernels.cuh"

using namespace dgf::cuda;

int main(int, char** arguments) {
  simt::schedule(static_cast<unsigned>(std::atoi(arguments[1])));
  // Teams of two warps, two to a block, and a single block: it takes unit after unit.
  constexpr int64_t kRows = 7, kColumns = 300;
  std::vector<float> values(kRows * kColumns), row_sums(kRows), column_sums(kColumns);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17);
  const float* data = values.data();
  const RowPlan plan = RowPlan::make<float>(kRows, kColumns, kRows, false, 1);
  simt::launch(dim3(1), dim3(static_cast<unsigned>(plan.threads)), &rows_kernel<false, SumBody<float>>,
               SumBody<float>{values.data(), kColumns}, plan, row_sums.data());
  const int64_t tiles = (kColumns + kColumnTile - 1) / kColumnTile;
  simt::launch(dim3(static_cast<unsigned>(tiles)), dim3(kColumnTile * kRowLanes), &columns_kernel<float, float>, data,
               kRows, kColumns, tiles, column_sums.data());
  // The same numbers as 525 rows of 4 channels: one lane wide, parts over all warps of a block.
  std::vector<double> statistics(2 * 4);
  const ChannelPlan channels = ChannelPlan::make(525, 4, kPack<float>);
  simt::launch(dim3(1), dim3(kChannelThreads), &channels_kernel<true, StatisticsBody<float>>,
               StatisticsBody<float>{data, 4}, channels, statistics.data(), 2);
  // And as images [1, 15, 20, 7] convolved: 7 * 16 entries a patch, in seven turns through shared memory.
  const JoinedImages images{1, 7, 10, 8, 15, 20, 7, 4, 2, 1};
  const FewChannelPlan few = FewChannelPlan::make(images.small_pixels(), 8, kPack<float>);
  std::vector<float> small(static_cast<size_t>(images.small_pixels() * 8));
  simt::launch(dim3(static_cast<unsigned>(few.blocks_wide * few.blocks_deep)), dim3(kFewChannelThreads),
               &few_to_many_kernel<false, float>, images, few, data, data, Epilogue<float>{}, small.data());
  // And as 35 examples of 5 kernels and 12 dimensions: two tiles of kernels, three of the other examples.
  const MinibatchShape minibatch{35, 5, 12, false};
  const unsigned places = static_cast<unsigned>(minibatch.example_tiles() * minibatch.kernel_tiles());
  std::vector<float> similarities(35 * 5), gradients(35 * 5 * 12);
  simt::launch(dim3(places), dim3(kMinibatchThreads), &similarities_kernel<16, float>, minibatch, data,
               similarities.data());
  const float* incoming = similarities.data();
  simt::launch(dim3(2 * places), dim3(kMinibatchThreads), &similarity_gradients_kernel<8, float>, minibatch, data,
               incoming, gradients.data());
  for (float sum : similarities) std::printf("%a ", sum);
  for (float gradient : gradients) std::printf("%a ", gradient);
  for (float sum : row_sums) std::printf("%a ", sum);
  for (float sum : column_sums) std::printf("%a ", sum);
  for (double value : statistics) std::printf("%a ", value);
  for (float value : small) std::printf("%a ", value);
}
