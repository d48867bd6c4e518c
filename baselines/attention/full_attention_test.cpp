// SPDX-License-Identifier: Apache-2.0
#include "baselines/attention/full_attention.h"

#include <testing/catch.h>
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "baselines/attention/fused_attention_cudnn.h"

namespace remeasure::baselines {
namespace {

struct Problem {
  AttentionShape shape;
  std::vector<float> query, key, value;
};

/// Values that bf16 represents.
Problem random_problem(const AttentionShape& shape) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  Problem p{shape, std::vector<float>(shape.elements()), std::vector<float>(shape.elements()),
            std::vector<float>(shape.elements())};
  for (auto* tensor : {&p.query, &p.key, &p.value}) {
    for (float& x : *tensor) x = static_cast<float>(bfloat16(normal(random)));
  }
  return p;
}

std::vector<double> plain_attention(const Problem& p, double scale) {
  const auto tokens = static_cast<std::size_t>(p.shape.tokens), dim = static_cast<std::size_t>(p.shape.dim);
  std::vector<double> out(p.shape.elements(), 0.0);
  for (std::size_t row = 0; row < p.shape.rows(); ++row) {
    double sum = 0;
    for (std::size_t key = row / tokens * tokens; key < row / tokens * tokens + tokens; ++key) {
      double score = 0;
      for (std::size_t c = 0; c < dim; ++c) {
        score += static_cast<double>(p.query[row * dim + c]) * static_cast<double>(p.key[key * dim + c]);
      }
      const double weight = std::exp(scale * score);
      sum += weight;
      for (std::size_t c = 0; c < dim; ++c)
        out[row * dim + c] += weight * static_cast<double>(p.value[key * dim + c]);
    }
    for (std::size_t c = 0; c < dim; ++c) out[row * dim + c] /= sum;
  }
  return out;
}

template <class Value>
double worst(const std::vector<Value>& out, const std::vector<double>& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double d = std::abs(static_cast<double>(out[i]) - expected[i]);
    difference = std::isnan(d) ? INFINITY : std::max(difference, d);
    size = std::max(size, std::abs(expected[i]));
  }
  return difference / size;
}

TEST_CASE("full attention in Eigen is attention, with any number of threads", "[cpu]") {
  const Problem p = random_problem({2, 3, 50, 24});
  const std::vector<double> expected = plain_attention(p, 0.2);
  for (const int threads : {0, 1, 7, 40}) {
    std::vector<double> in_double(p.shape.elements(), NAN);
    std::vector<float> in_float(p.shape.elements(), NAN);
    full_attention_eigen<double>(p.shape, 0.2, p.query, p.key, p.value, in_double, threads);
    full_attention_eigen<float>(p.shape, 0.2, p.query, p.key, p.value, in_float, threads);
    CHECK(worst(in_double, expected) < 1e-13);
    CHECK(worst(in_float, expected) < 1e-5);
  }
}

TEST_CASE("full attention of large scores doesn't overflow", "[cpu]") {
  Problem p = random_problem({1, 1, 32, 16});
  for (float& x : p.query) x *= 64;
  std::vector<float> out(p.shape.elements());
  full_attention_eigen<float>(p.shape, 1.0, p.query, p.key, p.value, out);
  CHECK(std::all_of(out.begin(), out.end(), [](float x) { return std::isfinite(x); }));
}

#ifdef REMEASURE_HAS_CUDA

template <class Element>
std::vector<float> on_gpu(const Problem& p, float scale, bool fused) {
  Device<Cuda> device;
  Stream<Cuda> stream(device);
  const auto upload = [&](const std::vector<float>& values) {
    std::vector<Element> cast;
    for (const float x : values) cast.push_back(Element(x));
    DeviceBuffer<Cuda, Element> buffer(device, cast.size());
    stream.upload(std::span<const Element>(cast), buffer.span());
    return buffer;
  };
  const auto query = upload(p.query), key = upload(p.key), value = upload(p.value);
  DeviceBuffer<Cuda, Element> scores(device, p.shape.scores()), out(device, p.shape.elements());
  if constexpr (sizeof(Element) == 2) {
    if (fused) FusedAttentionCudnn(stream, p.shape, scale).run(query, key, value, out);
  }
  if (!fused) {
    FullAttentionCublas<Element> full(stream, p.shape, scale);
    full.scores(query, key, scores);
    full.softmax(std::as_const(scores).span(), scores);
    full.product(std::as_const(scores).span(), value, out);
  }
  std::vector<Element> result(out.size());
  stream.download(std::as_const(out).span(), std::span<Element>(result));
  std::vector<float> floats;
  for (const Element x : result) floats.push_back(static_cast<float>(x));
  return floats;
}

TEST_CASE("full attention of cuBLAS and of cuDNN is attention", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  const Problem p = random_problem({2, 3, 160, 64});
  const std::vector<double> expected = plain_attention(p, 0.125);
  CHECK(worst(on_gpu<bfloat16>(p, 0.125F, false), expected) < 2e-2);
  CHECK(worst(on_gpu<float>(p, 0.125F, false), expected) < 4e-3);
  if (FusedAttentionCudnn::why_not().empty())
    CHECK(worst(on_gpu<bfloat16>(p, 0.125F, true), expected) < 2e-2);
  else
    WARN(FusedAttentionCudnn::why_not());
}

#endif

}  // namespace
}  // namespace remeasure::baselines
