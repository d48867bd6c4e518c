// SPDX-License-Identifier: Apache-2.0
//
// A ViT of timm's layout, imported, against a forward pass written from timm's own names and layouts.
#include "datasets/precision/timm_weights.h"

#include <testing/catch.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <map>

#include "datasets/precision/small_vit.h"
#include "datasets/random.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr int kSide = 8, kPatch = 4, kDim = 8, kHeads = 2, kLayers = 2, kMlp = 32, kClasses = 12, kRows = 5;

struct Array {
  Shape shape;
  std::vector<float> values;
};
using StateDict = std::map<std::string, Array>;

StateDict random_model() {
  StateDict model;
  const Philox random(3, 1);
  std::uint64_t next = 0;
  const auto add = [&](const std::string& name, const Shape& shape, double mean = 0) {
    std::size_t size = 1;
    for (const std::uint64_t extent : shape) size *= extent;
    Array array{shape, {}};
    for (std::size_t i = 0; i < size; ++i)
      array.values.push_back(static_cast<float>(mean + 0.3 * random.normal(next++)));
    model[name] = std::move(array);
  };
  add("cls_token", {1, 1, kDim});
  add("pos_embed", {1, kRows, kDim});
  add("patch_embed.proj.weight", {kDim, 3, kPatch, kPatch});
  add("patch_embed.proj.bias", {kDim});
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {kDim}, 1);
    add(name + ".bias", {kDim});
  };
  const auto dense = [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  for (int i = 0; i < kLayers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    norm(block + "norm1");
    dense(block + "attn.qkv", kDim, 3 * kDim);
    dense(block + "attn.proj", kDim, kDim);
    norm(block + "norm2");
    dense(block + "mlp.fc1", kDim, kMlp);
    dense(block + "mlp.fc2", kMlp, kDim);
  }
  norm("norm");
  dense("head", kDim, kClasses);
  return model;
}

/// numpy.savez: a zip archive of stored .npy members.
void write_npz(const fs::path& file, const StateDict& model, const fs::path& scratch) {
  std::string archive, directory;
  const auto number = [](std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
  };
  for (const auto& [name, array] : model) {
    write_npy(scratch, array.shape, array.values);
    const std::string data = bytes_of(scratch), member = name + ".npy";
    const auto sum = crc32(0, reinterpret_cast<const Bytef*>(data.data()), static_cast<uInt>(data.size()));
    const std::uint64_t offset = archive.size();
    const auto header = [&](std::string& to) {
      number(to, 20, 2), number(to, 0, 2), number(to, 0, 2), number(to, 0, 4);
      number(to, sum, 4), number(to, data.size(), 4), number(to, data.size(), 4);
      number(to, member.size(), 2), number(to, 0, 2);
    };
    number(archive, 0x04034b50, 4);
    header(archive);
    archive += member + data;
    number(directory, 0x02014b50, 4), number(directory, 20, 2);
    header(directory);
    number(directory, 0, 2), number(directory, 0, 2), number(directory, 0, 2), number(directory, 0, 4);
    number(directory, offset, 4);
    directory += member;
  }
  const std::uint64_t at = archive.size();
  archive += directory;
  number(archive, 0x06054b50, 4), number(archive, 0, 4);
  number(archive, model.size(), 2), number(archive, model.size(), 2);
  number(archive, directory.size(), 4), number(archive, at, 4), number(archive, 0, 2);
  std::ofstream(file, std::ios::binary) << archive;
}

/// PyTorch's VisionTransformer.forward, one image [side, side, 3] of bytes, in double.
std::vector<double> forward(const StateDict& model, const std::uint8_t* image) {
  const auto at = [&](const std::string& name, int i) {
    return static_cast<double>(model.at(name).values[static_cast<std::size_t>(i)]);
  };
  using Rows = std::vector<std::vector<double>>;
  const auto linear = [&](const std::string& name, const Rows& x, int out) {
    Rows y(x.size(), std::vector<double>(static_cast<std::size_t>(out)));
    for (std::size_t r = 0; r < x.size(); ++r) {
      const int in = static_cast<int>(x[r].size());
      for (int o = 0; o < out; ++o) {
        double sum = at(name + ".bias", o);
        for (int i = 0; i < in; ++i)
          sum += at(name + ".weight", o * in + i) * x[r][static_cast<std::size_t>(i)];
        y[r][static_cast<std::size_t>(o)] = sum;
      }
    }
    return y;
  };
  const auto norm = [&](const std::string& name, Rows x) {
    for (auto& row : x) {
      double mean = 0, variance = 0;
      for (const double v : row) mean += v / kDim;
      for (const double v : row) variance += (v - mean) * (v - mean) / kDim;
      for (int i = 0; i < kDim; ++i) {
        double& v = row[static_cast<std::size_t>(i)];
        v = (v - mean) / std::sqrt(variance + 1e-6) * at(name + ".weight", i) + at(name + ".bias", i);
      }
    }
    return x;
  };
  const auto plus = [](Rows a, const Rows& b) {
    for (std::size_t r = 0; r < a.size(); ++r)
      for (std::size_t i = 0; i < a[r].size(); ++i) a[r][i] += b[r][i];
    return a;
  };
  Rows x(kRows, std::vector<double>(kDim));
  for (int row = 0; row < kRows; ++row) {
    for (int d = 0; d < kDim; ++d) {
      double sum = row == 0 ? at("cls_token", d) : at("patch_embed.proj.bias", d);
      for (int c = 0; row > 0 && c < 3; ++c) {
        for (int y = 0; y < kPatch; ++y) {
          for (int z = 0; z < kPatch; ++z) {
            const int py = (row - 1) / 2 * kPatch + y, px = (row - 1) % 2 * kPatch + z;
            sum += at("patch_embed.proj.weight", ((d * 3 + c) * kPatch + y) * kPatch + z) *
                   (image[(py * kSide + px) * 3 + c] / 255.0 - 0.5) / 0.5;
          }
        }
      }
      x[static_cast<std::size_t>(row)][static_cast<std::size_t>(d)] = sum + at("pos_embed", row * kDim + d);
    }
  }
  for (int block = 0; block < kLayers; ++block) {
    const std::string name = "blocks." + std::to_string(block) + ".";
    const Rows qkv = linear(name + "attn.qkv", norm(name + "norm1", x), 3 * kDim);
    constexpr int kHead = kDim / kHeads;
    Rows mixed(kRows, std::vector<double>(kDim));
    const auto part = [&](int which, int row, int head, int i) {  // reshape(rows, 3, heads, head dim)
      return qkv[static_cast<std::size_t>(row)]
                [static_cast<std::size_t>((which * kHeads + head) * kHead + i)];
    };
    for (int head = 0; head < kHeads; ++head) {
      for (int row = 0; row < kRows; ++row) {
        double total = 0, weights[kRows];
        for (int key = 0; key < kRows; ++key) {
          double score = 0;
          for (int i = 0; i < kHead; ++i) score += part(0, row, head, i) * part(1, key, head, i);
          total += weights[key] = std::exp(score / std::sqrt(static_cast<double>(kHead)));
        }
        for (int key = 0; key < kRows; ++key) {
          for (int i = 0; i < kHead; ++i) {
            mixed[static_cast<std::size_t>(row)][static_cast<std::size_t>(head * kHead + i)] +=
                weights[key] / total * part(2, key, head, i);
          }
        }
      }
    }
    x = plus(x, linear(name + "attn.proj", mixed, kDim));
    Rows hidden = linear(name + "mlp.fc1", norm(name + "norm2", x), kMlp);
    for (auto& row : hidden)
      for (double& v : row) v = 0.5 * v * (1 + std::erf(v * std::sqrt(0.5)));
    x = plus(x, linear(name + "mlp.fc2", hidden, kDim));
  }
  return linear("head", {norm("norm", x)[0]}, kClasses)[0];
}

/// Bytes as a .npy file of unsigned ones.
void write_bytes(const fs::path& file, const std::string& shape, const std::vector<std::uint8_t>& values) {
  std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::ofstream out(file, std::ios::binary);
  out << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(header.size() & 0xff)
      << static_cast<char>(header.size() >> 8) << header;
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size()));
}

}  // namespace

TEST_CASE("a ViT of timm's names gives timm's logits after the import", "[cpu]") {
  const TemporaryFolder folder;
  const fs::path source = folder.path() / "vit";
  fs::create_directory(source);
  StateDict model = random_model();
  write_npz(source / "weights.npz", model, folder.path() / "scratch.npy");
  constexpr int kImages = 3, kPixels = kSide * kSide * 3;
  std::vector<std::uint8_t> pixels;
  for (std::uint64_t i = 0; i < kImages * kPixels; ++i)
    pixels.push_back(static_cast<std::uint8_t>(Philox(8, 2).integer(i, 256)));
  for (const std::string part : {"calibration", "test"}) {
    write_bytes(source / (part + "_image.npy"), "3, 8, 8, 3", pixels);
    write_bytes(source / (part + "_label.npy"), "3,", {0, 11, 7});
  }
  Store store(folder.path() / "data");
  const Parameters parameters = small_vit({.side = kSide,
                                           .patch = kPatch,
                                           .dim = kDim,
                                           .heads = kHeads,
                                           .layers = kLayers,
                                           .train = 16,
                                           .epochs = 0,
                                           .calibration = kImages,
                                           .test = kImages,
                                           .classes = kClasses},
                                          1);
  store.import(small_vit_definition, source, parameters);
  const Opened opened = store.open(small_vit_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  const SmallVit vit = read_small_vit(*opened.reader);
  CHECK(vit.shape.classes == kClasses);
  CHECK(vit.test_label == std::vector<std::uint16_t>{0, 11, 7});
  Transformer<float> imported(vit.shape, vit.weights);
  const auto logits = imported.forward(vit.test, kImages);
  double worst = 0, largest = 0;
  for (int image = 0; image < kImages; ++image) {
    const std::vector<double> expected = forward(model, pixels.data() + image * kPixels);
    for (int c = 0; c < kClasses; ++c) {
      const double exact = expected[static_cast<std::size_t>(c)];
      worst = std::max(
          worst,
          std::abs(static_cast<double>(logits[static_cast<std::size_t>(image * kClasses + c)]) - exact));
      largest = std::max(largest, std::abs(exact));
    }
  }
  CHECK(largest > 0.5);
  CHECK(worst < 1e-5 * largest);

  SECTION("what doesn't fit is said by its name") {
    write_bytes(source / "test_label.npy", "3,", {0, 12, 7});
    CHECK_THAT(message_of([&] { store.import(small_vit_definition, source, parameters); }),
               ContainsSubstring("label 12 of 12 classes"));
    model["blocks.2.norm1.bias"] = model.at("blocks.1.norm1.bias");
    write_npz(source / "weights.npz", model, folder.path() / "scratch.npy");
    CHECK_THAT(message_of([&] { store.import(small_vit_definition, source, parameters); }),
               ContainsSubstring("'blocks.2.norm1.bias' is of a model of more than 2 layers"));
    model.erase("blocks.2.norm1.bias");
    model["head.weight"].shape = {kDim, kClasses};
    write_npz(source / "weights.npz", model, folder.path() / "scratch.npy");
    CHECK_THAT(message_of([&] { store.import(small_vit_definition, source, parameters); }),
               ContainsSubstring("'head.weight' is [8, 12]; of the parameters follows [12, 8]"));
    model.erase("head.weight");
    write_npz(source / "weights.npz", model, folder.path() / "scratch.npy");
    CHECK_THAT(message_of([&] { store.import(small_vit_definition, source, parameters); }),
               ContainsSubstring("head.weight"));
  }
}
