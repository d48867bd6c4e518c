// SPDX-License-Identifier: Apache-2.0
#include <testing/catch.h>

#include <cmath>
#include <set>

#include "kernels/learning/testing/batch_norm_problem.h"
#include "kernels/simt/schedules.h"

using namespace remeasure;
using namespace remeasure::kernels;
using namespace remeasure::kernels::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

// One block and many, a slab and several, vectors that fill no power of two, maps of odd sides.
const BatchNormShape kShapes[] = {{1, 1, 1, 8},   {16, 16, 16, 8}, {3, 7, 5, 24},   {5, 7, 7, 64},
                                  {2, 9, 11, 40}, {4, 3, 3, 512},  {64, 14, 13, 16}};

std::vector<SampleBox> boxes(const BatchNormShape& shape) {
  std::vector<SampleBox> list = {every_row(shape)};
  for (const int parts : {2, 8}) {
    list.push_back(sampled_images(shape, parts, {3, 1, parts}));
    list.push_back(sampled_features(shape, parts, {4, 2, parts}));
  }
  list.push_back({shape.images - 1, 1, shape.height - 1, 1, shape.width - 1, 1});  // the last row alone
  return list;
}

struct Expected {
  ChannelStatistics<double> statistics;
  std::vector<double> y;
};

Expected expected(const BatchNormProblem& p, const std::vector<std::int32_t>& rows, bool relu = true) {
  const std::vector<double> x = to_double(p.x), gamma = to_double(p.gamma), beta = to_double(p.beta);
  Expected result{statistics_reference<double>(p.shape, {{rows, 1}}, x), std::vector<double>(x.size())};
  normalize_reference<double>(p.shape, result.statistics, {gamma, beta, relu}, x, result.y);
  return result;
}

double worst(const std::vector<float>& out, const std::vector<double>& reference) {
  double result = 0;
  for (std::size_t i = 0; i < out.size(); ++i)
    result = std::max(result, std::abs(static_cast<double>(out[i]) / reference[i] - 1));
  return result;
}

void check_forward(const BatchNormProblem& p, const ForwardResult& got, const Expected& want) {
  const auto channels = static_cast<std::size_t>(p.shape.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double deviation = std::sqrt(want.statistics.variance[c] + 1e-5);
    CHECK(std::abs(static_cast<double>(got.mean[c]) - want.statistics.mean[c]) < 1e-5 * deviation + 1e-6);
  }
  CHECK(worst(got.inverse_deviation, to_double(converted<float>(want.statistics.inverse_deviation()))) <
        1e-5);
  // Rounding to half is 2^-11 of each value.
  if (p.shape.rows() > 1) CHECK(relative_error(to_double(got.y), want.y) < 5e-4);
}

}  // namespace

TEST_CASE("statistics and normalised values are the reference's, for boxes of every shape", "[simt]") {
  TestBench<Simt> bench;
  for (const BatchNormShape& shape : kShapes) {
    const BatchNormProblem p(shape);
    for (const SampleBox& box : boxes(shape)) {
      INFO(shape.text() << ", " << box.images << " images from " << box.image << ", " << box.height << "x"
                        << box.width << " from " << box.y << "," << box.x);
      if (box.rows() < 2 && shape.rows() > 1) continue;  // a variance of 0 shows nothing but epsilon
      check_forward(p, forward(bench, p, box), expected(p, rows_of(shape, box)));
    }
  }
}

TEST_CASE("a layer without ReLU keeps negative values, rows from a list are those of the list", "[simt]") {
  TestBench<Simt> bench;
  for (const BatchNormShape& shape : {BatchNormShape{5, 7, 7, 64}, BatchNormShape{64, 14, 13, 16}}) {
    const BatchNormProblem p(shape, 3);
    const std::vector<std::int32_t> rows = scattered_rows(shape, shape.rows() / 8, {5, 0, 0});
    check_forward(p, forward(bench, p, {}, rows, false), expected(p, rows, false));
  }
}

TEST_CASE("variances survive a mean of a thousand deviations", "[simt]") {
  TestBench<Simt> bench;
  const BatchNormShape shape{8, 8, 8, 16};
  BatchNormProblem p(shape);
  for (std::size_t i = 0; i < p.x.size(); ++i)  // half has steps of 1/2 from 512 on
    p.x[i] = half(1000.0f + 0.5f * static_cast<float>((i * 2654435761u >> 7) % 5));
  const Expected want = expected(p, rows_of(shape, every_row(shape)));
  const ForwardResult got = forward(bench, p, every_row(shape));
  CHECK(worst(got.inverse_deviation, to_double(converted<float>(want.statistics.inverse_deviation()))) <
        1e-5);
  CHECK(relative_error(to_double(got.y), want.y) < 1e-3);
}

TEST_CASE("running averages move towards the statistics by the momentum", "[simt]") {
  TestBench<Simt> bench;
  const BatchNormProblem p({5, 7, 7, 64});
  const ForwardResult got = forward(bench, p, every_row(p.shape));  // two steps
  const Expected want = expected(p, rows_of(p.shape, every_row(p.shape)));
  for (std::size_t c = 0; c < 64; ++c) {
    CHECK(std::abs(static_cast<double>(got.running_mean[c]) - (0.81 * 0.5 + 0.19 * want.statistics.mean[c])) <
          1e-5);
    CHECK(std::abs(static_cast<double>(got.running_variance[c]) -
                   (0.81 * 2 + 0.19 * want.statistics.variance[c])) < 1e-5);
  }
}

TEST_CASE("gradients are the reference's in all three forms, with and without ReLU", "[simt]") {
  TestBench<Simt> bench;
  for (const BatchNormShape& shape : kShapes) {
    if (shape.rows() < 2) continue;
    const BatchNormProblem p(shape, 2);
    const std::vector<double> x = to_double(p.x), g = to_double(p.gradient), gamma = to_double(p.gamma),
                              beta = to_double(p.beta);
    for (const SampleBox& box : boxes(shape)) {
      if (box.rows() < 2) continue;
      const StatisticsSample sample = {{rows_of(shape, box), 1}};
      auto statistics = statistics_reference<double>(shape, sample, x);
      const std::vector<float> mean(statistics.mean.begin(), statistics.mean.end());
      const std::vector<double> inverse = statistics.inverse_deviation();
      for (const StatisticsGradient mode :
           {StatisticsGradient::exact, StatisticsGradient::sampled, StatisticsGradient::estimated}) {
        for (const bool relu : {true, false}) {
          INFO(shape.text() << ", sample of " << box.rows() << " rows, form " << static_cast<int>(mode)
                            << ", relu " << relu);
          const BackwardResult got =
              backward(bench, p, box, mode, relu, mean, {inverse.begin(), inverse.end()});
          const BatchNormGradients<double> want =
              backward_reference<double>(shape, sample, mode, statistics, {gamma, beta, relu}, x, g);
          CHECK(relative_error(to_double(got.x_gradient), want.x) < 6e-4);
          CHECK(relative_error(got.gamma, want.gamma) < 2e-5);
          CHECK(relative_error(got.beta, want.beta) < 2e-5);
        }
      }
    }
  }
}

TEST_CASE("batch normalisation gives the same bits in every schedule", "[simt]") {
  TestBench<Simt> bench;
  const std::uint64_t seeds[] = {0, 1, 2, 3};
  const BatchNormProblem p({16, 14, 13, 16});
  const SampleBox box = sampled_features(p.shape, 2, {1, 0, 0});
  const auto append = [](std::vector<std::byte>& bytes, const auto& values) {
    const auto* first = reinterpret_cast<const std::byte*>(values.data());
    bytes.insert(bytes.end(), first, first + values.size() * sizeof(values[0]));
  };
  simt::expect_schedule_independent(bench.device().engine(), seeds, [&] {
    const ForwardResult f = forward(bench, p, box);
    const BackwardResult b =
        backward(bench, p, box, StatisticsGradient::sampled, true, f.mean, f.inverse_deviation);
    std::vector<std::byte> bytes;
    append(bytes, f.mean), append(bytes, f.inverse_deviation), append(bytes, f.y);
    append(bytes, b.x_gradient), append(bytes, b.gamma), append(bytes, b.beta);
    return bytes;
  });
}

TEST_CASE("bytes of every launch are exactly those of the formula", "[simt]") {
  TestBench<Simt> bench;
  simt::Engine& engine = bench.device().engine();
  if (!engine.checked()) SKIP_TEST("built without access hooks");
  for (const BatchNormShape& shape : {BatchNormShape{16, 16, 16, 8}, BatchNormShape{5, 7, 7, 64},
                                      BatchNormShape{4, 3, 3, 512}, BatchNormShape{3, 7, 5, 24}}) {
    const BatchNormProblem p(shape);
    for (const SampleBox& box : boxes(shape)) {
      for (const StatisticsGradient mode :
           {StatisticsGradient::exact, StatisticsGradient::sampled, StatisticsGradient::estimated}) {
        for (const bool relu : {true, false}) {
          INFO(shape.text() << ", sample of " << box.rows() << " rows, form " << static_cast<int>(mode)
                            << ", relu " << relu);
          engine.reset_counts();
          const ForwardResult f = forward(bench, p, box, {}, relu);
          backward(bench, p, box, mode, relu, f.mean, f.inverse_deviation);
          const auto bytes = [&](const char* kernel) {
            const simt::LaunchCounts counts = engine.counts(kernel);
            return static_cast<double>(counts[simt::Counter::distinct_global_bytes_read] +
                                       counts[simt::Counter::distinct_global_bytes_written]) /
                   static_cast<double>(counts.launches);
          };
          const std::size_t reduced = mode == StatisticsGradient::exact ? shape.rows() : box.rows();
          CHECK(bytes("sampled_statistics") == statistics_work(shape, box.rows(), true).bytes);
          CHECK(bytes("normalize") == normalize_work(shape).bytes);
          CHECK(bytes("gradient_sums") == gradient_sums_work(shape, reduced, relu).bytes);
          CHECK(bytes("input_gradient") == input_gradient_work(shape, box.rows(), mode, relu).bytes);
        }
      }
    }
  }
}

TEST_CASE("samples are inside of the batch, redrawn by iteration and layer, and of the size asked for",
          "[cpu]") {
  const BatchNormShape shape{16, 16, 16, 8};
  std::set<int> first_images, corners;
  for (int i = 0; i < 2000; ++i) {
    const SampleBox images = sampled_images(shape, 8, {1, 0, i}),
                    features = sampled_features(shape, 8, {1, 0, i});
    CHECK(images.rows() == shape.rows() / 8);
    CHECK(images.images == 2);
    CHECK(features.rows() == shape.rows() / 8);
    CHECK(features.height == 4);
    CHECK(features.width == 8);
    CHECK(features.images == 16);
    CHECK(rows_of(shape, images).size() == images.rows());  // throws where it isn't inside
    CHECK(rows_of(shape, features).size() == features.rows());
    first_images.insert(images.image);
    corners.insert(features.y * 100 + features.x);
  }
  CHECK(first_images.size() == 15);
  CHECK(corners.size() == 13 * 9);
  CHECK(sampled_features(shape, 8, {1, 2, 3}) == sampled_features(shape, 8, {1, 2, 3}));
  CHECK(sampled_images(shape, 64, {1, 0, 0}).images == 1);
  const std::vector<std::int32_t> rows = scattered_rows(shape, 512, {1, 0, 0});
  CHECK(std::set<std::int32_t>(rows.begin(), rows.end()).size() == 512);
  CHECK(*std::max_element(rows.begin(), rows.end()) > 3500);
  CHECK(rows != scattered_rows(shape, 512, {1, 0, 1}));
  CHECK(rows != scattered_rows(shape, 512, {1, 1, 0}));
  CHECK(last_images(shape, 3) == SampleBox{13, 3, 0, 16, 0, 16});
}

TEST_CASE("shapes, boxes and arrays that don't fit are refused with what is wrong", "[simt]") {
  TestBench<Simt> bench;
  const auto message = [&](const BatchNormShape& shape, const SampleBox& box, std::size_t values) {
    auto x = bench.output<half>(values);
    auto channels = bench.output<float>(static_cast<std::size_t>(shape.channels));
    ScratchBuffers<Simt> scratch(bench, shape);
    try {
      sampled_statistics<Simt>(bench.stream(), shape, box, std::as_const(x).span(),
                               {channels.span(), channels.span()}, scratch.view());
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK_THAT(message({2, 2, 2, 12}, {0, 1, 0, 1, 0, 1}, 96), ContainsSubstring("multiple of 8"));
  CHECK_THAT(message({2, 2, 2, 8}, {1, 2, 0, 1, 0, 1}, 64), ContainsSubstring("images [1, 3)"));
  CHECK_THAT(message({2, 2, 2, 8}, {0, 1, 0, 1, 0, 1}, 56), ContainsSubstring("56 elements; 64"));
  CHECK_THROWS_AS(scattered_rows({1, 1, 2, 8}, 3, {}), std::invalid_argument);
}

TEST_CASE("a GPU's batch normalisation is the reference's", "[gpu]") {
  if (Device<Cuda>::count() == 0) SKIP_TEST(Device<Cuda>::why_not());
  remeasure::testing::on_gpu([](auto& bench) {
    for (const BatchNormShape& shape : {BatchNormShape{64, 28, 28, 256}, BatchNormShape{128, 7, 7, 512}}) {
      const BatchNormProblem p(shape);
      for (const SampleBox& box : boxes(shape))
        if (box.rows() > 1) check_forward(p, forward(bench, p, box), expected(p, rows_of(shape, box)));
    }
  });
}
