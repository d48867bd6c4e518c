// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/depthwise.h"

#include <testing/catch.h>

#include "kernels/convolution/depthwise_plan.h"
#include "kernels/convolution/testing/convolution_passes.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

template <class Target, class Element>
struct Problem : ConvolutionOnDevice<Target, Element> {
  using Base = ConvolutionOnDevice<Target, Element>;
  using Base::Base;

  std::vector<Element> forward(const DeviceEpilogue<Target, Element>& with = {}) {
    return Base::result_of(this->arrays.output_gradient.size(), [&](auto out) {
      depthwise_forward<Target, Element>(this->stream, this->shape, this->layout, this->input, this->weights,
                                         out, with);
    });
  }
  std::vector<Element> backward_data() {
    return Base::result_of(this->arrays.input.size(), [&](auto out) {
      depthwise_backward_data<Target, Element>(this->stream, this->shape, this->layout, this->output_gradient,
                                               this->weights, out);
    });
  }
  std::vector<Element> backward_weights() {
    DeviceBuffer<Target, float> workspace(this->device, depthwise_workspace(this->shape, this->layout));
    return Base::result_of(this->arrays.weights.size(), [&](auto out) {
      depthwise_backward_weights<Target, Element>(this->stream, this->shape, this->layout, this->input,
                                                  this->output_gradient, out, workspace);
    });
  }
};

ConvolutionShape depthwise(int batch, int height, int width, int channels, int kernel, int stride, int pad) {
  return {.batch = batch,
          .height = height,
          .width = width,
          .in_channels = channels,
          .out_channels = channels,
          .kernel = kernel,
          .stride = stride,
          .pad = pad,
          .groups = channels};
}

/// Every kernel and stride; extents that no run divides; padding that is odd, even, none and more than
/// "same"; channels that don't fill a tile, or need several.
std::vector<ConvolutionShape> shapes(Layout layout) {
  const int many = layout == Layout::nhwc ? 70 : 5;  // planes are alike, and one block each
  std::vector<ConvolutionShape> all;
  for (const int kernel : {3, 5, 7}) {
    all.push_back(depthwise(2, 9, 13, 6, kernel, 1, kernel / 2));
    all.push_back(depthwise(1, 11, 9, many, kernel, 2, kernel / 2));
    all.push_back(depthwise(2, 8, 10, 4, kernel, 2, (kernel - 1) / 2 - 1));
    all.push_back(depthwise(1, 10, 7, 2, kernel, 1, 0));
  }
  all.push_back(depthwise(1, 6, 6, 2, 5, 2, 4));
  all.push_back(depthwise(3, 1, 2, 4, 3, 1, 1));
  return all;
}

/// Rounding of the result; sums are float.
template <class Element>
double limit() {
  return std::is_same_v<Element, half> ? 3e-4 : std::is_same_v<Element, bfloat16> ? 2.5e-3 : 1e-6;
}

template <class Element>
void check_shapes(Layout layout) {
  Device<Simt> device;
  for (const ConvolutionShape& shape : shapes(layout)) {
    INFO(to_string(shape));
    Problem<Simt, Element> problem(device, shape, layout);
    check_passes(problem, limit<Element>());
  }
}

}  // namespace

TEST_CASE("depthwise convolution in nhwc is the reference's three passes", "[simt]") {
  check_shapes<float>(Layout::nhwc);
  check_shapes<half>(Layout::nhwc);
  check_shapes<bfloat16>(Layout::nhwc);
}

TEST_CASE("depthwise convolution in nchw is the reference's three passes", "[simt]") {
  check_shapes<float>(Layout::nchw);
}

TEST_CASE("the depthwise epilogue adds bias and residual, then activates", "[simt]") {
  Device<Simt> device;
  for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu_tanh}) {
    INFO(to_string(activation));
    for (const int stride : {1, 2}) {
      const ConvolutionShape shape = depthwise(2, 9, 13, 6, 3, stride, 1);
      Problem<Simt, half> halves(device, shape);
      check_epilogue(halves, activation, limit<half>());
      Problem<Simt, float> planes(device, shape, Layout::nchw);
      check_epilogue(planes, activation, limit<float>());
    }
  }
}

TEST_CASE("the depthwise passes are adjoint", "[simt]") {
  Device<Simt> device;
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    for (const ConvolutionShape& shape : shapes(layout)) {
      INFO(to_string(shape) << ", " << to_string(layout));
      Problem<Simt, float> problem(device, shape, layout);
      check_adjoint(problem, 1e-6);
    }
  }
}

TEST_CASE("depthwise kernels have the same bits in every schedule", "[simt]") {
  Device<Simt> device;
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    Problem<Simt, float> problem(device, depthwise(2, 12, 9, 6, 3, 2, 1), layout);
    const auto expected = bytes_of_passes(problem, Activation::relu);
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      device.engine().set_schedule(seed);
      CHECK(bytes_of_passes(problem, Activation::relu) == expected);
    }
    device.engine().set_schedule(0);
  }
}

TEST_CASE("depthwise backward weights over several slices add up to the same gradient", "[simt]") {
  Device<Simt> device;
  const ConvolutionShape shape = depthwise(5, 37, 29, 4, 3, 1, 1);
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    INFO(to_string(layout));
    REQUIRE(depthwise_weights_plan(shape, layout).slices > 1);
    Problem<Simt, float> problem(device, shape, layout);
    CHECK(relative_difference(doubles(problem.backward_weights()), problem.backward_weights_reference()) <
          limit<float>());
  }
}

TEST_CASE("the work of depthwise kernels is what is counted", "[simt]") {
  if (!simt::Engine::checked() || !simt::kOperationsCounted) SKIP_TEST("counted in the checked build of g++");
  Device<Simt> device;
  for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
    for (const ConvolutionShape& shape : shapes(layout)) {
      INFO(to_string(shape) << ", " << to_string(layout));
      Problem<Simt, float> problem(device, shape, layout);
      check_work(
          problem,
          [&](const EpilogueParts& parts) { return depthwise_forward_work(shape, layout, 4, parts); },
          depthwise_backward_data_work(shape, layout, 4), depthwise_backward_weights_work(shape, layout, 4));
    }
  }
}

TEST_CASE("depthwise kernels refuse what they can't do", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  const auto check = [](const ConvolutionShape& shape, Layout layout = Layout::nhwc, std::size_t bytes = 2) {
    check_depthwise("it", shape, layout, bytes);
  };
  CHECK_NOTHROW(check(depthwise(1, 9, 9, 4, 3, 1, 1)));
  CHECK_THROWS_WITH(check(depthwise(1, 9, 9, 4, 4, 1, 1)),
                    ContainsSubstring("kernel is 4; it must be 3, 5 or 7"));
  CHECK_THROWS_WITH(check(depthwise(1, 9, 9, 4, 3, 3, 1)),
                    ContainsSubstring("stride is 3; it must be 1 or 2"));
  CHECK_THROWS_WITH(check(depthwise(1, 9, 9, 3, 3, 1, 1)), ContainsSubstring("in nhwc it must be even"));
  CHECK_THROWS_WITH(check(depthwise(1, 9, 9, 4, 3, 1, 1), Layout::nchw),
                    ContainsSubstring("nchw is there for float alone"));
  ConvolutionShape grouped = depthwise(1, 9, 9, 4, 3, 1, 1);
  grouped.groups = 2;
  CHECK_THROWS_WITH(check(grouped), ContainsSubstring("groups is 2; in_channels, out_channels and groups"));
}

TEST_CASE("On a GPU depthwise convolution is the reference's three passes", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    const auto check = [&]<class Element>(Element, Layout layout) {
      for (const ConvolutionShape& shape : shapes(layout)) {
        INFO(to_string(shape) << ", " << to_string(layout));
        Problem<Cuda, Element> problem(device, shape, layout);
        check_passes(problem, limit<Element>());
        check_epilogue(problem, Activation::relu, limit<Element>());
      }
    };
    check(half{}, Layout::nhwc);
    check(bfloat16{}, Layout::nhwc);
    check(float{}, Layout::nhwc);
    check(float{}, Layout::nchw);
  }
}
