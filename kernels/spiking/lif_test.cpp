// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/simt/engine.h"
#include "kernels/spiking/membrane.h"
#include "kernels/spiking/spsn_reference.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

const Decay kDecay{std::exp(-1.0 / 20), std::exp(-1.0 / 20)};

struct Forward {
  std::vector<float> membrane;
  std::vector<std::uint32_t> spikes;
};

template <class Target>
Forward forward(Device<Target>& device, const SpikingShape& shape, float threshold,
                const std::vector<float>& current) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, float> x(device, shape.values()), m(device, shape.values());
  DeviceBuffer<Target, std::uint32_t> z(device, shape.spike_words());
  stream.upload(std::span<const float>(current), x.span());
  lif_fused<Target>(stream, shape, kDecay, threshold, x, m, z);
  Forward result{std::vector<float>(shape.values()), std::vector<std::uint32_t>(shape.spike_words())};
  stream.download(std::as_const(m).span(), std::span<float>(result.membrane));
  stream.download(std::as_const(z).span(), std::span<std::uint32_t>(result.spikes));
  return result;
}

template <class Target>
std::vector<float> backward(Device<Target>& device, const SpikingShape& shape,
                            const std::vector<float>& membrane, const std::vector<float>& gradient) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, float> m(device, shape.values()), dz(device, shape.values()),
      dx(device, shape.values());
  stream.upload(std::span<const float>(membrane), m.span());
  stream.upload(std::span<const float>(gradient), dz.span());
  lif_fused_backward<Target>(stream, shape, kDecay, 1.0f, m, dz, dx);
  std::vector<float> result(shape.values());
  stream.download(std::as_const(dx).span(), std::span<float>(result));
  return result;
}

/// Strong enough that neurons fire every few steps.
std::vector<float> strong_currents(const SpikingShape& shape) {
  return normal_values(shape.values(), 31, 3.0f);
}

}  // namespace

TEST_CASE("lif_fused is the loop in f32 bit for bit, at lengths around its unrolling", "[simt]") {
  Device<Simt> device;
  for (const SpikingShape& shape :
       {SpikingShape{1, 1, 32}, SpikingShape{2, 7, 33}, SpikingShape{1, 8, 5}, SpikingShape{3, 65, 64}}) {
    INFO(shape.batch << " x " << shape.steps << " x " << shape.neurons);
    const std::vector<float> current = strong_currents(shape);
    const Forward result = forward(device, shape, 1.0f, current);
    std::vector<float> loop(shape.values());
    lif_reference<float>(shape, kDecay, 1.0, current, loop);
    REQUIRE(result.membrane == loop);
    std::size_t i = 0;
    for (std::size_t row = 0;
         row < static_cast<std::size_t>(shape.batch) * static_cast<std::size_t>(shape.steps); ++row) {
      for (int neuron = 0; neuron < shape.neurons; ++neuron, ++i) {
        const std::uint32_t word =
            result.spikes[row * shape.words_per_step() + static_cast<std::size_t>(neuron) / 32];
        REQUIRE((word >> (neuron % 32) & 1) == (loop[i] > 1.0f ? 1u : 0u));
      }
    }
  }
}

TEST_CASE("a neuron that fires begins again at zero", "[simt]") {
  Device<Simt> device;
  const SpikingShape shape{1, 200, 1};
  const Forward result = forward(device, shape, 1.0f, std::vector<float>(200, 1.0f));
  int fired = 0;
  for (std::size_t t = 0; t + 1 < 200; ++t) {
    if (result.membrane[t] <= 1.0f) continue;
    ++fired;
    CHECK(result.membrane[t + 1] <
          1.05f * (1 - static_cast<float>(kDecay.beta)) * 21);  // one step's share of s <= 20.5
  }
  CHECK(fired > 10);
}

TEST_CASE("with a threshold that is never reached LIF is the SPSN membrane", "[simt]") {
  const SpikingShape shape{2, 300, 40};
  const std::vector<float> current = strong_currents(shape);
  std::vector<double> lif(shape.values()), spsn(shape.values());
  lif_reference<double>(shape, kDecay, std::numeric_limits<double>::infinity(), current, lif);
  spsn_membrane_reference<double>(shape, kDecay, current, spsn);
  CHECK(lif == spsn);
  lif_reference<double>(shape, kDecay, 1.0, current, lif);
  CHECK(relative_error(lif, spsn) > 0.1);  // and with one that is, it isn't
  Device<Simt> device;
  CHECK(relative_error(forward(device, shape, std::numeric_limits<float>::infinity(), current).membrane,
                       spsn) < 2e-6);  // decays rounded to f32
}

TEST_CASE("lif_fused_backward is backpropagation through time in double", "[simt]") {
  Device<Simt> device;
  for (const SpikingShape& shape :
       {SpikingShape{2, 100, 40}, SpikingShape{1, 7, 32}, SpikingShape{1, 9, 1}}) {
    const std::vector<float> current = strong_currents(shape), gradient = normal_values(shape.values(), 32);
    const Forward made = forward(device, shape, 1.0f, current);
    const std::vector<double> membrane(made.membrane.begin(), made.membrane.end());
    std::vector<double> expected(shape.values());
    lif_gradient_reference<double>(shape, kDecay, 1.0, membrane, gradient, expected);
    CHECK(relative_error(backward(device, shape, made.membrane, gradient), expected) < 1e-5);
  }
}

TEST_CASE("the LIF gradient is the finite difference of the loop where nothing fires", "[cpu]") {
  // Below the threshold m is smooth in x; the surrogate is then a given weight on dm.
  const SpikingShape shape{1, 30, 1};
  std::vector<float> x = normal_values(30, 33, 0.05f), dz(30, 0.0f);
  dz[20] = 1;
  dz[29] = -2;
  const auto weighted = [&] {
    std::vector<double> m(30);
    lif_reference<double>(shape, kDecay, 1.0, x, m);
    return m;
  };
  const std::vector<double> m = weighted();
  std::vector<double> gradient(30);
  lif_gradient_reference<double>(shape, kDecay, 1.0, m, dz, gradient);
  const auto weight = [&](std::size_t t) {
    return static_cast<double>(dz[t]) / std::pow(100 * std::abs(m[t] - 1) + 1, 2);
  };
  for (const std::size_t i : {0u, 13u, 20u, 25u}) {
    const float before = x[i];
    x[i] = before + 0x1p-8f;
    const std::vector<double> above = weighted();
    const double high = static_cast<double>(x[i]);
    x[i] = before - 0x1p-8f;
    const std::vector<double> below = weighted();
    const double low = static_cast<double>(x[i]);
    x[i] = before;
    double slope = 0;
    for (std::size_t t = 0; t < 30; ++t) slope += weight(t) * (above[t] - below[t]) / (high - low);
    CHECK(std::abs(slope - gradient[i]) < 1e-12);
  }
}

TEST_CASE("steps of LIF in launches of their own are the loop, forward and backward", "[simt]") {
  // The linear parts are plain loops here: on a GPU cuBLAS does them.
  const SpikingShape shape{2, 20, 5};
  const std::vector<float> current = strong_currents(shape), gradient = normal_values(shape.values(), 34);
  const auto alpha = static_cast<float>(kDecay.alpha), beta = static_cast<float>(kDecay.beta),
             gain = static_cast<float>(1 - kDecay.beta);
  Device<Simt> device;
  Stream<Simt> stream(device);
  const auto plain = [](DeviceBuffer<Simt, float>& buffer) {
    return std::span<float>(buffer.data(), buffer.size());
  };
  DeviceBuffer<Simt, float> state(device, 10), dm(device, 10), membrane(device, shape.values()),
      spikes(device, shape.values()), dz(device, shape.values());
  stream.fill_bytes(state.span(), 0);
  stream.fill_bytes(dm.span(), 0);
  stream.upload(std::span<const float>(gradient), dz.span());
  std::vector<float> s(10, 0.0f);
  for (int t = 0; t < shape.steps; ++t) {
    std::vector<float> m(10);
    stream.download(std::as_const(state).span(), std::span<float>(m));
    for (std::size_t i = 0; i < 10; ++i) {
      s[i] = alpha * s[i] + current[(i / 5 * 20 + static_cast<std::size_t>(t)) * 5 + i % 5];
      m[i] = beta * m[i] + gain * s[i];
    }
    stream.upload(std::span<const float>(m), state.span());
    lif_step_fire<Simt>(stream, shape, t, 1.0f, state, membrane, spikes);
  }
  const Forward fused = forward(device, shape, 1.0f, current);
  CHECK(std::vector<float>(plain(membrane).begin(), plain(membrane).end()) == fused.membrane);
  for (std::size_t i = 0; i < shape.values(); ++i)
    CHECK(plain(spikes)[i] == (fused.membrane[i] > 1.0f ? 1.0f : 0.0f));

  std::vector<float> ds(10, 0.0f), dx(shape.values());
  for (int t = shape.steps - 1; t >= 0; --t) {
    lif_step_gradient<Simt>(stream, shape, t, kDecay, 1.0f, membrane, dz, dm);
    for (std::size_t i = 0; i < 10; ++i) {
      ds[i] = alpha * ds[i] + gain * plain(dm)[i];
      dx[(i / 5 * 20 + static_cast<std::size_t>(t)) * 5 + i % 5] = ds[i];
    }
  }
  CHECK(dx == backward(device, shape, fused.membrane, gradient));
}

TEST_CASE("LIF by steps fires above the threshold, and begins again at zero", "[simt]") {
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> state(device, 3), membrane(device, 3), spikes(device, 3);
  const std::vector<float> values = {0.5f, 1.0f, 1.5f};
  stream.upload(std::span<const float>(values), state.span());
  lif_step_fire<Simt>(stream, {1, 1, 3}, 0, 1.0f, state, membrane, spikes);
  CHECK(std::vector<float>(state.data(), state.data() + 3) == std::vector<float>{0.5f, 1.0f, 0.0f});
  CHECK(std::vector<float>(membrane.data(), membrane.data() + 3) == values);
  CHECK(std::vector<float>(spikes.data(), spikes.data() + 3) == std::vector<float>{0, 0, 1});
  CHECK_THROWS_WITH(lif_step_fire<Simt>(stream, {1, 1, 3}, 1, 1.0f, state, membrane, spikes),
                    Catch::Matchers::ContainsSubstring("step 1 of 1"));
}

TEST_CASE("LIF kernels refuse sizes that don't fit", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  Device<Simt> device;
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> x(device, 8), m(device, 7);
  DeviceBuffer<Simt, std::uint32_t> z(device, 4);
  CHECK_THROWS_WITH(lif_fused<Simt>(stream, {1, 4, 2}, kDecay, 1, x, m, z),
                    ContainsSubstring("an array of 7 values"));
  CHECK_THROWS_WITH(lif_fused<Simt>(stream, {2, 4, 1}, kDecay, 1, x, {}, z),
                    ContainsSubstring("4 words of spikes; it writes 8"));
  CHECK_THROWS_WITH(lif_fused<Simt>(stream, {0, 4, 1}, kDecay, 1, x, {}, z), ContainsSubstring("batch 0"));
}

TEST_CASE("On a GPU lif_fused agrees with the loop", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    const SpikingShape shape{4, 500, 128};
    const std::vector<float> current = strong_currents(shape);
    Device<Cuda> device;
    const Forward result = forward(device, shape, 1.0f, current);
    std::vector<float> loop(shape.values());
    lif_reference<float>(shape, kDecay, 1.0, current, loop);
    std::size_t different =
        0;  // nvcc contracts a * b + c: a membrane that just reaches the threshold may fire a step apart
    for (std::size_t i = 0; i < loop.size(); ++i)
      different += std::abs(result.membrane[i] - loop[i]) > 1e-4f ? 1 : 0;
    CHECK(different < loop.size() / 500);
  }
}
