// SPDX-License-Identifier: Apache-2.0
//
// What is tested of a convolution's three passes, whichever kernels do them. A problem is a
// ConvolutionOnDevice with forward(epilogue), backward_data() and backward_weights().
#pragma once

#include <testing/catch.h>

#include "kernels/convolution/testing/convolution_device.h"
#include "kernels/simt/engine.h"

namespace remeasure::kernels::testing {

template <class Problem>
void check_passes(Problem& problem, double limit) {
  CHECK(relative_difference(doubles(problem.forward()), problem.forward_reference()) < limit);
  CHECK(relative_difference(doubles(problem.backward_data()), problem.backward_data_reference()) < limit);
  CHECK(relative_difference(doubles(problem.backward_weights()), problem.backward_weights_reference()) <
        limit);
}

/// Forward with bias and residual.
template <class Problem>
void check_epilogue(Problem& problem, Activation activation, double limit) {
  CHECK(relative_difference(doubles(problem.forward(problem.epilogue(activation))),
                            problem.forward_reference(problem.reference_epilogue(activation))) < limit);
}

/// <dy, conv(x, w)> = <dx, x> = <dw, w>. Only the results' rounding differs; each is of one product.
template <class Problem>
void check_adjoint(Problem& problem, double limit) {
  const ConvolutionArrays& in = problem.arrays;
  const Dot forward = dot(in.output_gradient, doubles(problem.forward())),
            data = dot(in.input, doubles(problem.backward_data())),
            of_weights = dot(in.weights, doubles(problem.backward_weights()));
  CHECK(std::abs(forward.value - data.value) < limit * (forward.scale + data.scale));
  CHECK(std::abs(forward.value - of_weights.value) < limit * (forward.scale + of_weights.scale));
}

template <class Problem>
std::vector<std::vector<std::uint8_t>> bytes_of_passes(Problem& problem, Activation activation) {
  return {bytes_of(problem.forward(problem.epilogue(activation))), bytes_of(problem.backward_data()),
          bytes_of(problem.backward_weights())};
}

/// What each pass does on Simt is its work. `forward`: the work with an epilogue's parts.
template <class Problem, class ForwardWork>
void check_work(Problem& problem, const ForwardWork& forward, const ConvolutionWork& data,
                const ConvolutionWork& weights) {
  simt::Engine& engine = problem.device.engine();
  const auto check = [&](const ConvolutionWork& work, const auto& run) {
    engine.reset_counts();
    run();
    double flops = 0, bytes = 0, special = 0;
    for (const auto& [name, counts] : engine.counts()) {
      flops += static_cast<double>(counts[simt::Counter::mma_flops] + counts[simt::Counter::scalar_flops]);
      bytes += static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                                   counts[simt::Counter::distinct_global_bytes_written]);
      special += static_cast<double>(counts[simt::Counter::special_functions]);
    }
    CHECK(flops == Approx(work.flops).epsilon(0.01));
    CHECK(bytes == Approx(work.bytes).epsilon(0.01));
    CHECK(special == Approx(work.special));
  };
  check(forward(EpilogueParts{}), [&] { problem.forward(); });
  check(forward(EpilogueParts{true, true, Activation::gelu_tanh}),
        [&] { problem.forward(problem.epilogue(Activation::gelu_tanh)); });
  check(data, [&] { problem.backward_data(); });
  check(weights, [&] { problem.backward_weights(); });
}

}  // namespace remeasure::kernels::testing
