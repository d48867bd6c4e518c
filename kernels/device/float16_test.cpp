// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <testing/catch.h>
#include <Eigen/Core>

#include "kernels/device/float16.h"
#include "kernels/device/testing/conversion_kernels.h"
#include "kernels/device/testing/test_bench.h"

namespace remeasure {
namespace {

/// Eigen's conversions are the reference. A NaN is any NaN there, ours is the GPU's canonical one.
template <class Ours, class Eigens>
void check_from_float(float value) {
  const auto reference = Eigens(value);
  const Ours ours(value);
  if (std::isnan(value)) {
    CHECK(ours.bits == 0x7fff);
  } else if (ours.bits != Eigen::numext::bit_cast<std::uint16_t>(reference)) {
    FAIL_CHECK("float " << std::hexfloat << value << " gave " << ours.bits);
  }
}

/// All floats within `steps` representable values of `centre`.
template <class Check>
void around(float centre, int steps, Check check) {
  float below = centre, above = centre;
  check(centre);
  for (int i = 0; i < steps; ++i) {
    below = std::nextafter(below, -std::numeric_limits<float>::infinity());
    above = std::nextafter(above, std::numeric_limits<float>::infinity());
    check(below);
    check(above);
  }
}

template <class Ours, class Eigens>
void check_all_patterns() {
  int wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const auto pattern = static_cast<std::uint16_t>(bits);
    const float reference = static_cast<float>(Eigen::numext::bit_cast<Eigens>(pattern));
    const float ours = static_cast<float>(Ours::from_bits(pattern));
    if (std::isnan(reference)
            ? !std::isnan(ours)
            : std::bit_cast<std::uint32_t>(ours) != std::bit_cast<std::uint32_t>(reference)) {
      ++wrong;
    }
    if (!std::isnan(ours) && Ours(ours).bits != pattern) ++wrong;  // and back again
  }
  CHECK(wrong == 0);
}

template <class Ours, class Eigens>
void check_rounding() {
  const auto check = check_from_float<Ours, Eigens>;
  std::mt19937 random(1);
  for (int i = 0; i < 2'000'000; ++i) check(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  // Every number of the format and every tie between two, with their neighbours.
  for (unsigned bits = 0; bits < 65536; bits += 7) {
    const float value = static_cast<float>(Eigen::numext::bit_cast<Eigens>(static_cast<std::uint16_t>(bits)));
    const float next =
        static_cast<float>(Eigen::numext::bit_cast<Eigens>(static_cast<std::uint16_t>(bits + 1)));
    around(value, 2, check);
    if (std::isfinite(value) && std::isfinite(next)) around(value / 2 + next / 2, 2, check);
  }
  for (const float edge : {65504.0f, 65519.996f, 65520.0f, 65536.0f, 3.3895314e38f, 0x1p-14f, 0x1p-24f,
                           0x1p-25f, 0x1p-26f, 0x1p-126f, 0x1p-149f, 0.0f}) {
    around(edge, 4, check);
    around(-edge, 4, check);
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float special : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), -0.0f})
    check(special);
}

TEST_CASE("every half pattern converts to the float that Eigen gives, and back", "[cpu]") {
  check_all_patterns<half, Eigen::half>();
}
TEST_CASE("every bfloat16 pattern converts to the float that Eigen gives, and back", "[cpu]") {
  check_all_patterns<bfloat16, Eigen::bfloat16>();
}
TEST_CASE("floats round to half as in Eigen: ties, subnormals, overflow, NaN", "[cpu]") {
  check_rounding<half, Eigen::half>();
}
TEST_CASE("floats round to bfloat16 as in Eigen: ties, subnormals, overflow, NaN", "[cpu]") {
  check_rounding<bfloat16, Eigen::bfloat16>();
}

TEST_CASE("pairs pack the first element into the low bits", "[cpu]") {
  const std::uint32_t pair = pack2(half(1.0f), half(-2.0f));
  CHECK(pair == 0xc0003c00u);
  CHECK(static_cast<float>(unpack2<half>(pair, 0)) == 1.0f);
  CHECK(static_cast<float>(unpack2<half>(pair, 1)) == -2.0f);
  CHECK(pack2(bfloat16(1.0f), bfloat16(-2.0f)) == 0xc0003f80u);
}

std::vector<float> floats_to_convert() {
  std::vector<float> values;
  std::mt19937 random(2);
  for (int i = 0; i < 100'000; ++i)
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  for (unsigned bits = 0; bits < 65536; ++bits) {
    around(static_cast<float>(half::from_bits(static_cast<std::uint16_t>(bits))), 1,
           [&](float v) { values.push_back(v); });
  }
  return values;
}

/// Bits of: half(x), bfloat16(x), float(half), float(bfloat16), the last two of the low 16 bits of x.
template <class Bench>
std::vector<std::uint32_t> convert(Bench& bench, const std::vector<float>& values) {
  const auto in = bench.upload(values);
  auto out = bench.template output<std::uint32_t>(4 * values.size());
  kernels::convert(bench.stream(), in.span(), out.span());
  return bench.download(out);
}

TEST_CASE("a kernel on Simt converts as the host does", "[simt]") {
  const std::vector<float> values = floats_to_convert();
  testing::TestBench<Simt> bench;
  const std::vector<std::uint32_t> out = convert(bench, values);
  int wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto low = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(values[i]));
    wrong += out[4 * i] != half(values[i]).bits || out[4 * i + 1] != bfloat16(values[i]).bits;
    wrong += out[4 * i + 2] != std::bit_cast<std::uint32_t>(static_cast<float>(half::from_bits(low)));
    wrong += out[4 * i + 3] != std::bit_cast<std::uint32_t>(static_cast<float>(bfloat16::from_bits(low)));
  }
  CHECK(wrong == 0);
}

TEST_CASE("a GPU's conversions give the host's bits", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  CHECK(testing::same_on_gpu([](auto& bench) { return convert(bench, floats_to_convert()); }));
}

}  // namespace
}  // namespace remeasure
