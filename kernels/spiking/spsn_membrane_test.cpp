// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/device/testing/normal_values.h"
#include "kernels/device/testing/relative_error.h"
#include "kernels/simt/engine.h"
#include "kernels/spiking/membrane.h"
#include "kernels/spiking/spike_draw.h"
#include "kernels/spiking/spsn_reference.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;

namespace {

const Decay kDecay{std::exp(-1.0 / 20), std::exp(-1.0 / 20)};  // 1 ms steps, 20 ms for both

constexpr int kStepsOfWarps[] = {50, 100, 300};  // tiles of 4, 8 and 16 warps; 300 are two of these

struct Forward {
  std::vector<float> membrane;
  std::vector<std::uint32_t> spikes;
};

template <class Target>
Forward forward(Device<Target>& device, const SpikingShape& shape, const Decay& decay, Spiking spiking,
                const std::vector<float>& current, std::uint64_t seed = 3) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, float> x(device, shape.values()), m(device, shape.values());
  DeviceBuffer<Target, std::uint32_t> z(device, spiking == Spiking::none ? 0 : shape.spike_words());
  stream.upload(std::span<const float>(current), x.span());
  spsn_membrane<Target>(stream, shape, decay, spiking, {seed}, x, m, z);
  Forward result{std::vector<float>(shape.values()), std::vector<std::uint32_t>(z.size())};
  stream.download(std::as_const(m).span(), std::span<float>(result.membrane));
  if (z.size() > 0) stream.download(std::as_const(z).span(), std::span<std::uint32_t>(result.spikes));
  return result;
}

template <class Target>
std::vector<float> backward(Device<Target>& device, const SpikingShape& shape, const Decay& decay,
                            Spiking spiking, const std::vector<float>& membrane,
                            const std::vector<float>& gradient, std::uint64_t seed = 3) {
  Stream<Target> stream(device);
  DeviceBuffer<Target, float> m(device, shape.values()), dz(device, shape.values()),
      dx(device, shape.values());
  stream.upload(std::span<const float>(membrane), m.span());
  stream.upload(std::span<const float>(gradient), dz.span());
  spsn_membrane_backward<Target>(stream, shape, decay, spiking, {seed}, m, dz, dx);
  std::vector<float> result(shape.values());
  stream.download(std::as_const(dx).span(), std::span<float>(result));
  return result;
}

std::vector<double> expected(const SpikingShape& shape, const Decay& decay,
                             const std::vector<float>& current) {
  std::vector<double> membrane(shape.values());
  spsn_membrane_reference<double>(shape, decay, current, membrane);
  return membrane;
}

}  // namespace

TEST_CASE("spsn_membrane is the recurrence in double, at lengths around its chunks and tiles", "[simt]") {
  Device<Simt> device;
  for (const int steps : {1, 15, 16, 17, 63, 64, 65, 127, 129, 255, 256, 257, 600}) {
    for (const SpikingShape& shape :
         {SpikingShape{1, steps, 32}, SpikingShape{2, steps, 45}, SpikingShape{1, steps, 3}}) {
      INFO(shape.batch << " x " << shape.steps << " x " << shape.neurons);
      const std::vector<float> current = normal_values(shape.values(), 5);
      const Forward result = forward(device, shape, kDecay, Spiking::none, current);
      REQUIRE(relative_error(result.membrane, expected(shape, kDecay, current)) < 2e-6);
    }
  }
}

TEST_CASE("scan, Fourier transform and loop agree over 1000 steps", "[simt]") {
  const SpikingShape shape{2, 1000, 33};
  const std::vector<float> current = normal_values(shape.values(), 6);
  for (const Decay& decay : {kDecay, Decay{0.9, 0.97}, Decay{0.0, 0.5}}) {
    const std::vector<double> exact = expected(shape, decay, current);
    Device<Simt> device;
    CHECK(relative_error(forward(device, shape, decay, Spiking::none, current).membrane, exact) < 1e-5);
    std::vector<float> loop(shape.values()), fourier(shape.values());
    spsn_membrane_reference<float>(shape, decay, current, loop);
    spsn_membrane_fourier<float>(shape, decay, current, fourier);
    CHECK(relative_error(loop, exact) < 1e-5);
    CHECK(relative_error(fourier, exact) < 1e-5);
    std::vector<double> in_double(shape.values());
    spsn_membrane_fourier<double>(shape, decay, current, in_double);
    CHECK(relative_error(in_double, exact) < 1e-13);
  }
}

TEST_CASE("the response to one current is the closed form, for equal decays too", "[cpu]") {
  for (const Decay& decay : {kDecay, Decay{0.9, 0.97}, Decay{0.95, 0.95 + 1e-9}, Decay{0.5, 0.0}}) {
    const std::vector<double> h = membrane_response(decay, 500);
    const SpikingShape shape{1, 500, 1};
    std::vector<float> impulse(500, 0.0f);
    impulse[0] = 1;
    const std::vector<double> response = expected(shape, decay, impulse);
    for (std::size_t t = 0; t < 500; ++t) {
      INFO("alpha " << decay.alpha << ", beta " << decay.beta << ", t " << t);
      REQUIRE(std::abs(h[t] - response[t]) <= 1e-12);
    }
  }
  const std::vector<double> equal = membrane_response(kDecay, 100);
  for (const std::size_t t : {0u, 1u, 50u, 99u}) {
    CHECK(std::abs(equal[t] - (1 - kDecay.beta) * static_cast<double>(t + 1) * std::pow(kDecay.alpha, t)) <
          1e-15);
  }
}

TEST_CASE("spsn_membrane_backward is the adjoint of the membrane", "[simt]") {
  // <dm, h * x> = <adjoint dm, x> for any two, which finite differences of a linear map would only
  // approximate.
  const Decay decay{0.9, 0.97};
  Device<Simt> device;
  for (const int steps : kStepsOfWarps) {
    const SpikingShape shape{2, steps, 40};
    INFO(steps << " steps");
    const std::vector<float> x = normal_values(shape.values(), 7), dm = normal_values(shape.values(), 8);
    const std::vector<float> dx =
        backward(device, shape, decay, Spiking::none, normal_values(shape.values(), 9), dm);
    const std::vector<double> m = expected(shape, decay, x);
    double left = 0, right = 0, scale = 0;
    for (std::size_t i = 0; i < m.size(); ++i) {
      left += static_cast<double>(dm[i]) * m[i];
      right += static_cast<double>(dx[i]) * static_cast<double>(x[i]);
      scale += std::abs(static_cast<double>(dm[i]) * m[i]);
    }
    CHECK(std::abs(left - right) < 1e-6 * scale);
  }
}

TEST_CASE("the gradient of a smooth loss on the membrane is its finite difference", "[cpu]") {
  // loss = sum sin(m): d loss / dx through the adjoint, against central differences in double.
  const SpikingShape shape{1, 40, 3};
  std::vector<float> x = normal_values(shape.values(), 10);
  std::vector<double> gradient(shape.values()), adjoint(shape.values());
  const std::vector<double> m = expected(shape, kDecay, x);
  for (std::size_t i = 0; i < m.size(); ++i) gradient[i] = std::cos(m[i]);
  spsn_membrane_adjoint<double>(shape, kDecay, gradient, adjoint);
  const auto loss = [&] {
    double sum = 0;
    for (const double value : expected(shape, kDecay, x)) sum += std::sin(value);
    return sum;
  };
  for (const std::size_t i : {0u, 31u, 77u, 119u}) {
    const float step = 0x1p-10f, before = x[i];
    x[i] = before + step;
    const double above = loss(), high = static_cast<double>(x[i]);
    x[i] = before - step;
    const double below = loss(), low = static_cast<double>(x[i]);
    x[i] = before;
    CHECK(std::abs((above - below) / (high - low) - adjoint[i]) < 1e-6);
  }
}

TEST_CASE("spsn_membrane_backward goes through the spikes as the forward pass drew them", "[simt]") {
  Device<Simt> device;
  for (const int steps : kStepsOfWarps) {
    const SpikingShape shape{2, steps, 35};
    const std::vector<float> current = normal_values(shape.values(), 11, 4.0f),
                             gradient = normal_values(shape.values(), 12);
    for (const Spiking spiking : {Spiking::sigmoid_bernoulli, Spiking::gumbel_softmax}) {
      INFO(steps << " steps, spiking " << static_cast<int>(spiking));
      const Forward made = forward(device, shape, kDecay, spiking, current, 21);
      const std::vector<double> m(made.membrane.begin(), made.membrane.end());
      const std::vector<double> dm = spike_gradient_reference(shape, spiking, {21}, m, gradient);
      std::vector<double> dx(shape.values());
      spsn_membrane_adjoint<double>(shape, kDecay, dm, dx);
      CHECK(relative_error(backward(device, shape, kDecay, spiking, made.membrane, gradient, 21), dx) < 1e-5);
      if (spiking == Spiking::gumbel_softmax) {  // other noise, another slope
        CHECK(relative_error(backward(device, shape, kDecay, spiking, made.membrane, gradient, 22), dx) >
              1e-2);
      }
    }
  }
}

TEST_CASE("spikes are packed by neuron, and are the draws of (seed, batch entry, step, neuron)", "[simt]") {
  Device<Simt> device;
  for (const Spiking spiking : {Spiking::sigmoid_bernoulli, Spiking::gumbel_softmax}) {
    for (const int steps : kStepsOfWarps) {
      const SpikingShape shape{2, steps, 45};
      const std::vector<float> current = normal_values(shape.values(), 13, 4.0f);
      const Forward result = forward(device, shape, kDecay, spiking, current, 5);
      std::size_t i = 0, ones = 0;
      for (std::size_t entry = 0; entry < 2; ++entry) {
        for (int t = 0; t < shape.steps; ++t) {
          const std::uint32_t* words =
              result.spikes.data() +
              (entry * static_cast<std::size_t>(steps) + static_cast<std::size_t>(t)) * 2;
          for (int neuron = 0; neuron < shape.neurons; ++neuron, ++i) {
            const bool spike = (words[neuron / 32] >> (neuron % 32) & 1) != 0;
            const bool wanted =
                spiking == Spiking::gumbel_softmax
                    ? draw_spike<Spiking::gumbel_softmax>(
                          result.membrane[i], spike_random<Spiking::gumbel_softmax>(5, entry, t, neuron),
                          t % 2)
                    : draw_spike<Spiking::sigmoid_bernoulli>(
                          result.membrane[i], spike_random<Spiking::sigmoid_bernoulli>(5, entry, t, neuron),
                          t % 4);
            INFO("entry " << entry << ", step " << t << ", neuron " << neuron);
            REQUIRE(spike == wanted);
            ones += spike ? 1 : 0;
          }
          REQUIRE(words[1] >> (45 - 32) == 0);  // neurons that don't exist don't spike
        }
      }
      CHECK(ones > i / 5);
      CHECK(ones < 4 * i / 5);
    }
  }
}

TEST_CASE(
    "spike rates are sigmoid(m) for Bernoulli and sigmoid(2 m) for Gumbel-softmax, and not the other way",
    "[cpu]") {
  constexpr int kDraws = 100'000;
  const auto rate = [](Spiking spiking, float m) {
    int ones = 0;
    for (int i = 0; i < kDraws; ++i) {
      ones += (spiking == Spiking::gumbel_softmax
                   ? draw_spike<Spiking::gumbel_softmax>(m, spike_random<Spiking::gumbel_softmax>(1, 0, i, 0),
                                                         i % 2)
                   : draw_spike<Spiking::sigmoid_bernoulli>(
                         m, spike_random<Spiking::sigmoid_bernoulli>(1, 0, i, 0), i % 4))
                  ? 1
                  : 0;
    }
    return static_cast<double>(ones) / kDraws;
  };
  const auto within = [](double seen, double p) {
    return std::abs(seen - p) < 4 * std::sqrt(p * (1 - p) / kDraws);
  };
  for (const float m : {-2.0f, 0.0f, 0.3f, 1.0f}) {
    for (const Spiking spiking : {Spiking::sigmoid_bernoulli, Spiking::gumbel_softmax}) {
      INFO("membrane " << m);
      CHECK(within(rate(spiking, m), spike_probability(spiking, static_cast<double>(m))));
    }
  }
  CHECK_FALSE(within(rate(Spiking::gumbel_softmax, 1.0f), spike_probability(Spiking::sigmoid_bernoulli, 1)));
}

TEST_CASE("spsn_membrane has the same bits under every schedule", "[simt]") {
  const SpikingShape shape{2, 300, 40};
  const std::vector<float> current = normal_values(shape.values(), 14);
  Device<Simt> device;
  const Forward first = forward(device, shape, kDecay, Spiking::sigmoid_bernoulli, current);
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    device.engine().set_schedule(seed);
    const Forward other = forward(device, shape, kDecay, Spiking::sigmoid_bernoulli, current);
    CHECK(other.membrane == first.membrane);
    CHECK(other.spikes == first.spikes);
  }
}

TEST_CASE("the scan waits log2(chunks) times where a loop takes every step, and reads each current once",
          "[simt]") {
  if (!simt::Engine::checked()) SKIP_TEST("counted in the checked build only");
  Device<Simt> device;
  for (const int steps : {64, 128, 256, 1024}) {
    const ScanPlan plan = scan_plan(steps);
    const SpikingShape shape{1, steps, 32};
    forward(device, shape, kDecay, Spiking::none, normal_values(shape.values(), 15));
    const simt::LaunchCounts& counts = device.engine().last_launch();
    INFO(steps << " steps");
    CHECK(counts[simt::Counter::barriers] == static_cast<std::uint64_t>(plan.tiles * (plan.rounds + 2)));
    CHECK(1 << plan.rounds == plan.warps);
    CHECK(plan.dependent_steps() < steps);
    CHECK(counts[simt::Counter::global_bytes_read] == 4 * shape.values());
    CHECK(counts[simt::Counter::global_bytes_written] == 4 * shape.values());
  }
}

TEST_CASE("spsn_membrane refuses sizes and decays that don't fit", "[simt]") {
  using Catch::Matchers::ContainsSubstring;
  Device<Simt> device;
  CHECK_THROWS_WITH(forward(device, {1, 4, 2}, {1.0, 0.5}, Spiking::none, normal_values(8, 1)),
                    ContainsSubstring("must be in [0, 1)"));
  Stream<Simt> stream(device);
  DeviceBuffer<Simt, float> x(device, 8), m(device, 7);
  DeviceBuffer<Simt, std::uint32_t> z(device, 3);
  CHECK_THROWS_WITH(spsn_membrane<Simt>(stream, {1, 4, 2}, kDecay, Spiking::none, {}, x, m, {}),
                    ContainsSubstring("8 values in, 7 out"));
  CHECK_THROWS_WITH(spsn_membrane<Simt>(stream, {1, 4, 2}, kDecay, Spiking::gumbel_softmax, {}, x, {}, z),
                    ContainsSubstring("3 words of spikes; it writes 4"));
}

TEST_CASE("On a GPU spsn_membrane agrees with the reference, and draws the same spikes as Simt", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  if constexpr (kBuiltWithCuda) {
    Device<Cuda> device;
    Device<Simt> simt;
    for (const int steps : {50, 100, 1000}) {
      for (const Spiking spiking : {Spiking::sigmoid_bernoulli, Spiking::gumbel_softmax}) {
        const SpikingShape shape{8, steps, 128};
        INFO(steps << " steps, spiking " << static_cast<int>(spiking));
        const std::vector<float> current = normal_values(shape.values(), 16, 4.0f);
        const Forward result = forward(device, shape, kDecay, spiking, current);
        CHECK(relative_error(result.membrane, expected(shape, kDecay, current)) < 1e-5);
        const Forward checked = forward(simt, shape, kDecay, spiking, current);
        std::size_t different = 0;
        for (std::size_t i = 0; i < result.spikes.size(); ++i)
          different += std::popcount(result.spikes[i] ^ checked.spikes[i]) > 0 ? 1 : 0;
        CHECK(different < result.spikes.size() / 10'000 + 2);  // exp differs in the last bit
      }
    }
  }
}
