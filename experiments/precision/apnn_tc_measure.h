// SPDX-License-Identifier: Apache-2.0
//
// What a case of apnn-tc measures and reports: a layer, or a network.
#pragma once

#include "experiments/precision/apnn_tc_device.h"
#include "experiments/precision/apnn_tc_network.h"

namespace remeasure::experiments::apnn {

/// What a case runs beside the kernels.
struct Plan {
  bool host = true;
  bool simt = true;
  bool planes = true;  ///< also the fused kernel and packing
};

/// Rows of the authors' README for this case: TOPS of w1a2 and of CUTLASS int4.
struct ReportedRate {
  bool product;
  int size;  ///< N = K, or channels
  double w1a2, int4;
};
inline constexpr ReportedRate kReportedRates[] = {{true, 128, 0.45, 0.35},
                                                  {true, 1024, 18.66, 9.18},
                                                  {false, 128, 12.2, 5.2},
                                                  {false, 512, 116.5, 30.1},
                                                  {false, 1024, 190.3, 65.0}};

/// Microseconds and logical TOPS (2 M N K, whatever p q) beside what is reported.
inline void report_rates(Trial& t, const LowBitShape& shape, const std::vector<std::string>& variants) {
  reports::Table table{.name = "rates",
                       .title = fmt::format("{}: time and logical rate, 2 MNK / time", bits_name(shape)),
                       .columns = {"variant", "us", "TOPS", "reported TOPS"},
                       .rows = {}};
  const ReportedRate* reported = nullptr;
  for (const ReportedRate& row : kReportedRates) {
    const bool same = row.product == (shape.kernel == 1) && row.size == shape.channels &&
                      shape.weight_bits == 1 && shape.activation_bits == 2;
    if (same) reported = &row;
  }
  for (const std::string& variant : variants) {
    const bench::Measured time = t.time(variant);
    const bool is_kernel = variant == "kernel";
    if (!time.value && !is_kernel) continue;
    const std::string text = reported != nullptr && is_kernel ? fmt::format("{}", reported->w1a2) : "";
    if (time.value) {
      const double seconds = time.value->median;
      table.rows.push_back({variant, fmt::format("{:.2f}", 1e6 * seconds),
                            fmt::format("{:.3g}", 2e-12 * macs(shape) / seconds), text});
    } else {
      table.rows.push_back({variant, "not measured", "", text});
    }
  }
  if (reported == nullptr && table.rows.size() == 1) return;  // the kernel alone, and not on a GPU
  table.rows.push_back({"CUTLASS int4", "no int4 tensor cores from sm_90 on, and no vendor's product", "",
                        reported != nullptr ? fmt::format("{}", reported->int4) : ""});
  t.table(std::move(table));
}

inline void measure_layer(Trial& t, const LowBitShape& shape, const Plan& plan) {
  const auto in = t.inputs([&](std::uint64_t seed) { return load(t, shape, seed); });
  const std::vector<std::size_t> rows = checked_rows(shape);
  std::vector<double> sums(rows.size() * static_cast<std::size_t>(shape.outputs));
  kernels::low_bit_sums_of<double>(shape, in[0].codes(), rows, sums);
  t.oracle("sums", 1, [&] { return oracle_of(shape, rows, sums); });
  if (shape.activation_bits == 8 && shape.kernel == 1) {
    t.oracle("shifted sums", 1, [&] { return oracle_of(shape, rows, shifted(shape, in[0], sums, 128)); });
  }
  const LayerCase c{shape, in, plan.simt};
  const bool with_planes = plan.planes && rows.size() == static_cast<std::size_t>(shape.rows());
  if (with_planes) {
    t.oracle("planes", 1, [&] {
      const std::vector<std::int32_t> whole(sums.begin(), sums.end());
      const auto codes =
          kernels::requantised_codes<double>(shape, c.then(), whole, in[0].data.alpha, in[0].data.beta);
      const auto planes = kernels::bit_planes(shape.rows(), shape.outputs, c.then().bits, codes);
      return OracleOutput{.values = {planes.begin(), planes.end()}, .scale = {}, .indices = {}};
    });
    t.oracle("activation planes", 1, [&] {
      return OracleOutput{
          .values = {in[0].activations.begin(), in[0].activations.end()}, .scale = {}, .indices = {}};
    });
  }
  if (plan.host) declare_host(t, c);
  declare_kernels(t, c, with_planes);
  declare_vendor(t, c);
  t.measure();

  t.speedup("kernel", "vendor");
  t.speedup("kernel", "vendor/f16");
  if (!c.is_product()) {
    t.speedup("kernel", "cudnn");
    t.speedup("kernel", "cudnn/f16");
  }
  if (plan.host) t.speedup("method", "eigen");
  std::vector<std::string> variants = {"kernel", "vendor", "vendor/f16"};
  if (shape.encoding == Encoding::signs) variants.push_back("kernel/and");
  if (with_planes) variants.push_back("kernel/fused");
  if (!c.is_product()) variants.insert(variants.end(), {"cudnn", "cudnn/f16"});
  if (plan.host) variants.insert(variants.end(), {"eigen", "method"});
  report_rates(t, shape, variants);
  // What neither a GPU nor the engine ran says nothing.
  const bool ran = plan.simt || Device<Cuda>::count() > 0;
  const bool kernel = !ran || t.passed("kernel"), planes = !ran || !with_planes || t.passed("kernel/fused");
  const bool method = !plan.host || t.passed("method");
  t.claim("exact-emulation", kernel && method && planes,
          fmt::format("{} {}: {} sums compared, {} one-bit products each", bits_name(shape),
                      to_string(shape.encoding), sums.size(), shape.weight_bits * shape.activation_bits));
  // Of memory that a half takes; what channels are padded by counts.
  const auto share = [](std::size_t words, std::size_t codes) {
    return 32.0 * static_cast<double>(words) / (16.0 * static_cast<double>(codes));
  };
  const double p = shape.weight_bits, q = shape.activation_bits;
  t.metric({.name = "packed weights over half",
            .value = share(shape.weight_words(), shape.weight_codes()),
            .unit = "x",
            .reported = Interval{p / 16, p / 16},
            .exact = true});
  t.metric({.name = "packed activations over half",
            .value = share(shape.activation_words(), shape.activation_codes()),
            .unit = "x",
            .reported = Interval{q / 16, q / 16},
            .exact = true});
}

inline void measure_network(Trial& t, const NamedNetwork& named, const NetworkSize& size, bool simt) {
  const datasets::Opened opened =
      t.open(*named.definition, datasets::network_parameters(bench::kInputSets, size.images, size.extent,
                                                             size.divide, size.activation_bits, t.seed()));
  const auto data = std::make_shared<const NetworkData>(
      network_data(named, size, read_network(*opened.reader, named.layers)));
  std::size_t next = 0;
  const NetworkSets in = t.inputs([&](std::uint64_t) { return NetworkInputs{data, data->picture(next++)}; });
  std::vector<std::vector<std::size_t>> used;
  const std::vector<double> sums =
      kernels::low_bit_network_sums<double>(data->network, data->layers(), in[0].picture, &used);
  t.oracle("sums", 1, [&] { return OracleOutput{.values = sums, .scale = {}, .indices = {}}; });
  declare_network(t, in, simt);
  t.measure();

  const bench::Measured over_f32 = t.speedup("kernel", "vendor/f32"),
                        over_f16 = t.speedup("kernel", "vendor/f16");
  if (size.divide == 1) {  // the paper's network
    t.claim(fmt::format("net-fp32-{}", named.name), over_f32);
    t.claim(fmt::format("net-fp16-{}", named.name), over_f16);
  }
  t.speedup("kernel", "vendor");
  t.speedup("method", "eigen");
  const bool ran = simt || Device<Cuda>::count() > 0;
  t.claim("exact-emulation", t.passed("method") && (!ran || t.passed("kernel")),
          fmt::format("a network of {} layers, {} sums compared", data->network.layers.size(), sums.size()));
  double rarest = 1, commonest = 0;
  for (const auto& counts : used) {
    const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
    for (const std::size_t count : counts) {
      rarest = std::min(rarest, static_cast<double>(count) / all);
      commonest = std::max(commonest, static_cast<double>(count) / all);
    }
  }
  t.metric({.name = "rarest code between layers", .value = 100 * rarest, .unit = "%", .exact = true});
  t.metric({.name = "commonest code between layers", .value = 100 * commonest, .unit = "%", .exact = true});
  std::size_t words = 0, codes = 0;
  for (const auto& planes : data->planes) words += planes.size();
  for (const LowBitShape& shape : data->network.layers) codes += shape.weight_codes();
  t.metric({.name = "packed weights over half",
            .value = 32.0 * static_cast<double>(words) / (16.0 * static_cast<double>(codes)),
            .unit = "x",
            .exact = true});
}

}  // namespace remeasure::experiments::apnn
