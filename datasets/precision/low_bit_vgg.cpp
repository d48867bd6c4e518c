// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_vgg.h"

namespace remeasure::datasets {

const Definition low_bit_vgg_definition = network_definition(
    "low_bit_vgg", "VGG-16 with weights of one bit",
    "VGG-16 of APNN-TC on ImageNet, by its layers (the authors' 2_imagenet_vgg.cu)", kVggLayers);

}  // namespace remeasure::datasets
