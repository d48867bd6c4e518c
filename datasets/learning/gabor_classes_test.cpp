// SPDX-License-Identifier: Apache-2.0
#include "datasets/learning/gabor_classes.h"

#include <testing/catch.h>
#include <cmath>
#include <numeric>

#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

ImageClasses open(int classes, int train, int test, int side, double noise, std::uint64_t seed) {
  const TemporaryFolder folder;
  return read_gabor_classes(
      *Store(folder.path())
           .open(gabor_classes_definition, gabor_classes(classes, train, test, side, noise, seed))
           .reader);
}

/// Mean image of each class of the training set.
std::vector<std::vector<double>> means(const ImageClasses& data) {
  const std::size_t values = data.image_values();
  std::vector<std::vector<double>> result(static_cast<std::size_t>(data.classes),
                                          std::vector<double>(values, 0.0));
  for (std::size_t i = 0; i < data.train_label.size(); ++i) {
    for (std::size_t v = 0; v < values; ++v)
      result[data.train_label[i]][v] += static_cast<double>(data.train[i * values + v]);
  }
  return result;
}

double cosine(const double* a, const double* b, std::size_t size) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < size; ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

void write_records(const std::filesystem::path& file, std::size_t header, int records, int classes) {
  std::string bytes;
  for (int i = 0; i < records; ++i) {
    if (header == 2) bytes += static_cast<char>(99);  // the coarse label
    bytes += static_cast<char>(i % classes);
    for (int v = 0; v < 3072; ++v) bytes += static_cast<char>((v + i) % 256);
  }
  put_bytes(file, bytes);
}

}  // namespace

TEST_CASE("a class is seen in its images, more so the less noise there is", "[cpu]") {
  double before = 1.1;
  for (const double noise : {0.0, 0.5, 4.0}) {
    const ImageClasses data = open(10, 40, 20, 16, noise, 3);
    const auto mean = means(data);
    const std::size_t values = data.image_values();
    int right = 0;
    for (std::size_t i = 0; i < data.test_label.size(); ++i) {
      const std::vector<double> image(data.test.begin() + static_cast<std::ptrdiff_t>(i * values),
                                      data.test.begin() + static_cast<std::ptrdiff_t>((i + 1) * values));
      std::size_t best = 0;
      for (std::size_t c = 1; c < mean.size(); ++c) {
        if (cosine(image.data(), mean[c].data(), values) > cosine(image.data(), mean[best].data(), values))
          best = c;
      }
      right += best == data.test_label[i] ? 1 : 0;
    }
    const double accuracy = right / 200.0;
    INFO("noise " << noise << " accuracy " << accuracy);
    CHECK(accuracy > (noise < 1 ? 0.8 : 0.2));
    CHECK(accuracy <= before);
    before = accuracy;
  }
}

TEST_CASE("samples of a class differ, classes take turns, train and test are drawn apart", "[cpu]") {
  const ImageClasses data = open(4, 6, 6, 16, 0, 7);
  REQUIRE(data.train_label.size() == 24);
  for (std::size_t i = 0; i < 24; ++i) CHECK(data.train_label[i] == i % 4);
  CHECK(data.train != data.test);
  const std::size_t values = data.image_values();
  // Without noise two images of a class are alike but not the same, more so than those of different classes.
  const std::vector<double> all(data.train.begin(), data.train.end());
  double alike = 0, unlike = 0;
  for (std::size_t i = 0; i + 4 < 24; ++i) {
    const double of_class = cosine(all.data() + i * values, all.data() + (i + 4) * values, values);
    CHECK(of_class < 0.9999);
    alike += of_class / 20;
    unlike += cosine(all.data() + i * values, all.data() + (i + 1) * values, values) / 20;
  }
  CHECK(alike > 0.2);
  CHECK(alike > unlike + 0.2);
}

TEST_CASE("channels_last moves colours behind pixels", "[cpu]") {
  ImageClasses data;
  data.side = 2;
  std::vector<float> planar(24);
  std::iota(planar.begin(), planar.end(), 0.0f);
  const std::vector<float> last = channels_last(data, planar);
  CHECK(last[0] == 0);
  CHECK(last[1] == 4);
  CHECK(last[2] == 8);
  CHECK(last[3] == 1);
  CHECK(last[12] == 12);
  CHECK(last[23] == 23);
}

TEST_CASE("CIFAR's binary files are read, of both kinds, and wrong ones refused", "[cpu]") {
  const TemporaryFolder ten, hundred;
  for (int i = 1; i <= 5; ++i)
    write_records(ten.path() / ("data_batch_" + std::to_string(i) + ".bin"), 1, 10, 10);
  write_records(ten.path() / "test_batch.bin", 1, 20, 10);
  write_records(hundred.path() / "train.bin", 2, 30, 10);
  write_records(hundred.path() / "test.bin", 2, 10, 10);
  const auto imported = [](const TemporaryFolder& source, int classes, int train, int test, int side) {
    Store store(source.path() / "data");
    const Parameters p = gabor_classes(classes, train, test, side, 0, 1);
    store.import(gabor_classes_definition, source.path(), p);
    return read_gabor_classes(*store.open(gabor_classes_definition, p).reader);
  };
  const ImageClasses small = imported(ten, 10, 5, 2, 32), large = imported(hundred, 6, 3, 1, 32);
  CHECK(small.train_label.size() == 50);
  CHECK(small.test_label.size() == 20);
  CHECK(large.train_label.size() == 18);
  CHECK(large.train_label.back() == 5);
  CHECK(small.train[0] == -2.0f);                                  // a value of 0
  CHECK(small.train[255] == 2.0f);                                 // 255
  CHECK(std::abs(large.train[3072] - (-2 + 4 / 255.0f)) < 1e-6f);  // record 1 begins with 1
  const auto error = [&](const TemporaryFolder& source, int classes, int train, int side) {
    return message_of([&] { imported(source, classes, train, 1, side); });
  };
  CHECK_THAT(error(ten, 10, 6, 32), ContainsSubstring("6 are asked for"));
  CHECK_THAT(error(ten, 10, 5, 16), ContainsSubstring("side of 32"));
  put_bytes(hundred.path() / "test.bin", std::string(3073, 'x'));
  CHECK_THAT(error(hundred, 6, 3, 32), ContainsSubstring("whole records of 3074"));
}
