// SPDX-License-Identifier: Apache-2.0
#include "datasets/convolution/sliding_channel.h"

#include <testing/catch.h>

#include <algorithm>
#include <cmath>

#include "datasets/convolution/sliding_channel_mixing.h"
#include "datasets/import/cifar.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

SlidingChannelLayer layer_of(Store& store, const Parameters& parameters) {
  return read_sliding_channel(*store.open(sliding_channel_definition, parameters).reader);
}

/// Records of CIFAR-10's binary layout: picture i has label i % 10 and the bytes (7 i + 13 p) mod 256.
std::string cifar_records(std::size_t pictures, std::size_t first = 0) {
  std::string bytes;
  for (std::size_t i = first; i < first + pictures; ++i) {
    bytes += static_cast<char>(i % 10);
    for (std::size_t p = 0; p < 3072; ++p) bytes += static_cast<char>((7 * i + 13 * p) % 256);
  }
  return bytes;
}

}  // namespace

TEST_CASE("a layer's activations are half zero, its weights within 1 / sqrt(window)", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const SlidingChannelLayer layer = layer_of(store, sliding_channel(3, 24, 40, 9, 7, 5));
  CHECK(layer.outputs == 40);
  REQUIRE(layer.x.size() == 3 * 24 * 9 * 7);
  double zeros = 0, squares = 0;
  for (const float value : layer.x) {
    zeros += value == 0 ? 1 : 0;
    squares += static_cast<double>(value * value);
  }
  CHECK(zeros / static_cast<double>(layer.x.size()) == Approx(0.5).margin(0.03));
  CHECK(squares / static_cast<double>(layer.x.size()) == Approx(0.5).margin(0.04));
  const std::vector<float> w = layer.weight(12);
  REQUIRE(w.size() == 40 * 12);
  const float largest = *std::max_element(w.begin(), w.end()), bound = 1 / std::sqrt(12.0f);
  CHECK(largest < bound);
  CHECK(largest > 0.9f * bound);
  CHECK(w[12] * std::sqrt(12.0f) == Approx(layer.unit_weight[24]));  // row 1, column 0
  CHECK_THROWS_WITH(layer.weight(25), ContainsSubstring("a window of 25 of 24 inputs"));
  CHECK(layer.x != layer_of(store, sliding_channel(3, 24, 40, 9, 7, 6)).x);
  CHECK_THROWS_WITH(layer_of(store, sliding_channel(3, 9000, 40, 9, 7, 6)),
                    ContainsSubstring("at most 8192"));
}

TEST_CASE("CIFAR-10's binary files are read across their borders, and refused where they aren't whole",
          "[cpu]") {
  const TemporaryFolder folder;
  put_bytes(folder.path() / "data_batch_1.bin", cifar_records(3));
  put_bytes(folder.path() / "data_batch_2.bin", cifar_records(2, 3));
  const Cifar10 pictures = read_cifar10(folder.path(), 4);
  CHECK(pictures.label == std::vector<std::uint8_t>{0, 1, 2, 3});
  REQUIRE(pictures.image.size() == 4 * 3072);
  CHECK(pictures.image[3 * 3072 + 5] == (7 * 3 + 13 * 5) % 256);
  CHECK(read_cifar10(folder.path() / "data_batch_2.bin", 1).label == std::vector<std::uint8_t>{3});
  CHECK_THROWS_WITH(read_cifar10(folder.path(), 6), ContainsSubstring("5 pictures in 2 files"));
  CHECK_THROWS_WITH(read_cifar10(folder.path() / "absent.bin", 1), ContainsSubstring("absent.bin"));
  put_bytes(folder.path() / "short.bin", cifar_records(1).substr(1));
  CHECK_THROWS_WITH(read_cifar10(folder.path() / "short.bin", 1), ContainsSubstring("3072 bytes; CIFAR's"));
  std::string wrong = cifar_records(1);
  wrong[0] = 10;
  put_bytes(folder.path() / "label.bin", wrong);
  CHECK_THROWS_WITH(read_cifar10(folder.path() / "label.bin", 1),
                    ContainsSubstring("picture 0 has label 10"));
}

TEST_CASE("activations of real pictures: a first layer's, pooled, correlated between neighbours", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "data");
  // Smooth pictures: neighbouring pixels are alike, as in photographs.
  std::string bytes;
  for (int i = 0; i < 2; ++i) {
    bytes += static_cast<char>(i);
    for (int p = 0; p < 3072; ++p) bytes += static_cast<char>(4 * (p % 32) + 3 * (p / 32 % 32) + 20 * i);
  }
  put_bytes(folder.path() / "data_batch_1.bin", bytes);
  const Parameters small = sliding_channel(2, 16, 8, 8, 8, 1), whole = sliding_channel(2, 16, 8, 32, 32, 1);
  for (const Parameters& parameters : {small, whole})
    store.import(sliding_channel_definition, folder.path(), parameters);
  const Opened opened = store.open(sliding_channel_definition, small);
  CHECK_FALSE(opened.provenance.synthetic);
  const SlidingChannelLayer pooled = read_sliding_channel(*opened.reader), full = layer_of(store, whole);
  CHECK(*std::min_element(full.x.begin(), full.x.end()) == 0);
  CHECK(*std::max_element(full.x.begin(), full.x.end()) > 0.1f);
  double mean = 0;  // of the square of pixel (1, 2) of channel 3 of picture 1
  for (std::size_t r = 4; r < 8; ++r) {
    for (std::size_t c = 8; c < 12; ++c)
      mean += static_cast<double>(full.x[((16 + 3) * 32 + r) * 32 + c]) / 16;
  }
  CHECK(static_cast<double>(pooled.x[((16 + 3) * 8 + 1) * 8 + 2]) == Approx(mean).epsilon(1e-5).margin(1e-6));
  double along = 0, squares = 0;
  for (std::size_t i = 0; i + 1 < full.x.size(); ++i) {
    along += static_cast<double>(full.x[i]) * static_cast<double>(full.x[i + 1]);
    squares += static_cast<double>(full.x[i]) * static_cast<double>(full.x[i]);
  }
  CHECK(along > 0.8 * squares);
  CHECK_THROWS_WITH(
      store.import(sliding_channel_definition, folder.path(), sliding_channel(2, 16, 8, 7, 7, 1)),
      ContainsSubstring("the same divisor of 32"));
}

TEST_CASE("the teacher is orthogonal, and half of its energy lies outside of two diagonal blocks", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const ChannelMixing mixing = read_sliding_channel_mixing(
      *store.open(sliding_channel_mixing_definition, sliding_channel_mixing(50, 32, 3)).reader);
  double worst = 0, inside = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    for (std::size_t j = 0; j < 32; ++j) {
      double product = 0;
      for (std::size_t k = 0; k < 32; ++k)
        product += static_cast<double>(mixing.a[i * 32 + k]) * static_cast<double>(mixing.a[j * 32 + k]);
      worst = std::max(worst, std::abs(product - (i == j ? 1 : 0)));
      if (i / 16 == j / 16) inside += std::pow(static_cast<double>(mixing.a[i * 32 + j]), 2) / 32;
    }
  }
  CHECK(worst < 1e-6);
  CHECK(inside == Approx(0.5).margin(0.06));
  double sum = 0;
  for (std::size_t j = 0; j < 32; ++j)
    sum += static_cast<double>(mixing.a[5 * 32 + j]) * static_cast<double>(mixing.x[7 * 32 + j]);
  CHECK(static_cast<double>(mixing.linear[7 * 32 + 5]) == Approx(sum).margin(1e-5));
  CHECK(mixing.nonlinear != mixing.linear);
}
