// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/implicit_gemm.h"

#include <fmt/format.h>

#include <stdexcept>

#include "kernels/convolution/gemm_plan.h"

namespace remeasure::kernels {
namespace {

/// Flops of one product on tiles: parts of warps that hold nothing are left out.
double tile_flops(int rows, int columns, int tile_columns, int inner_steps, std::size_t element_bytes) {
  const int part = tile_columns / 2, step = kGemmInnerBytes / static_cast<int>(element_bytes);
  return 2.0 * divide_up(rows, kGemmWarpRows) * kGemmWarpRows * divide_up(columns, part) * part *
         inner_steps * step;
}

double pass_flops(GemmPass pass, const ConvolutionShape& shape, std::size_t element_bytes) {
  double flops = 0;
  for (int phase = 0; phase < gemm_phases(pass, shape); ++phase) {
    const GemmPlan plan = gemm_plan(pass, shape, phase);
    const int step = kGemmInnerBytes / static_cast<int>(element_bytes);
    const int columns = pass == GemmPass::forward ? gemm_columns(plan.columns)
                                                  : gemm_columns_inner_first(plan.columns, element_bytes);
    flops += tile_flops(plan.rows, plan.columns, columns, divide_up(plan.inner(), step), element_bytes);
  }
  return flops * shape.groups;
}

}  // namespace

double epilogue_flops(const EpilogueParts& parts) {
  // gelu_tanh: four products and a sum inside, two products and a sum outside of the hyperbolic tangent.
  return (parts.bias ? 1 : 0) + (parts.residual ? 1 : 0) +
         (parts.activation == Activation::gelu_tanh ? 8 : 0);
}

void check_implicit_gemm(const char* what, const ConvolutionShape& shape, std::size_t element_bytes) {
  check_convolution(what, shape);
  const int chunk = 16 / static_cast<int>(element_bytes);
  for (const auto& [name, channels] : {std::pair{"input", shape.group_in()}, {"output", shape.group_out()}}) {
    if (channels % chunk == 0) continue;
    throw std::invalid_argument(
        fmt::format("{}: {} {} channels a group; a multiple of {} is needed, so pad with zeros ({})", what,
                    channels, name, chunk, to_string(shape)));
  }
  if (shape.groups > 65535)
    throw std::invalid_argument(fmt::format("{}: {} groups; the limit is 65535", what, shape.groups));
}

std::size_t implicit_gemm_workspace(const ConvolutionShape& shape, std::size_t element_bytes) {
  const int slices = weights_plan(shape, element_bytes).slices;
  return slices == 1 ? 0 : static_cast<std::size_t>(slices) * shape.weights(Layout::nhwc).size();
}

ConvolutionWork implicit_gemm_forward_work(const ConvolutionShape& shape, std::size_t element_bytes,
                                           const EpilogueParts& parts) {
  const double outputs = static_cast<double>(shape.output(Layout::nhwc).size());
  return {.flops = pass_flops(GemmPass::forward, shape, element_bytes) + epilogue_flops(parts) * outputs,
          .bytes = shape.bytes(element_bytes) + (parts.bias ? 4.0 * shape.out_channels : 0) +
                   (parts.residual ? static_cast<double>(element_bytes) * outputs : 0),
          .special = parts.activation == Activation::gelu_tanh ? outputs : 0};
}

ConvolutionWork implicit_gemm_backward_data_work(const ConvolutionShape& shape, std::size_t element_bytes) {
  const std::size_t elements = shape.input(Layout::nhwc).size() + shape.weights(Layout::nhwc).size() +
                               shape.output(Layout::nhwc).size();
  return {.flops = pass_flops(GemmPass::backward_data, shape, element_bytes),
          .bytes = static_cast<double>(element_bytes * elements)};
}

ConvolutionWork implicit_gemm_backward_weights_work(const ConvolutionShape& shape,
                                                    std::size_t element_bytes) {
  const WeightsPlan plan = weights_plan(shape, element_bytes);
  const int step = kGemmInnerBytes / static_cast<int>(element_bytes);
  const double slices = static_cast<double>(implicit_gemm_workspace(shape, element_bytes));
  ConvolutionWork work;
  work.flops = shape.groups * tile_flops(plan.rows, plan.columns,
                                         gemm_columns_inner_first(plan.columns, element_bytes),
                                         divide_up(plan.pixels, step), element_bytes) +
               slices;
  work.bytes = shape.bytes(element_bytes) + 2 * 4 * slices;
  return work;
}

}  // namespace remeasure::kernels
