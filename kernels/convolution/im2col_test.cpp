// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/im2col.h"

#include <testing/catch.h>

#include "kernels/convolution/testing/convolution_device.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// With and without whole chunks in a group's channels; groups; strides with a remainder.
std::vector<ConvolutionShape> shapes() {
  return {{.batch = 2, .height = 5, .width = 7, .in_channels = 3, .out_channels = 2, .kernel = 3, .pad = 1},
          {.batch = 1,
           .height = 8,
           .width = 6,
           .in_channels = 16,
           .out_channels = 8,
           .kernel = 3,
           .stride = 2,
           .pad = 1},
          {.batch = 2,
           .height = 6,
           .width = 5,
           .in_channels = 12,
           .out_channels = 6,
           .kernel = 2,
           .stride = 3,
           .groups = 3},
          {.batch = 1, .height = 4, .width = 4, .in_channels = 8, .out_channels = 4}};
}

template <class Element>
void check_patches() {
  Device<Simt> device;
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    ConvolutionOnDevice<Simt, Element> problem(device, shape);
    const std::vector<double> patches = doubles(problem.result_of(patch_elements(shape), [&](auto out) {
      im2col<Simt, Element>(problem.stream, shape, problem.input, out);
    }));
    std::vector<double> output;
    const auto inner = static_cast<std::size_t>(shape.inner());
    for (std::size_t pixel = 0; pixel < shape.out_pixels(); ++pixel) {
      for (int k = 0; k < shape.out_channels; ++k) {
        const auto group = static_cast<std::size_t>(k / shape.group_out());
        double sum = 0;
        for (std::size_t i = 0; i < inner; ++i) {
          sum += patches[(group * shape.out_pixels() + pixel) * inner + i] *
                 problem.arrays.weights[static_cast<std::size_t>(k) * inner + i];
        }
        output.push_back(sum);
      }
    }
    CHECK(relative_difference(output, problem.forward_reference()) < 1e-14);
  }
}

/// <patches of x, p> = <x, sum of p>
template <class Element>
void check_adjoint() {
  Device<Simt> device;
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    ConvolutionOnDevice<Simt, Element> problem(device, shape);
    const std::vector<double> values = normal_doubles<Element>(patch_elements(shape), 7);
    auto on_device = problem.template put<Element>(values);
    const auto patches = doubles(problem.result_of(patch_elements(shape), [&](auto out) {
      im2col<Simt, Element>(problem.stream, shape, problem.input, out);
    }));
    const auto sums = doubles(problem.result_of(problem.arrays.input.size(), [&](auto out) {
      col2im<Simt, Element>(problem.stream, shape, on_device, out);
    }));
    const Dot there = dot(patches, values), back = dot(problem.arrays.input, sums);
    // Sums of at most nine in float, then rounded.
    const double limit = unit_roundoff<Element>() / 2 + 9 * unit_roundoff<float>();
    CHECK(std::abs(there.value - back.value) < limit * (there.scale + back.scale));
    CHECK(there.scale > 0);
  }
}

}  // namespace

TEST_CASE("patches times weights are the convolution", "[simt]") {
  check_patches<half>();
  check_patches<bfloat16>();
  check_patches<float>();
}

TEST_CASE("col2im is the adjoint of im2col", "[simt]") {
  check_adjoint<half>();
  check_adjoint<bfloat16>();
  check_adjoint<float>();
}
