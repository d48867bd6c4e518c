// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/depthwise.h"

#include <fmt/format.h>

#include <stdexcept>

#include "kernels/convolution/depthwise_plan.h"

namespace remeasure::kernels {
namespace {

/// Products along one axis of all runs: of rows only those in the picture, of columns all.
double axis_products(const DepthwisePlan& plan, const ConvolutionShape& s, int runs, int of_run, int extent,
                     bool only_inside) {
  double products = 0;
  for (int result = -plan.shift; result < runs * of_run - plan.shift; ++result) {
    for (int tap = 0; tap < s.kernel; ++tap) {
      const int at =
          plan.transposed ? result + plan.pad - tap : result * (plan.flipped ? 1 : s.stride) - plan.pad + tap;
      if (plan.transposed && at % s.stride != 0) continue;
      const int source = plan.transposed ? at / s.stride : at;
      if (only_inside && (at < 0 || source >= extent)) continue;
      products += 1;
    }
  }
  return products;
}

double pass_flops(GemmPass pass, const ConvolutionShape& s, Layout layout) {
  const DepthwisePlan plan = depthwise_plan(pass, s, layout);
  const bool last = layout == Layout::nhwc;
  const int rows = last ? kNhwcRows : kNchwRows,
            columns = last ? kNhwcColumns : nchw_columns(s.stride, plan.transposed);
  return 2.0 * plan.batch * plan.channels *
         axis_products(plan, s, plan.row_runs, rows, plan.seen_height, true) *
         axis_products(plan, s, plan.column_runs, columns, plan.seen_width, false);
}

}  // namespace

void check_depthwise(const char* what, const ConvolutionShape& shape, Layout layout,
                     std::size_t element_bytes) {
  check_convolution(what, shape);
  const auto refuse = [&](const std::string& why) {
    throw std::invalid_argument(fmt::format("{}: {} ({})", what, why, to_string(shape)));
  };
  if (!shape.depthwise())
    refuse(
        fmt::format("groups is {}; in_channels, out_channels and groups must be one number", shape.groups));
  if (shape.kernel != 3 && shape.kernel != 5 && shape.kernel != 7)
    refuse(fmt::format("kernel is {}; it must be 3, 5 or 7", shape.kernel));
  if (shape.stride > 2) refuse(fmt::format("stride is {}; it must be 1 or 2", shape.stride));
  if (layout == Layout::nhwc && shape.in_channels % 2 != 0)
    refuse(fmt::format("in_channels is {}; in nhwc it must be even", shape.in_channels));
  if (layout == Layout::nchw && element_bytes != 4) refuse("nchw is there for float alone");
  if (layout == Layout::nhwc && divide_up(shape.in_channels, 2 * depthwise_lanes(shape.in_channels)) > 65535)
    refuse(fmt::format("in_channels is {}; the limit is 65535 tiles of 64", shape.in_channels));
}

std::size_t depthwise_workspace(const ConvolutionShape& shape, Layout layout) {
  return static_cast<std::size_t>(depthwise_weights_plan(shape, layout).slices) *
         shape.weights(layout).size();
}

ConvolutionWork depthwise_forward_work(const ConvolutionShape& shape, Layout layout,
                                       std::size_t element_bytes, const EpilogueParts& parts) {
  ConvolutionWork work;
  work.flops = pass_flops(GemmPass::forward, shape, layout);
  const double outputs = static_cast<double>(shape.output(layout).size());
  work.flops += epilogue_flops(parts) * outputs;
  work.bytes = shape.bytes(element_bytes) + (parts.bias ? 4.0 * shape.out_channels : 0) +
               (parts.residual ? static_cast<double>(element_bytes) * outputs : 0);
  work.special = parts.activation == Activation::gelu_tanh ? outputs : 0;
  return work;
}

ConvolutionWork depthwise_backward_data_work(const ConvolutionShape& shape, Layout layout,
                                             std::size_t element_bytes) {
  ConvolutionWork work;
  work.flops = pass_flops(GemmPass::backward_data, shape, layout);
  work.bytes =
      static_cast<double>(element_bytes * (shape.input(layout).size() + shape.weights(layout).size() +
                                           shape.output(layout).size()));
  return work;
}

ConvolutionWork depthwise_backward_weights_work(const ConvolutionShape& s, Layout layout,
                                                std::size_t element_bytes) {
  const DepthwiseWeightsPlan plan = depthwise_weights_plan(s, layout);
  const double weights = static_cast<double>(s.weights(layout).size()),
               slices = static_cast<double>(depthwise_workspace(s, layout));
  // Rows of the input under some output row's taps, as often as they are multiplied.
  const int seen = seen_extent(s.height, s.out_height(), s.kernel, s.stride, s.pad);
  const auto rows = [&](int outputs) {
    double count = 0;
    for (int y = 0; y < outputs; ++y)
      for (int tap = 0; tap < s.kernel; ++tap) {
        const int source = y * s.stride - s.pad + tap;
        count += source >= 0 && source < seen;
      }
    return count;
  };
  ConvolutionWork work;
  if (layout == Layout::nhwc) {
    const int parts = weights_parts(s.kernel) * 32 / plan.lanes;
    work.flops = 2.0 * s.batch * s.in_channels * rows(s.out_height()) *
                     divide_up(s.out_width(), kWeightsRun) * kWeightsRun * s.kernel +
                 parts * slices;
  } else {
    constexpr int kWarps = kDepthwiseThreads / 32;
    work.flops = 2.0 * s.batch * s.in_channels *
                     rows(divide_up(s.out_height(), kNchwWeightsRows) * kNchwWeightsRows) * s.out_width() *
                     s.kernel +
                 (5.0 * kDepthwiseThreads + kWarps) * slices;  // five rounds of shuffles, then the warps
  }
  work.flops += slices + kSumParts * weights;
  work.bytes = s.bytes(element_bytes) + 2 * 4 * slices;
  return work;
}

}  // namespace remeasure::kernels
