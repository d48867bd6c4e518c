// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/convolution_reference.h"

#include <testing/catch.h>

#include <numeric>

#include "kernels/convolution/testing/convolution_problem.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// Strides and paddings that leave a remainder, groups, a kernel as large as the picture, pixels that no
/// output sees.
std::vector<ConvolutionShape> shapes() {
  return {
      {.batch = 2, .height = 7, .width = 5, .in_channels = 3, .out_channels = 4, .kernel = 3, .pad = 1},
      {.batch = 1,
       .height = 8,
       .width = 9,
       .in_channels = 4,
       .out_channels = 6,
       .kernel = 3,
       .stride = 2,
       .pad = 1,
       .groups = 2},
      {.batch = 2,
       .height = 6,
       .width = 7,
       .in_channels = 6,
       .out_channels = 6,
       .kernel = 5,
       .stride = 2,
       .pad = 2,
       .groups = 6},
      {.batch = 1, .height = 4, .width = 4, .in_channels = 2, .out_channels = 3, .kernel = 4, .pad = 3},
      {.batch = 1, .height = 9, .width = 8, .in_channels = 3, .out_channels = 2, .kernel = 1, .stride = 3},
      {.batch = 2,
       .height = 5,
       .width = 5,
       .in_channels = 4,
       .out_channels = 8,
       .kernel = 2,
       .stride = 3,
       .groups = 4},
      {.batch = 3, .height = 1, .width = 1, .in_channels = 5, .out_channels = 7}};
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

TEST_CASE("the reference convolution is the definition in both layouts", "[cpu]") {
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
      const ConvolutionArrays in = convolution_arrays(shape, layout);
      std::vector<std::size_t> all(shape.output(layout).size());
      std::iota(all.begin(), all.end(), std::size_t{0});
      const auto defined = convolution_outputs_reference<double>(shape, layout, in.input, in.weights, all);
      std::vector<double> output(all.size());
      for (const int threads : {1, 3}) {
        convolution_forward_reference<double>(shape, layout, in.input, in.weights, output, {}, threads);
        CHECK(relative_difference(output, defined) < 1e-14);
      }
    }
  }
}

TEST_CASE("both layouts are the same convolution", "[cpu]") {
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    const ConvolutionArrays first = convolution_arrays(shape, Layout::nchw);
    const auto last = [&](const Tensor4& of, const std::vector<double>& values) {
      return to_layout<double>(of, Layout::nhwc, values);
    };
    const auto x = last(shape.input(Layout::nchw), first.input),
               w = last(shape.weights(Layout::nchw), first.weights),
               dy = last(shape.output(Layout::nchw), first.output_gradient);
    std::vector<double> y_first(first.output_gradient.size()), y(y_first.size()), dx_first(x.size()),
        dx(x.size()), dw_first(w.size()), dw(w.size());
    convolution_forward_reference<double>(shape, Layout::nchw, first.input, first.weights, y_first);
    convolution_forward_reference<double>(shape, Layout::nhwc, x, w, y);
    CHECK(last(shape.output(Layout::nchw), y_first) == y);
    convolution_backward_data_reference<double>(shape, Layout::nchw, first.output_gradient, first.weights,
                                                dx_first);
    convolution_backward_data_reference<double>(shape, Layout::nhwc, dy, w, dx);
    CHECK(last(shape.input(Layout::nchw), dx_first) == dx);
    convolution_backward_weights_reference<double>(shape, Layout::nchw, first.input, first.output_gradient,
                                                   dw_first);
    convolution_backward_weights_reference<double>(shape, Layout::nhwc, x, dy, dw);
    CHECK(last(shape.weights(Layout::nchw), dw_first) == dw);
  }
}

TEST_CASE("the reference's three passes are adjoint", "[cpu]") {
  // The output is linear in the input and in the weights: <dy, conv(x, w)> = <dx, x> = <dw, w>.
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
      const ConvolutionArrays in = convolution_arrays(shape, layout);
      std::vector<double> y(in.output_gradient.size()), dx(in.input.size()), dw(in.weights.size());
      convolution_forward_reference<double>(shape, layout, in.input, in.weights, y);
      convolution_backward_data_reference<double>(shape, layout, in.output_gradient, in.weights, dx);
      convolution_backward_weights_reference<double>(shape, layout, in.input, in.output_gradient, dw);
      const double together = dot(in.output_gradient, y);
      CHECK(dot(dx, in.input) == Approx(together).epsilon(1e-11));
      CHECK(dot(dw, in.weights) == Approx(together).epsilon(1e-11));
    }
  }
}

TEST_CASE("the epilogue adds, then activates; its slope is its difference quotient", "[cpu]") {
  const ConvolutionShape shape = shapes()[0];
  const ConvolutionArrays in = convolution_arrays(shape, Layout::nchw);
  std::vector<double> plain(in.residual.size()), fused(in.residual.size());
  convolution_forward_reference<double>(shape, Layout::nchw, in.input, in.weights, plain);
  for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu_tanh}) {
    convolution_forward_reference<double>(
        shape, Layout::nchw, in.input, in.weights, fused,
        {.bias = in.bias, .residual = in.residual, .activation = activation});
    const Tensor4 out = shape.output(Layout::nchw);
    for (int k = 0; k < out.channels; ++k) {
      const std::size_t at = out.index(1, k, 2, 3);
      const double before = plain[at] + in.bias[static_cast<std::size_t>(k)] + in.residual[at];
      CHECK(fused[at] == Approx(activated(activation, before)));
      const double step = 1e-6,
                   difference = activated(activation, before + step) - activated(activation, before - step);
      CHECK(activation_slope(activation, before) == Approx(difference / (2 * step)).margin(1e-8));
    }
  }
  CHECK(activated(Activation::gelu_tanh, 1.0) == Approx(0.841192).epsilon(1e-6));  // arXiv 1606.08415
  CHECK(activated(Activation::relu, -2.0) == 0);
}

TEST_CASE("the float reference keeps fp32's accuracy over many pixels", "[cpu]") {
  const ConvolutionShape shape{
      .batch = 8, .height = 24, .width = 24, .in_channels = 3, .out_channels = 4, .kernel = 3, .pad = 1};
  const ConvolutionArrays in = convolution_arrays(shape, Layout::nhwc);
  const auto single = [](const std::vector<double>& v) { return std::vector<float>(v.begin(), v.end()); };
  const std::vector<float> x = single(in.input), dy = single(in.output_gradient);
  std::vector<float> dw(in.weights.size());
  std::vector<double> exact(in.weights.size());
  convolution_backward_weights_reference<float>(shape, Layout::nhwc, x, dy, dw);
  convolution_backward_weights_reference<double>(shape, Layout::nhwc, in.input, in.output_gradient, exact);
  CHECK(relative_difference(dw, exact) < 2e-6);
}

TEST_CASE("flops, useful flops and touched pixels are those of the loops", "[cpu]") {
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    double all = 0, useful = 0;
    std::vector<bool> seen(static_cast<std::size_t>(shape.height * shape.width));
    for (int y = 0; y < shape.out_height(); ++y)
      for (int x = 0; x < shape.out_width(); ++x)
        for (int tap = 0; tap < shape.taps(); ++tap) {
          const int from_y = y * shape.stride - shape.pad + tap / shape.kernel,
                    from_x = x * shape.stride - shape.pad + tap % shape.kernel;
          const double products = 2.0 * shape.batch * shape.out_channels * shape.group_in();
          all += products;
          if (from_y < 0 || from_y >= shape.height || from_x < 0 || from_x >= shape.width) continue;
          useful += products;
          seen[static_cast<std::size_t>(from_y * shape.width + from_x)] = true;
        }
    CHECK(shape.flops() == all);
    CHECK(shape.useful_flops() == useful);
    CHECK(shape.touched_pixels() == static_cast<std::size_t>(std::count(seen.begin(), seen.end(), true)));
  }
}

TEST_CASE("convolution shapes that can't be are refused with their limit", "[cpu]") {
  using Catch::Matchers::ContainsSubstring;
  const ConvolutionShape good{.height = 5, .width = 5, .in_channels = 6, .out_channels = 4, .kernel = 3};
  const auto with = [&](auto change) {
    ConvolutionShape shape = good;
    change(shape);
    return shape;
  };
  CHECK_NOTHROW(check_convolution("it", good));
  CHECK_THROWS_WITH(check_convolution("it", with([](auto& s) { s.batch = 0; })),
                    ContainsSubstring("it: batch is 0; it must be at least 1"));
  CHECK_THROWS_WITH(check_convolution("it", with([](auto& s) { s.kernel = 6; })),
                    ContainsSubstring("kernel is 6, larger than the padded picture, 5"));
  CHECK_THROWS_WITH(check_convolution("it", with([](auto& s) { s.pad = 3; })),
                    ContainsSubstring("pad is 3; it must be from 0 to kernel - 1 = 2"));
  CHECK_THROWS_WITH(check_convolution("it", with([](auto& s) { s.groups = 3; })),
                    ContainsSubstring("out_channels is 4, no multiple of groups = 3"));
  CHECK_THROWS_WITH(check_convolution("it", with([](auto& s) { s.batch = 1 << 27; })),
                    ContainsSubstring("the limit is 2147483647"));
  std::vector<double> x(150), w(36 * 6), y(35);
  CHECK_THROWS_WITH(convolution_forward_reference<double>(good, Layout::nhwc, x, w, y),
                    ContainsSubstring("output has 35 elements; 36 follow from the shape"));
  CHECK_THROWS_WITH(to_layout<double>({.channels = 2}, Layout::nchw, x),
                    ContainsSubstring("the shape has 2"));
}
