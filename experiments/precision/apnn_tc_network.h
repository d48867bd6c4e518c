// SPDX-License-Identifier: Apache-2.0
//
// The networks of apnn-tc as a whole: pictures in, 1000 sums out.
#pragma once

#include <memory>

#include "datasets/precision/low_bit_alexnet.h"
#include "datasets/precision/low_bit_vgg.h"
#include "experiments/precision/apnn_tc_layer.h"
#include "kernels/precision/low_bit_network.h"

namespace remeasure::experiments::apnn {

using kernels::LowBitNetwork;

/// A network of the paper, as data.
struct NamedNetwork {
  const char* name;
  const datasets::Definition* definition;
  datasets::NetworkLayers layers;
};
inline const NamedNetwork kAlexnet{"alexnet", &datasets::low_bit_alexnet_definition,
                                   datasets::kAlexnetLayers};
inline const NamedNetwork kVgg{"vgg", &datasets::low_bit_vgg_definition, datasets::kVggLayers};

struct NetworkSize {
  int images = 1, extent = 32, divide = 16, activation_bits = 2;
};

inline LowBitNetwork network_of(const NamedNetwork& named, const NetworkSize& size) {
  LowBitNetwork network;
  int extent = size.extent, channels = 3;
  for (std::size_t i = 0; i < named.layers.size(); ++i) {
    const datasets::NetworkLayer& layer = named.layers[i];
    const int outputs = datasets::network_outputs(named.layers, i, size.divide);
    network.layers.push_back(
        layer.kernel == 0
            ? kernels::low_bit_over_map(size.images, extent, channels, outputs, 1, size.activation_bits,
                                        Encoding::signed_weights)
            : kernels::low_bit_convolution(size.images, extent, channels, outputs, layer.kernel, layer.stride,
                                           1, size.activation_bits, Encoding::signed_weights));
    if (i + 1 < named.layers.size()) network.between.push_back({size.activation_bits, layer.pool});
    extent = network.layers.back().out_height / (layer.pool ? 2 : 1);
    channels = outputs;
  }
  return network;
}

/// The network's data once, whichever of the pictures are in.
struct NetworkData {
  LowBitNetwork network;
  datasets::LowBitNetworkData net;
  std::vector<std::vector<std::uint32_t>> planes;  ///< of the weights

  std::vector<kernels::LowBitLayerData> layers() const {
    std::vector<kernels::LowBitLayerData> result;
    for (const auto& layer : net.layers) result.push_back({layer.weights, layer.alpha, layer.beta});
    return result;
  }
  std::vector<float> picture(std::size_t set) const {
    const std::size_t size = network.layers[0].activation_codes();
    const auto begin = net.pictures.begin() + static_cast<std::ptrdiff_t>(set * size);
    return {begin, begin + static_cast<std::ptrdiff_t>(size)};
  }
};

inline NetworkData network_data(const NamedNetwork& named, const NetworkSize& size,
                                datasets::LowBitNetworkData net) {
  NetworkData data{network_of(named, size), std::move(net), {}};
  const std::vector<LowBitShape> shapes = multiplied_layers(data.network);
  for (std::size_t i = 0; i < shapes.size(); ++i)
    data.planes.push_back(kernels::weight_planes(shapes[i], data.net.layers[i].weights));
  return data;
}

/// Pictures of one input set, and the network that all sets share.
struct NetworkInputs {
  std::shared_ptr<const NetworkData> data;
  std::vector<float> picture;
};

using NetworkSets = InputSets<NetworkInputs>;

/// One mma pass, requantised but for the last: what the chain of launches executes. Patches of the picture: a
/// difference, a quotient and a product for each value under a tap.
inline Work work_of(const LowBitNetwork& network) {
  const std::vector<LowBitShape> shapes = multiplied_layers(network);
  const LowBitShape& first = network.layers[0];
  const auto words = [](std::size_t count) { return 4.0 * static_cast<double>(count); };
  Work work{.flops = 0,
            .bytes = words(first.activation_codes()) + words(shapes[0].activation_words()),
            .uncounted = {}};
  for (int row = 0; row < first.out_height;
       ++row) {  // taps within the picture, along one axis and then the other
    for (int column = 0; column < first.out_width; ++column) {
      const auto inside = [&](int place, int extent) {
        int count = 0;
        for (int tap = 0; tap < first.kernel; ++tap) {
          const int at = place * first.stride - first.pad + tap;
          count += at >= 0 && at < extent ? 1 : 0;
        }
        return count;
      };
      work.flops +=
          4.0 * first.images * first.channels * inside(row, first.height) * inside(column, first.width);
    }
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const LowBitShape& shape = shapes[i];
    const bool last = i + 1 == shapes.size();
    const bool pool = !last && network.between[i].pool;
    work.flops += kernels::low_bit_operations(shape, pool);
    work.bytes += plane_bytes(shape);
    if (last) {
      work.bytes += words(shape.sums());
      continue;
    }
    const kernels::LowBitTiling tiling = kernels::low_bit_tiling(shape, pool);
    const int rows = kernels::low_bit_computed_rows(shape, pool);
    work.flops +=
        2.0 * 32 * ((shape.outputs + 31) / 32) * tiling.rows() * ((rows + tiling.rows() - 1) / tiling.rows());
    work.bytes += words(kernels::requantised_words(shape, network.between[i])) + 8.0 * shape.outputs;
  }
  return work;
}

inline double network_macs(const LowBitNetwork& network) {
  double sum = 0;
  for (const LowBitShape& shape : network.layers) sum += macs(shape);
  return sum;
}

template <class Element>
void declare_network_cublas(Trial& t, const NetworkSets& in, std::size_t outputs, VariantInfo info) {
  t.vendor(std::move(info), [&in, outputs]<class Target>(DeviceBench<Target>& b) -> Run {
    using Network = baselines::LowBitNetworkCublas<Element>;
    const NetworkInputs& of = in[b.set()];
    std::vector<typename Network::Layer> layers;
    for (std::size_t i = 0; i < of.data->net.layers.size(); ++i) {
      const auto& layer = of.data->net.layers[i];
      layers.push_back(
          {b.input(baselines::padded_weights<Element>(of.data->network.layers[i], layer.weights)),
           b.input(layer.alpha), b.input(layer.beta)});
    }
    const auto picture = b.input(of.picture);
    const auto sums = b.template output<typename Network::Sum>("sums", outputs);
    auto& network = b.template own<Network>(b.stream(), of.data->network, layers);
    const Run run = [=, &network] { network(picture, sums); };
    run();  // chooses the products' algorithms
    return run;
  });
}

inline void declare_network(Trial& t, const NetworkSets& in, bool simt) {
  const NetworkData& data = *in[0].data;
  const std::size_t outputs = data.network.layers.back().sums();
  const double flops = 2 * network_macs(data.network);
  t.host({.name = "eigen",
          .what = "patches and MatrixXf products, fp32",
          .dtype = "f32",
          .accept = exact("sums"),
          .work = {.flops = flops, .bytes = 0}},
         [&in, outputs](HostBench& b) -> Run {
           const NetworkInputs& of = in[b.set()];
           auto& weights = b.own<std::vector<std::vector<float>>>();
           for (std::size_t i = 0; i < of.data->net.layers.size(); ++i) {
             weights.push_back(values_of(of.data->network.layers[i], of.data->net.layers[i].weights, true));
           }
           for (const auto& layer : weights) b.input(layer);
           const auto picture = b.input(of.picture);
           const auto sums = b.output<float>("sums", outputs);
           return [&of, &weights, picture, sums] {
             const auto layers = of.data->layers();
             baselines::low_bit_network_eigen(of.data->network, weights, layers, picture, sums);
           };
         });
  t.host({.name = "method",
          .what = "popcounts, a pair of planes at a time; packing included",
          .dtype = "b1",
          .accept = exact("sums")},
         [&in, outputs](HostBench& b) -> Run {
           const NetworkInputs& of = in[b.set()];
           for (const auto& layer : of.data->planes) b.input(layer);
           const auto picture = b.input(of.picture);
           const auto sums = b.output<std::int32_t>("sums", outputs);
           return [&of, picture, sums] {
             const auto layers = of.data->layers();
             const auto result =
                 kernels::low_bit_network_popcount(of.data->network, of.data->planes, layers, picture);
             std::copy(result.begin(), result.end(), sums.begin());
           };
         });
  t.kernel({.name = "kernel",
            .what = "a launch that packs patches of the picture, one fused launch a layer",
            .dtype = "b1",
            .accept = exact("sums"),
            .work = work_of(data.network),
            .simt = simt,
            .simt_left_out = "too large for the SIMT engine; checked at a reduced size",
            .explain_speedup =
                "weights of one bit instead of 16 or 32, and nothing between the layers but planes"},
           [&in, outputs]<class Target>(DeviceBench<Target>& b) -> Run {
             const NetworkInputs& of = in[b.set()];
             std::vector<typename kernels::LowBitChain<Target>::Layer> layers;
             for (std::size_t i = 0; i < of.data->planes.size(); ++i) {
               const auto& layer = of.data->net.layers[i];
               layers.push_back({b.input(of.data->planes[i]), b.input(layer.alpha), b.input(layer.beta)});
             }
             const auto picture = b.input(of.picture);
             const auto sums = b.template output<std::int32_t>("sums", outputs);
             auto& chain = b.template own<kernels::LowBitChain<Target>>(b.stream(), of.data->network, layers);
             return [=, &chain] { chain(picture, sums); };
           });
  const auto vendor = [&](const char* name, const char* what, const char* dtype, const char* why) {
    VariantInfo info{.name = name,
                     .what = what,
                     .dtype = dtype,
                     .accept = exact("sums"),
                     .work = {.flops = flops, .bytes = 0}};
    info.accept[0].reason = why;
    return info;
  };
  declare_network_cublas<std::int8_t>(
      t, in, outputs,
      vendor("vendor", "patches, cublasLt int8, requantisation: three launches a layer", "i8", "integers"));
  declare_network_cublas<half>(t, in, outputs,
                               vendor("vendor/f16", "the same in half, sums in fp32", "f16",
                                      "sums are below 2048, where half has every integer"));
  declare_network_cublas<float>(t, in, outputs,
                                vendor("vendor/f32", "the same in fp32", "f32", "sums are below 2^24"));
}

}  // namespace remeasure::experiments::apnn
