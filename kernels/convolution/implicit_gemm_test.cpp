// SPDX-License-Identifier: Apache-2.0
#include "kernels/convolution/implicit_gemm.h"

#include <testing/catch.h>

#include "kernels/convolution/gemm_plan.h"
#include "kernels/convolution/testing/convolution_passes.h"
#include "kernels/simt/operation_counts.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

/// A convolution on a device by the implicit product.
template <class Target, class Element>
struct Problem : ConvolutionOnDevice<Target, Element> {
  using Base = ConvolutionOnDevice<Target, Element>;
  using Base::Base;

  std::vector<Element> forward(const DeviceEpilogue<Target, Element>& with = {}) {
    return Base::result_of(this->arrays.output_gradient.size(), [&](auto out) {
      implicit_gemm_forward<Target, Element>(this->stream, this->shape, this->input, this->weights, out,
                                             with);
    });
  }
  std::vector<Element> backward_data() {
    return Base::result_of(this->arrays.input.size(), [&](auto out) {
      implicit_gemm_backward_data<Target, Element>(this->stream, this->shape, this->output_gradient,
                                                   this->weights, out);
    });
  }
  std::vector<Element> backward_weights() {
    DeviceBuffer<Target, float> workspace(this->device,
                                          implicit_gemm_workspace(this->shape, sizeof(Element)));
    return Base::result_of(this->arrays.weights.size(), [&](auto out) {
      implicit_gemm_backward_weights<Target, Element>(this->stream, this->shape, this->input,
                                                      this->output_gradient, out, workspace);
    });
  }
};

/// Rows and channels that don't fill a tile, more than one tile each way in each pass, taps that end within a
/// stage, strides with a remainder, groups, 1 x 1 with and without a stride, pixels that no output sees.
std::vector<ConvolutionShape> shapes() {
  return {{.batch = 1, .height = 7, .width = 5, .in_channels = 8, .out_channels = 24, .kernel = 3, .pad = 1},
          {.batch = 3,
           .height = 9,
           .width = 11,
           .in_channels = 40,
           .out_channels = 72,
           .kernel = 3,
           .stride = 2,
           .pad = 1},
          {.batch = 2,
           .height = 8,
           .width = 10,
           .in_channels = 16,
           .out_channels = 16,
           .kernel = 5,
           .stride = 2,
           .pad = 2},
          {.batch = 2,
           .height = 6,
           .width = 13,
           .in_channels = 32,
           .out_channels = 64,
           .kernel = 3,
           .pad = 1,
           .groups = 4},
          {.batch = 1, .height = 17, .width = 9, .in_channels = 24, .out_channels = 136},
          {.batch = 2, .height = 9, .width = 7, .in_channels = 72, .out_channels = 8, .stride = 2},
          {.batch = 1,
           .height = 5,
           .width = 6,
           .in_channels = 136,
           .out_channels = 8,
           .kernel = 3,
           .stride = 2,
           .pad = 1},
          {.batch = 1,
           .height = 5,
           .width = 6,
           .in_channels = 8,
           .out_channels = 8,
           .kernel = 4,
           .stride = 3,
           .pad = 3}};
}
/// One that has every part, for schedules and mutants.
ConvolutionShape small_shape() {
  return {.batch = 1,
          .height = 9,
          .width = 8,
          .in_channels = 24,
          .out_channels = 16,
          .kernel = 3,
          .stride = 2,
          .pad = 1};
}

/// Rounding of the result, and of operands to TF32 (2^-12 each, two to a product, at random).
template <class Element>
double limit() {
  return std::is_same_v<Element, half> ? 4e-4 : std::is_same_v<Element, bfloat16> ? 3e-3 : 4e-4;
}

template <class Element>
void check_shapes() {
  Device<Simt> device;
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    Problem<Simt, Element> problem(device, shape);
    check_passes(problem, limit<Element>());
  }
}

/// More than 64 weights of an output channel, and fewer.
template <class Element>
void check_slices() {
  Device<Simt> device;
  const ConvolutionShape wide{
      .batch = 2, .height = 30, .width = 29, .in_channels = 8, .out_channels = 8, .kernel = 3, .pad = 1},
      narrow{.batch = 1, .height = 25, .width = 29, .in_channels = 24, .out_channels = 40};
  for (const ConvolutionShape& shape : {wide, narrow}) {
    INFO(to_string(shape) << ", " << sizeof(Element) << " bytes");
    const WeightsPlan plan = weights_plan(shape, sizeof(Element));
    REQUIRE(plan.slices > (shape.kernel == 3 ? 3 : 1));
    REQUIRE(plan.pixels % plan.slice_pixels != 0);  // a short last slice
    Problem<Simt, Element> problem(device, shape);
    CHECK(relative_difference(doubles(problem.backward_weights()), problem.backward_weights_reference()) <
          limit<Element>());
  }
}

}  // namespace

TEST_CASE("implicit products of half are the reference's three passes", "[simt]") {
  check_shapes<half>();
}
TEST_CASE("implicit products of bfloat16 are the reference's three passes", "[simt]") {
  check_shapes<bfloat16>();
}
TEST_CASE("implicit products of float as TF32 are the reference's three passes", "[simt]") {
  check_shapes<float>();
}

TEST_CASE("the implicit product's epilogue adds bias and residual, then activates", "[simt]") {
  Device<Simt> device;
  for (const ConvolutionShape& shape : {shapes()[0], shapes()[3], shapes()[4]}) {
    for (const Activation activation : {Activation::none, Activation::relu, Activation::gelu_tanh}) {
      INFO(to_string(shape) << ", " << to_string(activation));
      Problem<Simt, half> halves(device, shape);
      check_epilogue(halves, activation, limit<half>());
      Problem<Simt, float> floats(device, shape);
      check_epilogue(floats, activation, limit<float>());
    }
  }
}

TEST_CASE("the implicit products of the three passes are adjoint", "[simt]") {
  Device<Simt> device;
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    Problem<Simt, half> problem(device, shape);
    check_adjoint(problem, 2e-4);
  }
}

TEST_CASE("implicit products have the same bits in every schedule, with late and early copies", "[simt]") {
  Device<Simt> device;
  Problem<Simt, half> problem(device, small_shape());
  const auto expected = bytes_of_passes(problem, Activation::gelu_tanh);
  for (const simt::CopyTiming timing : {simt::CopyTiming::late, simt::CopyTiming::early}) {
    device.engine().set_copy_timing(timing);
    for (const std::uint64_t seed : {1u, 2u}) {
      device.engine().set_schedule(seed);
      CHECK(bytes_of_passes(problem, Activation::gelu_tanh) == expected);
    }
  }
}

TEST_CASE("backward weights over several slices add up to the same gradient", "[simt]") {
  check_slices<half>();
  check_slices<bfloat16>();
  check_slices<float>();
}

TEST_CASE("backward data with a stride multiplies with no zeros between pixels", "[cpu]") {
  // Over all phases the taps are those of the definition: each output meets each tap once.
  for (const ConvolutionShape& shape : shapes()) {
    INFO(to_string(shape));
    double products = 0, useful = 0;
    for (int phase = 0; phase < gemm_phases(GemmPass::backward_data, shape); ++phase) {
      const GemmPlan plan = gemm_plan(GemmPass::backward_data, shape, phase);
      products += 2.0 * plan.rows * plan.columns * plan.inner() * shape.groups;
      for (int y = 0; y < plan.vertical.positions; ++y)
        for (int t = 0; t < plan.vertical.taps; ++t) {
          const int source = plan.vertical.source(y, t);
          const int tap = plan.vertical.kernel_first + t * plan.vertical.kernel_step;
          CHECK(source * shape.stride - shape.pad + tap ==
                y * plan.vertical.to_step + plan.vertical.to_first);
          useful += source >= 0 && source < shape.out_height();
        }
    }
    CHECK(products <= 2.0 * static_cast<double>(shape.in_pixels()) * shape.out_channels * shape.group_in() *
                          divide_up(shape.kernel, shape.stride) * divide_up(shape.kernel, shape.stride));
    CHECK(useful > 0);
  }
}

TEST_CASE("the work of implicit products is what is counted", "[simt]") {
  if (!simt::Engine::checked() || !simt::kOperationsCounted) SKIP_TEST("counted in the checked build of g++");
  Device<Simt> device;
  std::vector<ConvolutionShape> all = shapes();
  all.pop_back();  // there the phases of a stride of 3 reach beside the picture alone: fewer bytes
  all.push_back(
      {.batch = 2, .height = 30, .width = 29, .in_channels = 8, .out_channels = 8, .kernel = 3, .pad = 1});
  const auto check_shape = [&]<class Element>(Element, const ConvolutionShape& shape) {
    INFO(to_string(shape) << ", " << sizeof(Element) << " bytes");
    Problem<Simt, Element> problem(device, shape);
    check_work(
        problem,
        [&](const EpilogueParts& parts) { return implicit_gemm_forward_work(shape, sizeof(Element), parts); },
        implicit_gemm_backward_data_work(shape, sizeof(Element)),
        implicit_gemm_backward_weights_work(shape, sizeof(Element)));
  };
  for (const ConvolutionShape& shape : all) check_shape(half{}, shape);
  for (const int i : {1, 4, 5}) check_shape(float{}, shapes()[static_cast<std::size_t>(i)]);
}

TEST_CASE("implicit products refuse channels and sizes that they can't take", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  Device<Simt> device;
  ConvolutionShape shape = small_shape();
  shape.in_channels = 12;
  CHECK_THROWS_WITH((Problem<Simt, half>(device, shape).forward()),
                    ContainsSubstring("12 input channels a group; a multiple of 8 is needed"));
  CHECK_NOTHROW(Problem<Simt, float>(device, shape).forward());
  shape.out_channels = 6;
  CHECK_THROWS_WITH((Problem<Simt, float>(device, shape).backward_data()),
                    ContainsSubstring("6 output channels a group; a multiple of 4 is needed"));
  Problem<Simt, half> problem(device, small_shape());
  problem.shape.batch = 2;
  CHECK_THROWS_WITH(problem.forward(), ContainsSubstring("input has 1728 elements; 3456 follow"));
}

TEST_CASE("On a GPU implicit products are the reference's three passes", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    const auto check = [&]<class Element>(Element) {
      for (const ConvolutionShape& shape : shapes()) {
        INFO(to_string(shape));
        Problem<Cuda, Element> problem(device, shape);
        check_passes(problem, limit<Element>());
        check_epilogue(problem, Activation::relu, limit<Element>());
      }
    };
    check(half{});
    check(bfloat16{});
    check(float{});
  }
}
