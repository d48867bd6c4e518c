// SPDX-License-Identifier: Apache-2.0
//
// Every way in which smash multiplies, and the work of our kernels.
#pragma once

#include <set>

#include "baselines/graphs/spgemm.h"
#include "experiments/graphs/smash_problem.h"

namespace remeasure::experiments::smash_problem {

using bench::DeviceBench;
using bench::HostBench;
using kernels::SmashVersion;
using kernels::SumPlace;
using Run = std::function<void()>;
using Problems = InputSets<Problem>;

/// Bytes that the three launches of a version have to move, from the matrices and the windows.
inline double kernel_bytes(const Problem& p, const SmashVersion& version) {
  const double rows = static_cast<double>(p.rows()), windows = p.plan.windows(), entries = p.pair.entries;
  // Of B: the rows that A refers to, and their pointers.
  std::vector<bool> pointer(p.pair.b.row_pointers.size(), false), used(p.rows(), false);
  double entries_of_b = 0;
  for (const std::int32_t k : p.pair.a.column_indices) {
    const auto row = static_cast<std::size_t>(k);
    if (!used[row]) entries_of_b += static_cast<double>(p.pair.b.row(k).size());
    used[row] = pointer[row] = pointer[row + 1] = true;
  }
  const double b = 8 * entries_of_b + 4 * static_cast<double>(std::count(pointer.begin(), pointer.end(), true));
  const double a = 8 * static_cast<double>(p.pair.a.edges()) + 4 * (rows + 1);
  const double hash = a + b + 12 * (windows + 1) + 8 * entries + 4 * rows + 4 * windows + 8;
  double fragments = 0;
  if (version.sums == SumPlace::fragments) {
    // Zeroed as far as the products of a filling reach, updated and read where entries are.
    const double most = p.plan.table.slots + p.b().columns;
    for (std::size_t w = 0; w + 1 < p.plan.first_product.size(); ++w) {
      fragments += 4 * std::min(most, static_cast<double>(p.plan.first_product[w + 1] - p.plan.first_product[w]));
    }
    fragments += 4 * entries;
  }
  const double offsets = 4 * windows + 4 * (windows + 1);
  const double gather = 16 * entries + 8 * rows + 4 + 16 * windows + 8;
  return hash + fragments + offsets + gather;
}

inline VariantInfo variant(std::string name, std::string what) {
  return {.name = std::move(name), .what = std::move(what), .dtype = "f32", .accept = accept_product()};
}

/// A multiplication and an addition to a sum that begins at zero, for each product.
inline Work work_of(const Problem& p, double bytes) { return {.flops = 2 * p.pair.products, .bytes = bytes}; }

// --- on a CPU ---

inline void declare_host(Trial& t, const Problems& in) {
  const double compulsory = 8 * static_cast<double>(in[0].pair.a.edges() + in[0].pair.b.edges()) + 8 * in[0].pair.entries;
  VariantInfo eigen = variant("eigen", "Eigen::SparseMatrix product, 512 rows of A at a time dealt out to the cores");
  eigen.work = work_of(in[0], compulsory);
  t.host(std::move(eigen), [&in](HostBench& bench) -> Run {
    const Problem& p = in[bench.set()];
    bench.input(p.pair.a.values);
    bench.input(p.pair.b.values);
    const auto rows = bench.output<std::int32_t>("row pointers", p.rows() + 1), column = bench.output<std::int32_t>("columns", p.entries());
    const auto value = bench.output<float>("values", p.entries());
    return [=, &p] { baselines::spgemm_eigen(p.a(), p.b(), {rows, column, value}); };
  });
  VariantInfo method = variant("method", "windows and tables with a mixing hash, in C++; windows planned in advance");
  method.work = work_of(in[0], compulsory + 16 * in[0].pair.entries);
  t.host(std::move(method), [&in](HostBench& bench) -> Run {
    const Problem& p = in[bench.set()];
    bench.input(p.pair.a.values);
    bench.input(p.pair.b.values);
    const auto rows = bench.output<std::int32_t>("row pointers", p.rows() + 1), column = bench.output<std::int32_t>("columns", p.entries());
    const auto value = bench.output<float>("values", p.entries());
    const kernels::HashFragments<float> fragments{bench.workspace<std::int32_t>(p.products()), bench.workspace<float>(p.products()),
                                                  bench.workspace<std::int32_t>(static_cast<std::size_t>(p.plan.windows()))};
    return [=, &p] {
      kernels::hash_spgemm_reference<float>(p.a(), p.b(), p.plan, kernels::SlotHash::mixed, fragments, {rows, column, value});
    };
  });
}

// --- on a GPU (and the kernels on Simt) ---

/// Operands and result of one set on a device.
template <class Target>
struct OnDevice {
  kernels::DeviceCsrRows<Target> a, b;
  kernels::DeviceCsrResult<Target> c;
};

template <class Target>
OnDevice<Target> on_device(DeviceBench<Target>& bench, const Problem& p) {
  const auto upload = [&](const CsrRows& m) {
    return kernels::DeviceCsrRows<Target>{m.rows, m.columns, bench.input(m.row_pointers), bench.input(m.column), bench.input(m.value)};
  };
  return {upload(p.a()), upload(p.b()),
          {bench.template output<std::int32_t>("row pointers", p.rows() + 1),
           bench.template output<std::int32_t>("columns", p.entries()), bench.template output<float>("values", p.entries())}};
}

inline double scratch_bytes(const Problem& p, const SmashVersion& version) {
  const double per_product = version.sums == SumPlace::fragments ? 12 : 8;
  return per_product * p.pair.products + 8.0 * p.plan.windows() + 4 + 4 * static_cast<double>(p.rows()) + 8;
}

/// Why this size isn't checked on Simt, or nothing.
inline std::string too_large_for_simt(const Problem& p) {
  constexpr double kMostProducts = 500'000;
  return p.pair.products <= kMostProducts ? "" : "too many products for the SIMT engine; checked at smoke size";
}

inline void declare_kernel(Trial& t, const Problems& in, const std::string& name, const std::string& what,
                           const SmashVersion& version, bool simt) {
  VariantInfo info = variant(name, what);
  info.work = work_of(in[0], kernel_bytes(in[0], version));
  if (in[0].plan.table.load > 1) {
    info.work.uncounted = "tables that overflow are filled again; how far they came before depends on the order of the threads";
  }
  info.determinism = bench::Determinism::order_dependent;
  info.simt_left_out = simt ? too_large_for_simt(in[0]) : "one version of each kind of table is enough here";
  info.simt = info.simt_left_out.empty();
  const double operands = 8 * static_cast<double>(in[0].pair.a.edges() + in[0].pair.b.edges()) + 8 * static_cast<double>(in[0].rows() + 1);
  info.formula_bytes = operands + 8 * in[0].pair.entries + 4 * static_cast<double>(in[0].rows() + 1) + scratch_bytes(in[0], version) +
      12.0 * (in[0].plan.windows() + 1);
  info.explain_speedup = "cusparseSpGEMM goes back to the host between its phases; here a product is three launches on windows that "
                         "are planned in advance";
  t.kernel(std::move(info), [&in, version]<class Target>(DeviceBench<Target>& bench) -> Run {
    const Problem& p = in[bench.set()];
    const OnDevice<Target> matrices = on_device(bench, p);
    const auto windows = static_cast<std::size_t>(p.plan.windows());
    const kernels::DeviceWindows<Target> plan{p.plan.table, bench.input(p.plan.first_row), bench.input(p.plan.first_product),
                                              p.plan.products()};
    const kernels::SmashScratch<Target> scratch{
        bench.template workspace<std::int32_t>(2), bench.template workspace<std::int32_t>(windows),
        bench.template workspace<std::int32_t>(windows + 1), bench.template workspace<std::int32_t>(p.rows()),
        bench.template workspace<std::int32_t>(p.products()), bench.template workspace<float>(p.products()),
        bench.template workspace<float>(version.sums == SumPlace::fragments ? p.products() : 0)};
    auto& stream = bench.stream();
    return [=, &stream] { kernels::hash_spgemm<Target>(stream, version, matrices.a, matrices.b, plan, scratch, matrices.c); };
  });
}

inline void declare_vendor(Trial& t, const Problems& in) {
  for (const bool estimates : {false, true}) {
    VariantInfo info = variant(estimates ? "vendor/estimation" : "vendor",
                               estimates ? "cusparseSpGEMM, the fastest of its algorithms: estimation, computation, copy"
                                         : "cusparseSpGEMM, the fastest of its algorithms: computation and copy, estimated in advance");
    info.determinism = bench::Determinism::order_dependent;
    info.synchronises = "cusparseSpGEMM waits for the GPU to learn the sizes of its buffers and of C";
    t.vendor(std::move(info), [&in, estimates]<class Target>(DeviceBench<Target>& bench) -> Run {
      const OnDevice<Target> matrices = on_device(bench, in[bench.set()]);
      auto& product = bench.template own<baselines::CusparseSpgemm>(bench.stream(), matrices.a, matrices.b, matrices.c);
      bench.setting(product.setting());
      if (estimates) return [&product] { product.run(); };
      return [&product] { product.run_estimated(); };
    });
  }
}

}  // namespace remeasure::experiments::smash_problem
