// SPDX-License-Identifier: Apache-2.0
//
// The case of log-bessel that fits von Mises-Fisher distributions: mean resultant lengths by the kernel and
// the standard libraries, then the concentration by Newton's method with ln I from the method and from each
// library.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>

#include "baselines/science/bessel.h"
#include "baselines/science/mean_resultant.h"
#include "bench/trial.h"
#include "datasets/science/vmf_features.h"
#include "kernels/science/log_bessel_reference.h"
#include "kernels/science/mean_resultant.h"
#include "kernels/science/vmf_fit.h"

namespace remeasure::experiments {

inline void run_vmf_fits(bench::Trial& t, std::size_t d, std::size_t rows) {
  bool generated = true;
  const auto in = t.inputs([&](std::uint64_t seed) {
    const datasets::Opened opened =
        t.open(datasets::vmf_features_definition, datasets::vmf_features(d, rows, seed));
    generated = opened.provenance.synthetic;
    return read_vmf_features(*opened.reader);
  });
  t.oracle("length", 1, [&] {
    double squares = 0;
    for (std::size_t j = 0; j < d; ++j) {
      long double sum = 0;
      for (std::size_t i = 0; i < rows; ++i) sum += static_cast<long double>(in[0].samples[i * d + j]);
      const double mean = static_cast<double>(sum) / static_cast<double>(rows);
      squares += mean * mean;
    }
    return bench::OracleOutput{.values = {std::sqrt(squares)}, .scale = {}, .indices = {}};
  });
  const auto accept = [](double limit, const char* reason) {
    return std::vector<bench::Accept>{
        {.output = "length", .metric = bench::ErrorMetric::relative_l2, .limit = limit, .reason = reason}};
  };
  const kernels::MeanResultantWork by_chunks = kernels::mean_resultant_work(rows, d);
  const auto elements = static_cast<double>(rows * d), columns = static_cast<double>(d);
  // One pass over the elements, then one over the means: f32 and a product per element in cuBLAS, f64 sums in
  // Eigen.
  const bench::Work by_cublas{.flops = 2 * elements + 2 * columns,
                              .bytes = 4 * (elements + static_cast<double>(rows) + 2 * columns + 1)};
  const bench::Work one_pass{.flops = elements + 3 * columns, .bytes = 4 * elements + 8 * columns + 8};
  t.kernel({.name = "kernel",
            .what = "column sums in f64 by chunks of rows, then their length",
            .dtype = "f32",
            .accept = accept(1e-13, "sums of exact f32 values in f64"),
            .work = {.flops = by_chunks.flops, .bytes = by_chunks.bytes}},
           [&in, d, rows]<class Target>(bench::DeviceBench<Target>& b) -> std::function<void()> {
             const auto features = b.input(in[b.set()].samples);
             const auto mean = b.template output<double>("mean", d),
                        length = b.template output<double>("length", 1);
             const auto scratch = b.template workspace<double>(kernels::mean_resultant_workspace(rows, d));
             auto& stream = b.stream();
             return [=, &stream] {
               kernels::mean_resultant<Target>(stream, rows, d, features, mean, length, scratch);
             };
           });
  t.vendor({.name = "vendor",
            .what = "cublasSgemv with a vector of 1/rows, cublasSnrm2",
            .dtype = "f32",
            .accept = accept(1e-5, "f32 sums of up to 4096 values"),
            .work = by_cublas},
           [&in, d, rows]<class Target>(bench::DeviceBench<Target>& b) -> std::function<void()> {
             const auto features = b.input(in[b.set()].samples);
             const auto mean = b.template output<float>("mean", d),
                        length = b.template output<float>("length", 1);
             auto& baseline = b.template own<baselines::CublasMeanResultant>(b.stream(), rows, d);
             return [=, &baseline] { baseline(features, mean, length); };
           });
  t.host({.name = "eigen",
          .what = "Eigen: row by row into f64 sums",
          .dtype = "f32",
          .accept = accept(1e-13, "sums of exact f32 values in f64"),
          .work = one_pass,
          .threads = 1},
         [&in, d, rows](bench::HostBench& b) -> std::function<void()> {
           const auto features = b.input(in[b.set()].samples);
           const auto mean = b.output<double>("mean", d), length = b.output<double>("length", 1);
           return [=] { baselines::eigen_mean_resultant(rows, d, features, mean, length); };
         });
  t.measure();

  const datasets::VmfFeatures& features = in[0];
  const auto dimensions = static_cast<double>(d);
  std::map<std::string, kernels::LogIv> ways = {
      {"method", [](double v, double x) { return kernels::log_iv_reference(v, x); }}};
  for (const baselines::BesselLibrary& library : baselines::bessel_libraries()) {
    if (!library.missing.empty()) continue;
    ways[std::string(library.name)] = [compute = library.log_iv](double v, double x) {
      double out = 0;
      compute({&v, 1}, {&x, 1}, {&out, 1});
      return out;
    };
  }
  double kappa_error = 0, residual = 0;
  std::map<std::string, std::size_t> fitted;
  for (std::size_t i = 0; i < features.mean_resultant.size(); ++i) {
    const double truth = features.kappa_true[i / features.classes];
    for (const auto& [name, log_iv] : ways) {
      const kernels::VmfFit fit = kernels::vmf_fit(dimensions, features.mean_resultant[i], log_iv);
      fitted[name] += fit.converged ? 1 : 0;
      if (name != "method") continue;
      residual = std::max(residual, fit.residual);
      if (!std::isnan(truth))
        kappa_error = std::max(kappa_error, std::abs(fit.kappa - truth) / truth);  // real data: unknown
    }
  }
  const std::size_t classes = features.mean_resultant.size();
  reports::Table table{.name = "fits",
                       .title = fmt::format("Fits of {} classes that converge", classes),
                       .columns = {"ln I by", "fitted"},
                       .rows = {}};
  for (const auto& [name, count] : fitted)
    table.rows.push_back({name, fmt::format("{} of {}", count, classes)});
  t.table(std::move(table));
  t.metric({.name = "largest error of kappa", .value = kappa_error, .unit = "", .tolerance = 0.01});
  t.metric({.name = "largest residual |A(kappa) - R|", .value = residual, .unit = "", .tolerance = 20});
  t.check("kappa within 1 %", kappa_error <= 0.01, fmt::format("{:.2e}", kappa_error));
  t.check("residual of A(kappa) within 1e-10", residual <= 1e-10, fmt::format("{:.1e}", residual));
  t.claim("vmf-fit", fitted["method"] == classes && kappa_error <= 0.01,
          fmt::format("{} of {} {} classes at d = {}; of the C++ libraries std fits {}, boost {}, gsl {}",
                      fitted["method"], classes, generated ? "generated" : "real", d, fitted["std"],
                      fitted["boost"], fitted["gsl"]));
}

}  // namespace remeasure::experiments
