// SPDX-License-Identifier: Apache-2.0
//
// Layers of published networks as data: what an experiment about a kind of layer runs on. Weights and
// activations are the experiment's own; the shapes are the networks'.
//
//   for (const ConvolutionLayer& layer : kResNet50Pointwise) {
//     const auto shape = shape_of<kernels::ConvolutionShape>(layer, 128);
//   }
#pragma once

#include <array>
#include <string_view>

namespace remeasure::datasets {

/// Square pictures, square kernels, "same" padding (kernel / 2).
struct ConvolutionLayer {
  std::string_view name;
  int extent = 1;  ///< height and width of the input
  int in_channels = 1, out_channels = 1;
  int kernel = 1, stride = 1;
  int groups = 1;
  int count = 1;  ///< how often the network has it
};

/// As kernels::ConvolutionShape, which this room doesn't know.
template <class Shape>
constexpr Shape shape_of(const ConvolutionLayer& layer, int batch) {
  return Shape{.batch = batch,
               .height = layer.extent,
               .width = layer.extent,
               .in_channels = layer.in_channels,
               .out_channels = layer.out_channels,
               .kernel = layer.kernel,
               .stride = layer.stride,
               .pad = layer.kernel / 2,
               .groups = layer.groups};
}

/// VGG-16 (Simonyan and Zisserman, arXiv 1409.1556, table 1, column D) on 32 x 32 pictures, as it is used for
/// CIFAR-10: the thirteen convolutions.
inline constexpr std::array<ConvolutionLayer, 9> kVgg16Cifar{{
    {"conv1_1", 32, 3, 64, 3},
    {"conv1_2", 32, 64, 64, 3},
    {"conv2_1", 16, 64, 128, 3},
    {"conv2_2", 16, 128, 128, 3},
    {"conv3_1", 8, 128, 256, 3},
    {"conv3_2", 8, 256, 256, 3, 1, 1, 2},
    {"conv4_1", 4, 256, 512, 3},
    {"conv4_2", 4, 512, 512, 3, 1, 1, 2},
    {"conv5", 2, 512, 512, 3, 1, 1, 3},
}};

/// MobileNet (Howard et al., arXiv 1704.04861, table 1) on 32 x 32 pictures, the first layer without its
/// stride, as common versions for CIFAR-10 have it: the depthwise layers and the pointwise ones behind them.
inline constexpr std::array<ConvolutionLayer, 18> kMobileNetCifar{{
    {"dw1", 32, 32, 32, 3, 1, 32},
    {"pw1", 32, 32, 64, 1},
    {"dw2", 32, 64, 64, 3, 2, 64},
    {"pw2", 16, 64, 128, 1},
    {"dw3", 16, 128, 128, 3, 1, 128},
    {"pw3", 16, 128, 128, 1},
    {"dw4", 16, 128, 128, 3, 2, 128},
    {"pw4", 8, 128, 256, 1},
    {"dw5", 8, 256, 256, 3, 1, 256},
    {"pw5", 8, 256, 256, 1},
    {"dw6", 8, 256, 256, 3, 2, 256},
    {"pw6", 4, 256, 512, 1},
    {"dw7", 4, 512, 512, 3, 1, 512, 5},
    {"pw7", 4, 512, 512, 1, 1, 1, 5},
    {"dw12", 4, 512, 512, 3, 2, 512},
    {"pw12", 2, 512, 1024, 1},
    {"dw13", 2, 1024, 1024, 3, 1, 1024},
    {"pw13", 2, 1024, 1024, 1},
}};

/// ResNet-50 on 224 x 224 pictures (He et al., arXiv 1512.03385, table 1), the stride in the 3 x 3 layer of a
/// stage's first block ("v1.5", the form that frameworks ship): its 1 x 1 layers ...
inline constexpr std::array<ConvolutionLayer, 16> kResNet50Pointwise{{
    {"conv2 first reduce", 56, 64, 64, 1},
    {"conv2 reduce", 56, 256, 64, 1, 1, 1, 2},
    {"conv2 expand", 56, 64, 256, 1, 1, 1, 3},
    {"conv2 shortcut", 56, 64, 256, 1},
    {"conv3 first reduce", 56, 256, 128, 1},
    {"conv3 reduce", 28, 512, 128, 1, 1, 1, 3},
    {"conv3 expand", 28, 128, 512, 1, 1, 1, 4},
    {"conv3 shortcut", 56, 256, 512, 1, 2},
    {"conv4 first reduce", 28, 512, 256, 1},
    {"conv4 reduce", 14, 1024, 256, 1, 1, 1, 5},
    {"conv4 expand", 14, 256, 1024, 1, 1, 1, 6},
    {"conv4 shortcut", 28, 512, 1024, 1, 2},
    {"conv5 first reduce", 14, 1024, 512, 1},
    {"conv5 reduce", 7, 2048, 512, 1, 1, 1, 2},
    {"conv5 expand", 7, 512, 2048, 1, 1, 1, 3},
    {"conv5 shortcut", 14, 1024, 2048, 1, 2},
}};
/// ... and its 3 x 3 layers.
inline constexpr std::array<ConvolutionLayer, 7> kResNet50Spatial{{
    {"conv2", 56, 64, 64, 3, 1, 1, 3},
    {"conv3 first", 56, 128, 128, 3, 2},
    {"conv3", 28, 128, 128, 3, 1, 1, 3},
    {"conv4 first", 28, 256, 256, 3, 2},
    {"conv4", 14, 256, 256, 3, 1, 1, 5},
    {"conv5 first", 14, 512, 512, 3, 2},
    {"conv5", 7, 512, 512, 3, 1, 1, 2},
}};

/// ResNets for CIFAR-10 (He et al., arXiv 1512.03385, section 4.2): 6 n + 2 layers, in three stages of 2 n 3
/// x 3 convolutions with 16, 32 and 64 channels; shortcuts without weights.
constexpr std::array<ConvolutionLayer, 6> resnet_cifar(int n) {
  return {{
      {"first", 32, 3, 16, 3},
      {"stage 1", 32, 16, 16, 3, 1, 1, 2 * n},
      {"stage 2 first", 32, 16, 32, 3, 2},
      {"stage 2", 16, 32, 32, 3, 1, 1, 2 * n - 1},
      {"stage 3 first", 16, 32, 64, 3, 2},
      {"stage 3", 8, 64, 64, 3, 1, 1, 2 * n - 1},
  }};
}
inline constexpr std::array<ConvolutionLayer, 6> kResNet20Cifar = resnet_cifar(3);
inline constexpr std::array<ConvolutionLayer, 6> kResNet56Cifar = resnet_cifar(9);

/// ConvNeXt-T (Liu et al., arXiv 2201.03545, table 9): 3, 3, 9, 3 blocks of 7 x 7 depthwise, then 1 x 1 to
/// four times the channels and back.
inline constexpr std::array<ConvolutionLayer, 12> kConvNeXtTiny{{
    {"stage 1 depthwise", 56, 96, 96, 7, 1, 96, 3},
    {"stage 1 expand", 56, 96, 384, 1, 1, 1, 3},
    {"stage 1 project", 56, 384, 96, 1, 1, 1, 3},
    {"stage 2 depthwise", 28, 192, 192, 7, 1, 192, 3},
    {"stage 2 expand", 28, 192, 768, 1, 1, 1, 3},
    {"stage 2 project", 28, 768, 192, 1, 1, 1, 3},
    {"stage 3 depthwise", 14, 384, 384, 7, 1, 384, 9},
    {"stage 3 expand", 14, 384, 1536, 1, 1, 1, 9},
    {"stage 3 project", 14, 1536, 384, 1, 1, 1, 9},
    {"stage 4 depthwise", 7, 768, 768, 7, 1, 768, 3},
    {"stage 4 expand", 7, 768, 3072, 1, 1, 1, 3},
    {"stage 4 project", 7, 3072, 768, 1, 1, 1, 3},
}};

/// Inverted residual blocks (MBConv) of MobileNetV2 (Sandler et al., arXiv 1801.04381, table 2), 224 x 224
/// pictures.
struct InvertedResidual {
  int extent = 1;  ///< of the block's input
  int in_channels = 1, out_channels = 1;
  int expansion = 6;
  int kernel = 3, stride = 1;
  int count = 1;
};
inline constexpr std::array<InvertedResidual, 12> kMobileNetV2Blocks{{
    {112, 32, 16, 1, 3, 1, 1},
    {112, 16, 24, 6, 3, 2, 1},
    {56, 24, 24, 6, 3, 1, 1},
    {56, 24, 32, 6, 3, 2, 1},
    {28, 32, 32, 6, 3, 1, 2},
    {28, 32, 64, 6, 3, 2, 1},
    {14, 64, 64, 6, 3, 1, 3},
    {14, 64, 96, 6, 3, 1, 1},
    {14, 96, 96, 6, 3, 1, 2},
    {14, 96, 160, 6, 3, 2, 1},
    {7, 160, 160, 6, 3, 1, 2},
    {7, 160, 320, 6, 3, 1, 1},
}};
/// A block's three layers; with an expansion of 1 the network has no first one.
constexpr std::array<ConvolutionLayer, 3> layers_of(const InvertedResidual& block) {
  const int wide = block.in_channels * block.expansion;
  return {{
      {"expand", block.extent, block.in_channels, wide, 1, 1, 1, block.expansion > 1 ? block.count : 0},
      {"depthwise", block.extent, wide, wide, block.kernel, block.stride, wide, block.count},
      {"project", (block.extent + block.stride - 1) / block.stride, wide, block.out_channels, 1, 1, 1,
       block.count},
  }};
}

/// A batch normalisation: its map, and how often the network has it.
struct NormalisationLayer {
  std::string_view name;
  int extent = 1;
  int channels = 1;
  int count = 1;
};
/// Of ResNet-18 and ResNet-50 on 224 x 224 pictures (arXiv 1512.03385, table 1): one behind each convolution,
/// shortcuts included.
inline constexpr std::array<NormalisationLayer, 5> kResNet18Normalisation{{
    {"conv1", 112, 64, 1},
    {"conv2", 56, 64, 4},
    {"conv3", 28, 128, 5},
    {"conv4", 14, 256, 5},
    {"conv5", 7, 512, 5},
}};
inline constexpr std::array<NormalisationLayer, 12> kResNet50Normalisation{{
    {"conv1", 112, 64, 1},
    {"conv2", 56, 64, 6},
    {"conv2 expand", 56, 256, 4},
    {"conv3 first reduce", 56, 128, 1},
    {"conv3", 28, 128, 7},
    {"conv3 expand", 28, 512, 5},
    {"conv4 first reduce", 28, 256, 1},
    {"conv4", 14, 256, 11},
    {"conv4 expand", 14, 1024, 7},
    {"conv5 first reduce", 14, 512, 1},
    {"conv5", 7, 512, 5},
    {"conv5 expand", 7, 2048, 4},
}};

}  // namespace remeasure::datasets
