// SPDX-License-Identifier: Apache-2.0
#include <hdf5.h>

#include <testing/catch.h>
#include <algorithm>
#include <cmath>

#include "datasets/hdf5_handle.h"
#include "datasets/learning/transformer_training.h"
#include "datasets/precision/small_vit.h"
#include "datasets/precision/vit_block.h"
#include "datasets/test_support.h"

using namespace remeasure::datasets;
using namespace remeasure::datasets::testing;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("small_vit is trained: it tells its classes apart, and finds the accuracy in its file again",
          "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const Opened opened = store.open(small_vit_definition, small_vit({.side = 16,
                                                                    .dim = 32,
                                                                    .heads = 2,
                                                                    .layers = 1,
                                                                    .train = 512,
                                                                    .epochs = 4,
                                                                    .calibration = 8,
                                                                    .test = 200},
                                                                   1));
  const SmallVit vit = read_small_vit(*opened.reader);
  CHECK(vit.shape.tokens == 16);
  CHECK(vit.calibration.size() == 8 * vit.image_values());
  CHECK(vit.trained_accuracy > 0.3);  // chance is 0.1
  CHECK(transformer_accuracy(vit.shape, vit.weights, vit.test, vit.test_label) ==
        Approx(vit.trained_accuracy));
  std::vector<int> of_class(10);
  for (const std::uint16_t label : vit.test_label) ++of_class.at(label);
  CHECK(*std::min_element(of_class.begin(), of_class.end()) > 5);
  CHECK_THAT(message_of([&] { store.make(small_vit_definition, small_vit({.side = 30}, 1)); }),
             ContainsSubstring("must divide"));
}

TEST_CASE("vit_block has the statistics that it states", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const VitBlock block = read_vit_block(*store.open(vit_block_definition, vit_block(2, 65, 48, 3, 1)).reader);
  REQUIRE(block.layers.size() == 6);
  const CalibrationLayer &attention = block.layers[2], &mlp = block.layers[5];
  CHECK(attention.matrices == 6);
  CHECK(mlp.inner == 192);
  std::size_t small = 0;
  float largest = 0;
  for (std::size_t row = 0; row < attention.a.size() / 65; ++row) {
    double sum = 0;
    for (std::size_t k = 0; k < 65; ++k) sum += static_cast<double>(attention.a[row * 65 + k]);
    CHECK(std::abs(sum - 1) < 1e-5);
  }
  for (const float x : attention.a) small += x < 0.05f ? 1 : 0, largest = std::max(largest, x);
  CHECK(static_cast<double>(small) > 0.85 * static_cast<double>(attention.a.size()));
  CHECK(largest > 0.8f);
  CHECK(*std::min_element(mlp.a.begin(), mlp.a.end()) > -0.17f);
  CHECK(*std::min_element(mlp.a.begin(), mlp.a.end()) < -0.16f);
}

TEST_CASE("vit_block imports an export with the same names, and says which array doesn't fit", "[cpu]") {
  const TemporaryFolder folder;
  Store store(folder.path() / "store");
  const Parameters parameters = vit_block(1, 2, 4, 2, 1);
  const VitBlock made = read_vit_block(*store.open(vit_block_definition, parameters).reader);
  const auto path = folder.path() / "export.h5";
  const auto put = [&](std::size_t of_first) {
    const hdf5::Where here{"export", {}};
    const hdf5::Handle file =
        hdf5::own(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), H5Fclose, here, "create");
    const hdf5::Handle links = hdf5::own(H5Pcreate(H5P_LINK_CREATE), H5Pclose, here, "properties");
    hdf5::check(H5Pset_create_intermediate_group(links, 1), here, "groups");
    for (const CalibrationLayer& layer : made.layers) {
      for (const auto& [name, values] :
           {std::pair{"A", &layer.a}, {"B", &layer.b}, {"grad", &layer.gradient}}) {
        const hsize_t size = &layer == &made.layers[0] && name[0] == 'A' ? of_first : values->size();
        const hdf5::Handle space = hdf5::own(H5Screate_simple(1, &size, nullptr), H5Sclose, here, "space");
        const std::string at = std::string("/calib/") + layer.name + "/" + name;
        const hdf5::Handle set =
            hdf5::own(H5Dcreate2(file, at.c_str(), H5T_NATIVE_FLOAT, space, links, H5P_DEFAULT, H5P_DEFAULT),
                      H5Dclose, here, "create");
        hdf5::check(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values->data()), here,
                    "write");
      }
    }
  };
  put(made.layers[0].a.size());
  store.import(vit_block_definition, path, parameters);
  const Opened opened = store.open(vit_block_definition, parameters);
  CHECK_FALSE(opened.provenance.synthetic);
  CHECK(read_vit_block(*opened.reader).layers[3].gradient == made.layers[3].gradient);
  put(made.layers[0].a.size() - 1);
  CHECK_THAT(message_of([&] { store.import(vit_block_definition, path, parameters); }),
             ContainsSubstring("/calib/qkv/A has"));
}
