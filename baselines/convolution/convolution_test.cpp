// SPDX-License-Identifier: Apache-2.0
#include "baselines/convolution/convolution.h"

#include <testing/catch.h>

#include "kernels/convolution/testing/convolution_device.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// Strides and paddings that leave a remainder or exceed "same", groups, 1 x 1 with and without a stride,
/// pixels that no output sees, depthwise, one picture.
std::vector<ConvolutionShape> shapes() {
  return {
      {.batch = 3, .height = 7, .width = 9, .in_channels = 8, .out_channels = 16, .kernel = 3, .pad = 1},
      {.batch = 1,
       .height = 12,
       .width = 7,
       .in_channels = 8,
       .out_channels = 8,
       .kernel = 3,
       .stride = 2,
       .pad = 1},
      {.batch = 2,
       .height = 8,
       .width = 9,
       .in_channels = 16,
       .out_channels = 32,
       .kernel = 3,
       .pad = 1,
       .groups = 2},
      {.batch = 2, .height = 6, .width = 5, .in_channels = 16, .out_channels = 24},
      {.batch = 1, .height = 9, .width = 6, .in_channels = 8, .out_channels = 8, .kernel = 1, .stride = 2},
      {.batch = 2, .height = 5, .width = 4, .in_channels = 16, .out_channels = 16, .groups = 2},
      {.batch = 1,
       .height = 3,
       .width = 5,
       .in_channels = 8,
       .out_channels = 8,
       .kernel = 3,
       .stride = 2,
       .pad = 2},
      {.batch = 3,
       .height = 9,
       .width = 10,
       .in_channels = 8,
       .out_channels = 8,
       .kernel = 5,
       .stride = 2,
       .pad = 2,
       .groups = 8},
      {.batch = 1,
       .height = 8,
       .width = 8,
       .in_channels = 8,
       .out_channels = 8,
       .kernel = 3,
       .pad = 1,
       .groups = 8}};
}

constexpr ConvolutionPass kPasses[] = {ConvolutionPass::forward, ConvolutionPass::backward_data,
                                       ConvolutionPass::backward_weights};
const char* name_of(ConvolutionPass pass) {
  return pass == ConvolutionPass::forward         ? "forward"
         : pass == ConvolutionPass::backward_data ? "backward data"
                                                  : "backward weights";
}

/// Operands and expected result of a pass.
struct Expected {
  std::vector<double> first, second, result;
};
template <class Element>
Expected expected(const ConvolutionShape& shape, Layout layout, ConvolutionPass pass) {
  const ConvolutionArrays in = convolution_arrays<Element>(shape, layout);
  Expected e;
  e.result.resize(sizes_of(shape, pass).result);
  switch (pass) {
    case ConvolutionPass::forward:
      e.first = in.input, e.second = in.weights;
      convolution_forward_reference<double>(shape, layout, e.first, e.second, e.result);
      break;
    case ConvolutionPass::backward_data:
      e.first = in.output_gradient, e.second = in.weights;
      convolution_backward_data_reference<double>(shape, layout, e.first, e.second, e.result);
      break;
    case ConvolutionPass::backward_weights:
      e.first = in.input, e.second = in.output_gradient;
      convolution_backward_weights_reference<double>(shape, layout, e.first, e.second, e.result);
      break;
  }
  return e;
}

}  // namespace

TEST_CASE("every method of Eigen's convolutions is the reference's pass", "[cpu]") {
  for (const ConvolutionShape& shape : shapes()) {
    for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
      for (const ConvolutionPass pass : kPasses) {
        const Expected e = expected<float>(shape, layout, pass);
        const std::vector<float> first(e.first.begin(), e.first.end()),
            second(e.second.begin(), e.second.end());
        ConvolutionEigen convolution(shape, layout, pass);
        const std::vector<std::string> methods = convolution.methods();
        CHECK(methods.size() == (shape.depthwise() || (layout == Layout::nhwc && shape.groups == 1) ? 2 : 1));
        for (std::size_t i = 0; i < methods.size(); ++i) {
          INFO(to_string(shape) << ", " << to_string(layout) << ", " << name_of(pass) << ", " << methods[i]);
          convolution.choose(i);
          std::vector<float> result(e.result.size(), NAN);
          convolution(first, second, result);
          CHECK(relative_difference(result, e.result) < 1e-6);
          const std::vector<float> once = result;
          convolution(first, second, result);  // nothing is left from the first call
          CHECK(result == once);
        }
      }
    }
  }
}

TEST_CASE("Eigen's convolution takes its fastest method once", "[cpu]") {
  const ConvolutionShape shape = shapes()[0];
  const Expected e = expected<float>(shape, Layout::nhwc, ConvolutionPass::forward);
  const std::vector<float> first(e.first.begin(), e.first.end()), second(e.second.begin(), e.second.end());
  std::vector<float> result(e.result.size());
  ConvolutionEigen convolution(shape, Layout::nhwc, ConvolutionPass::forward);
  CHECK(convolution.setting().empty());
  convolution(first, second, result);
  const std::string setting = convolution.setting();
  CHECK(setting.find("fastest of 2") != std::string::npos);
  convolution(first, second, result);
  CHECK(convolution.setting() == setting);
  CHECK(relative_difference(result, e.result) < 1e-6);
  CHECK_THROWS_WITH(convolution.choose(2), Catch::Matchers::ContainsSubstring("method 2 of 2"));
  result.pop_back();
  CHECK_THROWS_WITH(convolution(first, second, result),
                    Catch::Matchers::ContainsSubstring("the result has 3023 elements; 3024 follow"));
}

TEST_CASE("On a GPU cuDNN's and cuBLAS's convolutions are the reference's passes", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    for (const ConvolutionShape& shape : shapes()) {
      ConvolutionOnDevice<Cuda, half> problem(device, shape);
      for (const ConvolutionPass pass : kPasses) {
        INFO(to_string(shape) << ", " << name_of(pass));
        const Expected e = expected<half>(shape, Layout::nhwc, pass);
        const auto first = problem.put<half>(e.first), second = problem.put<half>(e.second);
        ConvolutionCublas<half> cublas(problem.stream, shape, pass);
        const auto by_cublas =
            problem.result_of(e.result.size(), [&](auto out) { cublas(first, second, out); });
        CHECK(relative_difference(doubles(by_cublas), e.result) < 2e-3);  // patches rounded before their sum
        if (!ConvolutionCudnn<half>::why_not().empty()) continue;
        ConvolutionCudnn<half> cudnn(problem.stream, shape, Layout::nhwc, pass);
        const auto by_cudnn =
            problem.result_of(e.result.size(), [&](auto out) { cudnn(first, second, out); });
        CHECK(relative_difference(doubles(by_cudnn), e.result) < 2e-3);
      }
    }
  }
}

TEST_CASE("On a GPU cuDNN's fused convolution adds bias and residual, then activates", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if (const std::string reason = ConvolutionCudnn<half>::why_not(); !reason.empty()) SKIP_TEST(reason);
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    const ConvolutionShape shape{
        .batch = 2, .height = 14, .width = 14, .in_channels = 32, .out_channels = 64, .kernel = 3, .pad = 1};
    ConvolutionOnDevice<Cuda, half> problem(device, shape);
    for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu_tanh}) {
      INFO(to_string(activation));
      ConvolutionCudnn<half> fused(problem.stream, shape, Layout::nhwc, ConvolutionPass::forward,
                                   {.bias = true, .residual = true, .activation = activation});
      const auto output = problem.result_of(problem.arrays.output_gradient.size(), [&](auto out) {
        fused(std::as_const(problem.input).span(), std::as_const(problem.weights).span(), out,
              {problem.bias.data(), problem.residual.data()});
      });
      CHECK(relative_difference(doubles(output),
                                problem.forward_reference(problem.reference_epilogue(activation))) < 1e-3);
    }
  }
}
