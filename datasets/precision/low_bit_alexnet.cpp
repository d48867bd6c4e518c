// SPDX-License-Identifier: Apache-2.0
#include "datasets/precision/low_bit_alexnet.h"

namespace remeasure::datasets {

const Definition low_bit_alexnet_definition = network_definition(
    "low_bit_alexnet", "AlexNet variant with weights of one bit",
    "the AlexNet variant of APNN-TC on ImageNet, by its layers (the authors' 2_imagenet_alexnet.cu)",
    kAlexnetLayers);

}  // namespace remeasure::datasets
