// SPDX-License-Identifier: Apache-2.0
#include "baselines/spiking/lif_steps.h"

#include <testing/catch.h>
#include <cmath>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/spiking/spsn_reference.h"

using namespace remeasure;
using namespace remeasure::baselines;
using namespace remeasure::kernels::testing;

namespace {
const Decay kDecay{std::exp(-1.0 / 20), std::exp(-1.0 / 20)};
}

TEST_CASE("LIF by steps of whole-batch arrays is the loop, with the same bits on any number of threads",
          "[cpu]") {
  const SpikingShape shape{5, 60, 33};
  const std::vector<float> current = normal_values(shape.values(), 41, 3.0f);
  std::vector<float> loop(shape.values()), membrane(shape.values()), spikes(shape.values());
  kernels::lif_reference<float>(shape, kDecay, 1.0, current, loop);
  lif_steps_eigen(shape, kDecay, 1.0f, current, membrane, spikes, 1);
  std::size_t different =
      0;  // contracted a * b + c here: a membrane that just reaches the threshold may fire a step apart
  for (std::size_t i = 0; i < loop.size(); ++i) {
    different += std::abs(membrane[i] - loop[i]) > 1e-4f ? 1 : 0;
    REQUIRE(spikes[i] == (membrane[i] > 1.0f ? 1.0f : 0.0f));
  }
  CHECK(different < loop.size() / 500);
  for (const int threads : {2, 0}) {
    std::vector<float> other(shape.values());
    lif_steps_eigen(shape, kDecay, 1.0f, current, other, spikes, threads);
    CHECK(other == membrane);
  }
  CHECK_THROWS_WITH(lif_steps_eigen(shape, kDecay, 1.0f, current, membrane, std::span(spikes).first(3)),
                    Catch::Matchers::ContainsSubstring("an array of 3 values"));
}

TEST_CASE("On a GPU LIF by cuBLAS and membranes by cuFFT agree with the references", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    const SpikingShape shape{4, 200, 64};
    const std::vector<float> current = normal_values(shape.values(), 42, 3.0f),
                             gradient = normal_values(shape.values(), 43);
    Device<Cuda> device;
    Stream<Cuda> stream(device);
    DeviceBuffer<Cuda, float> x(device, shape.values()), m(device, shape.values()), z(device, shape.values()),
        dx(device, shape.values());
    stream.upload(std::span<const float>(current), x.span());
    std::vector<float> out(shape.values());
    const auto result = [&](DeviceBuffer<Cuda, float>& buffer) {
      stream.download(std::as_const(buffer).span(), std::span<float>(out));
      return out;
    };
    CublasLifSteps steps(stream, shape, kDecay, 1.0f);
    steps.forward(x, m, z);
    const std::vector<float> membrane = result(m);
    std::vector<float> loop(shape.values());
    kernels::lif_reference<float>(shape, kDecay, 1.0, current, loop);
    std::size_t different = 0;  // a membrane that just reaches the threshold may fire a step apart
    for (std::size_t i = 0; i < loop.size(); ++i)
      different += std::abs(membrane[i] - loop[i]) > 1e-4f ? 1 : 0;
    CHECK(different < loop.size() / 500);
    stream.upload(std::span<const float>(gradient), z.span());
    steps.backward(m, z, dx);
    const std::vector<double> exact(membrane.begin(), membrane.end());
    std::vector<double> expected(shape.values());
    kernels::lif_gradient_reference<double>(shape, kDecay, 1.0, exact, gradient, expected);
    CHECK(relative_error(result(dx), expected) < 1e-5);
    CufftMembrane fourier(stream, shape, kDecay);
    fourier(x, m);
    kernels::spsn_membrane_reference<double>(shape, kDecay, current, expected);
    CHECK(relative_error(result(m), expected) < 1e-5);
  }
}
