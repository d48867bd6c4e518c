// SPDX-License-Identifier: Apache-2.0
//
// Every way in which smash multiplies, and the work of our kernels.
#pragma once

#include <set>

#include "baselines/graphs/spgemm.h"
#include "experiments/graphs/smash_problem.h"
#include "experiments/vocabulary.h"

namespace remeasure::experiments::smash_problem {

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
  const double b =
      8 * entries_of_b + 4 * static_cast<double>(std::count(pointer.begin(), pointer.end(), true));
  const double a = 8 * static_cast<double>(p.pair.a.edges()) + 4 * (rows + 1);
  const double hash = a + b + 12 * (windows + 1) + 8 * entries + 4 * rows + 4 * windows + 8 +
                      3 * 4;  // each launch asks for their number
  double fragments = 0;
  if (version.sums == SumPlace::fragments) {
    // Zeroed as far as the products of a filling reach, updated and read where entries are.
    const double most = p.plan.table.slots + static_cast<double>(p.b().columns);
    for (std::size_t w = 0; w + 1 < p.plan.first_product.size(); ++w) {
      fragments +=
          4 * std::min(most, static_cast<double>(p.plan.first_product[w + 1] - p.plan.first_product[w]));
    }
    fragments += 4 * entries;
  }
  const double offsets = 4 * windows + 4 * (windows + 1);
  const double gather = 16 * entries + 8 * rows + 4 + 16 * windows + 8;
  return hash + fragments + offsets + gather;
}

/// The same of planning: pointers and columns of A, pointers of B, then sums of rows, windows of parts,
/// windows.
inline double planning_bytes(const Problem& p) {
  const double rows = static_cast<double>(p.rows()), windows = p.plan.windows();
  const double parts = static_cast<double>(kernels::plan_parts(static_cast<int>(p.rows())));
  std::vector<bool> pointer(p.pair.b.row_pointers.size(), false);
  for (const std::int32_t k : p.pair.a.column_indices)
    pointer[static_cast<std::size_t>(k)] = pointer[static_cast<std::size_t>(k) + 1] = true;
  const double b = 4 * static_cast<double>(std::count(pointer.begin(), pointer.end(), true));
  const double products = 4 * (rows + 1) + 4 * static_cast<double>(p.pair.a.edges()) + b + 8 * rows;
  return products + (8 * rows + 12 * windows + 12 * parts) + (24 * parts + 16) + (16 * parts + 24 * windows);
}

inline VariantInfo variant(std::string name, std::string what) {
  return {.name = std::move(name), .what = std::move(what), .dtype = "f32", .accept = accept_product()};
}

/// A multiplication and an addition to a sum that begins at zero, for each product.
inline Work work_of(const Problem& p, double bytes) {
  return {.flops = 2 * p.pair.products, .bytes = bytes};
}

// --- on a CPU ---

inline void declare_host(Trial& t, const Problems& in) {
  const double compulsory =
      8 * static_cast<double>(in[0].pair.a.edges() + in[0].pair.b.edges()) + 8 * in[0].pair.entries;
  VariantInfo eigen =
      variant("eigen", "Eigen::SparseMatrix product, 512 rows of A at a time dealt out to the cores");
  eigen.work = work_of(in[0], compulsory);
  t.host(std::move(eigen), [&in](HostBench& bench) -> Run {
    const Problem& p = in[bench.set()];
    bench.input(p.pair.a.values);
    bench.input(p.pair.b.values);
    const auto rows = bench.output<std::int32_t>("row pointers", p.rows() + 1),
               column = bench.output<std::int32_t>("columns", p.entries());
    const auto value = bench.output<float>("values", p.entries());
    return [=, &p] { baselines::spgemm_eigen(p.a(), p.b(), {rows, column, value}); };
  });
  VariantInfo method =
      variant("method", "windows and tables with a mixing hash, in C++; windows planned in advance");
  method.work = work_of(in[0], compulsory + 16 * in[0].pair.entries);
  t.host(std::move(method), [&in](HostBench& bench) -> Run {
    const Problem& p = in[bench.set()];
    bench.input(p.pair.a.values);
    bench.input(p.pair.b.values);
    const auto rows = bench.output<std::int32_t>("row pointers", p.rows() + 1),
               column = bench.output<std::int32_t>("columns", p.entries());
    const auto value = bench.output<float>("values", p.entries());
    const kernels::HashFragments<float> fragments{
        bench.workspace<std::int32_t>(p.products()), bench.workspace<float>(p.products()),
        bench.workspace<std::int32_t>(static_cast<std::size_t>(p.plan.windows()))};
    return [=, &p] {
      kernels::hash_spgemm_reference<float>(p.a(), p.b(), p.plan, kernels::SlotHash::mixed, fragments,
                                            {rows, column, value});
    };
  });
}

// --- on a GPU (and the kernels on Simt) ---

/// Operands and result of one set on a device.
template <class Target>
struct OnDevice {
  kernels::CsrView<Target> a, b;
  kernels::DeviceCsrResult<Target> c;
};

template <class Target>
OnDevice<Target> on_device(DeviceBench<Target>& bench, const Problem& p) {
  const auto upload = [&](const HostCsr& m) {
    return kernels::CsrView<Target>{m.rows, m.columns, bench.input(m.row_pointers),
                                    bench.input(m.column_indices), bench.input(m.values)};
  };
  return {upload(p.a()),
          upload(p.b()),
          {bench.template output<std::int32_t>("row pointers", p.rows() + 1),
           bench.template output<std::int32_t>("columns", p.entries()),
           bench.template output<float>("values", p.entries())}};
}

inline double scratch_bytes(const Problem& p, const SmashVersion& version, double most_windows) {
  const double per_product = version.sums == SumPlace::fragments ? 12 : 8;
  return per_product * p.pair.products + 8 * most_windows + 4 + 4 * static_cast<double>(p.rows()) + 8;
}

/// Why this size isn't checked on Simt, or nothing.
inline std::string too_large_for_simt(const Problem& p) {
  constexpr double kMostProducts = 500'000;
  return p.pair.products <= kMostProducts ? ""
                                          : "too many products for the SIMT engine; checked at smoke size";
}

/// How a kernel comes by its windows.
enum class Planning { on_host, on_device };

/// The windows of a set on a device: planned on the host and uploaded, or scratch for planning them there.
template <class Target>
struct Windows {
  kernels::DeviceWindows<Target> planned;
  kernels::WindowScratch<Target> scratch;
};

template <class Target>
Windows<Target> windows_of(DeviceBench<Target>& bench, const Problem& p, Planning planning) {
  if (planning == Planning::on_host) {
    const std::vector<std::int32_t> count{p.plan.windows()};
    return {{p.plan.table, bench.input(count), bench.input(p.plan.first_row),
             bench.input(p.plan.first_product), p.plan.products()},
            {}};
  }
  const std::size_t rows = p.rows(), parts = kernels::plan_parts(static_cast<int>(rows));
  return {
      {},
      {bench.template workspace<std::int32_t>(1), bench.template workspace<std::int32_t>(rows + 1),
       bench.template workspace<std::int64_t>(rows + 1), bench.template workspace<std::int64_t>(rows),
       bench.template workspace<std::int32_t>(rows), bench.template workspace<std::int64_t>(rows),
       bench.template workspace<std::int32_t>(2 * parts), bench.template workspace<std::int64_t>(2 * parts)}};
}

struct KernelChoice {
  const char* name;
  const char* what;
  SmashVersion version;
  Planning planning = Planning::on_host;
};

inline VariantInfo kernel_info(const Problem& p, const KernelChoice& choice, bool simt) {
  const bool plans = choice.planning == Planning::on_device;
  VariantInfo info = variant(choice.name, choice.what);
  info.work = work_of(p, kernel_bytes(p, choice.version) + (plans ? planning_bytes(p) : 0));
  if (p.plan.table.load > 1) {
    info.work.uncounted =
        "tables that overflow are filled again; how far they came before depends on the order of the threads";
  }
  info.determinism = bench::Determinism::order_dependent;
  info.simt_left_out = simt ? too_large_for_simt(p) : "one version of each kind of table is enough here";
  info.simt = info.simt_left_out.empty();
  const double rows = static_cast<double>(p.rows()), most = plans ? rows : p.plan.windows();
  const double operands = 8 * static_cast<double>(p.pair.a.edges() + p.pair.b.edges()) + 8 * (rows + 1);
  info.formula_bytes =
      operands + 8 * p.pair.entries + 4 * (rows + 1) + scratch_bytes(p, choice.version, most) +
      12 * (most + 1) + 4 +
      (plans ? 20 * rows + 24 * static_cast<double>(kernels::plan_parts(static_cast<int>(rows))) : 0);
  info.explain_speedup =
      "cusparseSpGEMM goes back to the host between its phases; here a product is three launches, seven with "
      "their planning, and products are merged in shared memory as they arise";
  return info;
}

inline void declare_kernel(Trial& t, const Problems& in, const KernelChoice& choice, bool simt) {
  t.kernel(kernel_info(in[0], choice, simt),
           [&in, version = choice.version,
            planning = choice.planning]<class Target>(DeviceBench<Target>& bench) -> Run {
             const Problem& p = in[bench.set()];
             const OnDevice<Target> on = on_device(bench, p);
             const Windows<Target> windows = windows_of(bench, p, planning);
             const std::size_t most = planning == Planning::on_host ? windows.planned.most() : p.rows();
             const kernels::SmashScratch<Target> scratch{
                 bench.template workspace<std::int32_t>(2),
                 bench.template workspace<std::int32_t>(most),
                 bench.template workspace<std::int32_t>(most + 1),
                 bench.template workspace<std::int32_t>(p.rows()),
                 bench.template workspace<std::int32_t>(p.products()),
                 bench.template workspace<float>(p.products()),
                 bench.template workspace<float>(version.sums == SumPlace::fragments ? p.products() : 0)};
             auto& stream = bench.stream();
             if (planning == Planning::on_host) {
               return [=, &stream] {
                 kernels::hash_spgemm<Target>(stream, version, on.a, on.b, windows.planned, scratch, on.c);
               };
             }
             return [=, &stream, table = p.plan.table, products = p.plan.products()] {
               const auto planned =
                   kernels::plan_windows<Target>(stream, on.a, on.b, table, products, windows.scratch);
               kernels::hash_spgemm<Target>(stream, version, on.a, on.b, planned, scratch, on.c);
             };
           });
}

inline void declare_vendor(Trial& t, const Problems& in) {
  for (const bool estimates : {false, true}) {
    VariantInfo info = variant(
        estimates ? "vendor/estimation" : "vendor",
        estimates
            ? "cusparseSpGEMM, the fastest of its algorithms: estimation, computation, copy"
            : "cusparseSpGEMM, the fastest of its algorithms: computation and copy, estimated in advance");
    info.determinism = bench::Determinism::order_dependent;
    info.synchronises = "cusparseSpGEMM waits for the GPU to learn the sizes of its buffers and of C";
    t.vendor(std::move(info), [&in, estimates]<class Target>(DeviceBench<Target>& bench) -> Run {
      const OnDevice<Target> matrices = on_device(bench, in[bench.set()]);
      auto& product =
          bench.template own<baselines::CusparseSpgemm>(bench.stream(), matrices.a, matrices.b, matrices.c);
      bench.setting(product.setting());
      if (estimates) return [&product] { product.run(); };
      return [&product] { product.run_estimated(); };
    });
  }
}

}  // namespace remeasure::experiments::smash_problem
