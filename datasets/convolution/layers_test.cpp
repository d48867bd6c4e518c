// SPDX-License-Identifier: Apache-2.0
//
// Sums over the lists against what their papers, or the implementations that everyone runs, state of the
// whole network.
#include "datasets/convolution/layers.h"

#include <testing/catch.h>

using namespace remeasure::datasets;

namespace {

double weights_of(const ConvolutionLayer& layer) {
  const int of_group = layer.in_channels / layer.groups;
  return 1.0 * layer.count * layer.out_channels * of_group * layer.kernel * layer.kernel;
}
/// Multiply-adds for one picture.
double products_of(const ConvolutionLayer& layer) {
  const int out = (layer.extent - 1) / layer.stride + 1;
  return weights_of(layer) * out * out;
}
double channels_of(const NormalisationLayer& layer) {
  return 1.0 * layer.count * layer.channels;
}
template <class Layers, class Of>
double sum(const Layers& layers, Of of) {
  double total = 0;
  for (const auto& layer : layers) total += of(layer);
  return total;
}
template <class Layers>
int count(const Layers& layers) {
  int total = 0;
  for (const auto& layer : layers) total += layer.count;
  return total;
}

struct Shape {
  int batch, height, width, in_channels, out_channels, kernel, stride, pad, groups;
};

}  // namespace

TEST_CASE("VGG-16's convolutions have the published number of weights", "[cpu]") {
  CHECK(count(kVgg16Cifar) == 13);
  // 138,357,544 parameters, less three dense layers and all biases.
  const double dense = 25088.0 * 4096 + 4096.0 * 4096 + 4096.0 * 1000,
               biases = 4096 + 4096 + 1000 + 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512;
  CHECK(sum(kVgg16Cifar, weights_of) == 138357544.0 - dense - biases);
}

TEST_CASE("ResNet-50's convolutions have the published weights and products", "[cpu]") {
  CHECK(count(kResNet50Pointwise) + count(kResNet50Spatial) == 52);  // and the first, 7 x 7
  const double first = 64 * 3 * 49, dense = 2048.0 * 1000 + 1000,
               norms = 2 * sum(kResNet50Normalisation, channels_of);
  CHECK(sum(kResNet50Pointwise, weights_of) + sum(kResNet50Spatial, weights_of) + first + dense + norms ==
        25557032.0);
  CHECK(sum(kResNet50Pointwise, products_of) + sum(kResNet50Spatial, products_of) + first * 112 * 112 +
            2048 * 1000 ==
        Approx(4.09e9).epsilon(0.002));
}

TEST_CASE("the normalisation lists have a layer for each convolution", "[cpu]") {
  CHECK(count(kResNet18Normalisation) == 20);
  CHECK(count(kResNet50Normalisation) == 53);
  CHECK(sum(kResNet18Normalisation, channels_of) == 4800);
}

TEST_CASE("ResNet-20 and ResNet-56 have the layers of their names and the table's parameters", "[cpu]") {
  CHECK(count(kResNet20Cifar) == 20 - 1);  // and the dense one
  CHECK(count(kResNet56Cifar) == 56 - 1);
  CHECK(sum(kResNet20Cifar, weights_of) == Approx(0.27e6).epsilon(0.02));  // table 6
  CHECK(sum(kResNet56Cifar, weights_of) == Approx(0.85e6).epsilon(0.02));
}

TEST_CASE("MobileNet's layers are thirteen pairs with the published weights", "[cpu]") {
  CHECK(count(kMobileNetCifar) == 26);
  CHECK(sum(kMobileNetCifar, weights_of) + 1024 * 1000 == Approx(4.2e6).epsilon(0.02));  // table 8
}

TEST_CASE("ConvNeXt-T's blocks have the published share of products", "[cpu]") {
  CHECK(count(kConvNeXtTiny) == 3 * 18);
  CHECK(sum(kConvNeXtTiny, products_of) == Approx(4.5e9).epsilon(0.08));  // with stem and downsampling
}

TEST_CASE("MobileNetV2's blocks follow one another and have the published products", "[cpu]") {
  int channels = 32, extent = 112, blocks = 0;
  double products = 0;
  for (const InvertedResidual& block : kMobileNetV2Blocks) {
    CHECK(block.in_channels == channels);
    CHECK(block.extent == extent);
    CHECK((block.count == 1 || block.in_channels == block.out_channels));
    channels = block.out_channels;
    extent /= block.stride;
    blocks += block.count;
    products += sum(layers_of(block), products_of);
  }
  CHECK(blocks == 17);
  CHECK(extent == 7);
  // Table 4: 300 * 10^6, with the first layer and the last two, 320 -> 1280 and 1280 -> 1000.
  CHECK(products + 27.0 * 32 * 112 * 112 + 320.0 * 1280 * 49 + 1280 * 1000 == Approx(300e6).epsilon(0.01));
}

TEST_CASE("a layer becomes a shape with the same padding", "[cpu]") {
  const auto shape = shape_of<Shape>(kMobileNetCifar[2], 4);
  CHECK(shape.batch == 4);
  CHECK(shape.width == 32);
  CHECK(shape.groups == 64);
  CHECK(shape.pad == 1);
  CHECK(shape.stride == 2);
  CHECK(shape_of<Shape>(kResNet50Pointwise[0], 1).pad == 0);
}
