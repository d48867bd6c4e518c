// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "datasets/precision/low_bit_network.h"

namespace remeasure::datasets {

/// The AlexNet variant of APNN-TC (the authors' 2_imagenet_alexnet.cu).
inline constexpr std::array<NetworkLayer, 8> kAlexnetLayers = {{{"conv1", 64, 11, 4, true},
                                                                {"conv2", 192, 5, 1, true},
                                                                {"conv3", 384, 3, 1, false},
                                                                {"conv4", 256, 3, 1, false},
                                                                {"conv5", 256, 3, 1, true},
                                                                {"fc1", 4096, 0, 1, false},
                                                                {"fc2", 4096, 0, 1, false},
                                                                {"fc3", 1000, 0, 1, false}}};

/// "low_bit_alexnet": parameters as network_definition's.
extern const Definition low_bit_alexnet_definition;

}  // namespace remeasure::datasets
