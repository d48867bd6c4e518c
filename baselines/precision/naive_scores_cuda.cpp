// SPDX-License-Identifier: Apache-2.0
#include <cuda_runtime.h>

#include "baselines/matmul/matmul.h"
#include "baselines/precision/naive_scores.h"
#include "kernels/precision/twin_codes.h"

namespace remeasure::baselines {

using namespace kernels;

namespace {

void check_copy(cudaError_t status) {
  if (status != cudaSuccess)
    throw DeviceError(std::string("copying codes failed: ") + cudaGetErrorString(status));
}

}  // namespace

/// Lines of the product are those of the target: the operand of its lines is B of the column-major product,
/// the other one A. int8 products take columns in fours, so the operand of the columns has its rows padded.
struct CublasNaiveScores::State {
  State(Stream<Cuda>& s, const ScorePass<Cuda>& p, std::vector<TwinQuantizer<float>> q)
      : stream(s), pass(p), quantizers(std::move(q)), library(s) {
    const ScoreShape& shape = pass.shape;
    lines = shape.transposed ? shape.columns : shape.rows;
    columns = shape.transposed ? shape.rows : shape.columns;
    stride = (columns + 15) / 16 * 16;
    planes = shape.varied_planes * shape.fixed_planes;
    const auto size = [&](int rows) {
      return static_cast<std::size_t>(shape.matrices) * static_cast<std::size_t>(rows) *
             static_cast<std::size_t>(shape.inner);
    };
    Device<Cuda>& device = stream.device();
    codes = {device, static_cast<std::size_t>(shape.varied_planes) * pass.varied.size()};
    // `padded` holds the operand of the columns: the fixed one, once, or the varied one, for every candidate.
    const int padded_planes = shape.transposed ? shape.varied_planes : shape.fixed_planes;
    padded = {device, static_cast<std::size_t>(padded_planes) * size(stride)};
    stream.fill_bytes(padded.span(), 0);
    if (!shape.transposed) pad(pass.fixed.data(), shape.fixed_planes);
    products = {device, static_cast<std::size_t>(planes) * static_cast<std::size_t>(shape.matrices) *
                            static_cast<std::size_t>(lines) * static_cast<std::size_t>(stride)};
    error = {.varied_planes = shape.varied_planes,
             .fixed_planes = shape.fixed_planes,
             .lines = shape.matrices * lines,
             .columns = columns,
             .target_stride = shape.stride(),
             .stride = stride,
             .fixed_steps = shape.columns,
             .fixed_by_line = shape.transposed};
    partials = {device, weighted_error_blocks(error)};
    matmul = std::make_unique<Matmul>(
        library, MatmulProblem{.type = MatmulType::i8,
                               .transpose_a = true,
                               .rows = stride,
                               .columns = lines,
                               .inner = shape.inner,
                               .stride_a = static_cast<std::int64_t>(stride) * shape.inner,
                               .stride_b = static_cast<std::int64_t>(lines) * shape.inner,
                               .stride_c = static_cast<std::int64_t>(lines) * stride,
                               .batch = shape.matrices});
  }

  /// [planes, matrices, columns, inner] to [planes, matrices, stride, inner].
  void pad(const std::int8_t* from, int of_planes) {
    const auto line = static_cast<std::size_t>(columns) * static_cast<std::size_t>(pass.shape.inner);
    const auto to_line = static_cast<std::size_t>(stride) * static_cast<std::size_t>(pass.shape.inner);
    check_copy(cudaMemcpy2DAsync(padded.data(), to_line, from, line, line,
                                 static_cast<std::size_t>(of_planes * pass.shape.matrices),
                                 cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream.native())));
  }

  void run() {
    const ScoreShape& shape = pass.shape;
    const bool pads = shape.transposed && stride != columns;
    const std::size_t padded_plane =
        padded.size() / static_cast<std::size_t>(shape.transposed ? shape.varied_planes : shape.fixed_planes);
    const std::size_t plane_of_products = products.size() / static_cast<std::size_t>(planes);
    for (std::size_t p = 0; p < quantizers.size(); ++p) {
      quantize_planes<Cuda>(stream, quantizers[p], shape.varied_planes, pass.varied, codes);
      if (pads) pad(codes.data(), shape.varied_planes);
      for (int plane = 0; plane < planes; ++plane) {
        const auto of_varied = static_cast<std::size_t>(shape.varied_planes == 2 ? plane : 0);
        const auto of_fixed = static_cast<std::size_t>(shape.fixed_planes == 2 ? plane : 0);
        const std::int8_t* varied = codes.data() + of_varied * pass.varied.size();
        const std::int8_t* fixed = pass.fixed.data() + of_fixed * shape.fixed_size();
        const std::int8_t* of_columns =
            padded.data() + (shape.transposed ? of_varied : of_fixed) * padded_plane;
        if (shape.transposed && !pads) of_columns = varied;
        (*matmul)(of_columns, shape.transposed ? fixed : varied,
                  products.data() + static_cast<std::size_t>(plane) * plane_of_products);
      }
      error.varied_step[0] = shape.varied_planes == 2 ? quantizers[p].low_step : quantizers[p].high_step;
      error.varied_step[1] = quantizers[p].high_step;
      const DeviceSpan<Cuda, const std::int32_t> of_candidate = std::as_const(products).span();
      weighted_error<Cuda>(stream, error, of_candidate, pass.fixed_step, pass.target, pass.gradient,
                           partials);
      sum_partials<Cuda>(stream, partials.size(), std::as_const(partials).span(), pass.scores.subspan(p, 1));
    }
  }

  Stream<Cuda>& stream;
  ScorePass<Cuda> pass;
  std::vector<TwinQuantizer<float>> quantizers;
  MatmulLibrary library;
  std::unique_ptr<Matmul> matmul;
  int lines = 0, columns = 0, stride = 0, planes = 1;
  DeviceBuffer<Cuda, std::int8_t> codes, padded;
  DeviceBuffer<Cuda, std::int32_t> products;
  DeviceBuffer<Cuda, float> partials;
  ErrorShape error;
};

CublasNaiveScores::CublasNaiveScores(Stream<Cuda>& stream, const ScorePass<Cuda>& pass,
                                     std::vector<TwinQuantizer<float>> quantizers)
    : state_(std::make_unique<State>(stream, pass, std::move(quantizers))) {}
CublasNaiveScores::~CublasNaiveScores() = default;
void CublasNaiveScores::operator()() {
  state_->run();
}
const std::string& CublasNaiveScores::setting() const {
  return state_->matmul->setting();
}

}  // namespace remeasure::baselines
