// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <utility>

#include "baselines/graphs/cusparse_check.h"
#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"
#include "baselines/systems/sparse_filling.h"
#include "kernels/systems/sparse_filling.h"

namespace remeasure::baselines {
namespace {

constexpr cusparseOperation_t kPlain = CUSPARSE_OPERATION_NON_TRANSPOSE;

template <class T>
constexpr cudaDataType kType = std::is_same_v<T, double> ? CUDA_R_64F : CUDA_R_32F;

class VectorDescriptor {
 public:
  template <class T>
  VectorDescriptor(std::size_t size, T* values) {
    check(cusparseCreateDnVec(&descriptor_, static_cast<std::int64_t>(size), values, kType<T>),
          "cusparseCreateDnVec");
  }
  ~VectorDescriptor() { cusparseDestroyDnVec(descriptor_); }
  VectorDescriptor(const VectorDescriptor&) = delete;
  VectorDescriptor& operator=(const VectorDescriptor&) = delete;
  operator cusparseDnVecDescr_t() const { return descriptor_; }

 private:
  cusparseDnVecDescr_t descriptor_ = nullptr;
};

template <class T>
DeviceBuffer<Cuda, T> uploaded(Stream<Cuda>& stream, const std::vector<T>& values, const char* name) {
  DeviceBuffer<Cuda, T> buffer(stream.device(), values.size(), MemoryUse::workspace, name);
  stream.upload(std::span<const T>(values), buffer.span());
  stream.synchronize();  // the host array may go away
  return buffer;
}

/// A CSR of ones on the device.
template <class T>
class Ones {
 public:
  Ones(Stream<Cuda>& stream, const Incidence& m)
      : rows_(uploaded(stream, m.row_pointers, "row pointers")),
        columns_(uploaded(stream, m.column_indices, "column indices")),
        values_(uploaded(stream, std::vector<T>(m.column_indices.size(), T{1}), "ones")),
        matrix_(
            [&](cusparseSpMatDescr_t* d) {
              return cusparseCreateCsr(d, m.rows, m.columns,
                                       static_cast<std::int64_t>(m.column_indices.size()), rows_.data(),
                                       columns_.data(), values_.data(), CUSPARSE_INDEX_32I,
                                       CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, kType<T>);
            },
            "cusparseCreateCsr") {}
  operator cusparseSpMatDescr_t() const { return matrix_; }

 private:
  DeviceBuffer<Cuda, std::int32_t> rows_, columns_;
  DeviceBuffer<Cuda, T> values_;
  SparseDescriptor matrix_;
};

/// y = alpha A x + beta y by one algorithm, with scratch of its own.
template <class T>
class Product {
 public:
  Product(Stream<Cuda>& stream, cusparseHandle_t handle, const Ones<T>& a, const VectorDescriptor& x,
          const VectorDescriptor& y, T alpha, T beta, cusparseSpMVAlg_t algorithm)
      : handle_(handle), a_(a), x_(x), y_(y), alpha_(alpha), beta_(beta), algorithm_(algorithm) {
    std::size_t bytes = 0;
    check(cusparseSpMV_bufferSize(handle_, kPlain, &alpha_, a_, x_, &beta_, y_, kType<T>, algorithm_, &bytes),
          "cusparseSpMV_bufferSize");
    scratch_ = DeviceBuffer<Cuda, std::uint8_t>(stream.device(), std::max<std::size_t>(bytes, 1),
                                                MemoryUse::workspace, "cusparseSpMV");
  }
  void operator()() {
    check(cusparseSpMV(handle_, kPlain, &alpha_, a_, x_, &beta_, y_, kType<T>, algorithm_, scratch_.data()),
          "cusparseSpMV");
  }

 private:
  cusparseHandle_t handle_;
  const Ones<T>& a_;
  const VectorDescriptor &x_, &y_;
  T alpha_, beta_;
  cusparseSpMVAlg_t algorithm_;
  DeviceBuffer<Cuda, std::uint8_t> scratch_;
};

struct Products {
  Product<float> count, hits;
  Product<double> use;
};

std::vector<double> capacities(const kernels::Traffic& t, int trials) {
  std::vector<double> all;
  for (int trial = 0; trial < trials; ++trial) all.insert(all.end(), t.capacity.begin(), t.capacity.end());
  return all;
}

}  // namespace

struct CusparseFilling::State {
  State(Stream<Cuda>& on, const kernels::Traffic& t, const Incidence& by_flow, int trial_count)
      : stream(on),
        shape(t.shape),
        trials(trial_count),
        handle(on),
        flows_by_link(on, transposed(by_flow)),
        rates_by_link(on, transposed(by_flow)),
        links_by_flow(on, by_flow),
        capacity(uploaded(on, capacities(t, trial_count), "capacity")),
        job(uploaded(on, t.job, "job")),
        everyone(uploaded(on, std::vector<float>(flows(), 1.0f), "everyone")),
        active(buffer<float>(flows())),
        count(buffer<float>(links())),
        full(buffer<float>(links())),
        hits(buffer<float>(flows())),
        residual(buffer<double>(links())),
        step(buffer<double>(flows())),
        rate(buffer<double>(flows())),
        least(buffer<double>(systems())),
        active_v(flows(), active.data()),
        count_v(links(), count.data()),
        full_v(links(), full.data()),
        hits_v(flows(), hits.data()),
        residual_v(links(), residual.data()),
        step_v(flows(), step.data()) {}

  std::size_t systems() const {
    return static_cast<std::size_t>(trials) * static_cast<std::size_t>(shape.rails);
  }
  std::size_t flows() const {
    return static_cast<std::size_t>(trials) * static_cast<std::size_t>(shape.flows());
  }
  std::size_t links() const {
    return static_cast<std::size_t>(trials) * static_cast<std::size_t>(shape.links());
  }
  template <class T>
  DeviceBuffer<Cuda, T> buffer(std::size_t size) {
    return DeviceBuffer<Cuda, T>(stream.device(), size, MemoryUse::workspace, "filling");
  }

  Products products(cusparseSpMVAlg_t algorithm) {
    return {{stream, handle, flows_by_link, active_v, count_v, 1.0f, 0.0f, algorithm},
            {stream, handle, links_by_flow, full_v, hits_v, 1.0f, 0.0f, algorithm},
            {stream, handle, rates_by_link, step_v, residual_v, -1.0, 1.0, algorithm}};
  }
  void begin() {
    stream.copy(std::as_const(everyone).span(), active.span());
    stream.copy(std::as_const(capacity).span(), residual.span());
    stream.fill_bytes(rate.span(), 0);
  }
  void round(Products& p) {
    const int all = static_cast<int>(systems());
    p.count();
    kernels::filling_shares<Cuda>(stream, all, shape.rail_links(), count, residual, least, full);
    p.hits();
    kernels::filling_freeze<Cuda>(stream, all, shape.rail_flows(), hits, least, active, step, rate);
    p.use();
  }
  void run(Products& p) {
    begin();
    for (int i = 0; i < rounds; ++i) round(p);
  }
  /// Until no system has a flow left.
  void count_rounds(Products& p) {
    std::vector<double> host(systems());
    begin();
    for (rounds = 0;; ++rounds) {
      round(p);
      stream.download(std::as_const(least).span(), std::span<double>(host));
      if (std::all_of(host.begin(), host.end(), [](double share) { return std::isinf(share); })) return;
    }
  }
  void choose() {
    constexpr std::pair<const char*, cusparseSpMVAlg_t> algorithms[] = {
        {"ALG_DEFAULT", CUSPARSE_SPMV_ALG_DEFAULT},
        {"CSR_ALG1", CUSPARSE_SPMV_CSR_ALG1},
        {"CSR_ALG2", CUSPARSE_SPMV_CSR_ALG2}};
    std::unique_ptr<Products> tried[std::size(algorithms)];
    std::vector<Candidate> candidates;
    for (const auto& [name, algorithm] : algorithms)
      candidates.push_back({std::string("cusparseSpMV ") + name, 0});
    const Choice choice = choose_fastest(candidates, [&](std::size_t i) {
      tried[i] = std::unique_ptr<Products>(new Products(products(algorithms[i].second)));
      if (rounds == 0) count_rounds(*tried[i]);
      return launch_seconds<Cuda>(stream, [&] { run(*tried[i]); });
    });
    chosen = std::move(tried[choice.index]);
    setting = choice.setting + ", " + std::to_string(rounds) + " rounds";
  }

  Stream<Cuda>& stream;
  kernels::ClosShape shape;
  int trials, rounds = 0;
  CusparseHandle handle;
  Ones<float> flows_by_link;
  Ones<double> rates_by_link;
  Ones<float> links_by_flow;
  DeviceBuffer<Cuda, double> capacity;
  DeviceBuffer<Cuda, std::int32_t> job;
  DeviceBuffer<Cuda, float> everyone, active, count, full, hits;
  DeviceBuffer<Cuda, double> residual, step, rate, least;
  VectorDescriptor active_v, count_v, full_v, hits_v, residual_v, step_v;
  std::unique_ptr<Products> chosen;
  std::string setting;
};

CusparseFilling::CusparseFilling(Stream<Cuda>& stream, const kernels::Traffic& traffic,
                                 std::span<const std::uint16_t> paths, int trials)
    : state_(std::make_unique<State>(stream, traffic, flow_links(traffic, paths, trials), trials)) {}
CusparseFilling::~CusparseFilling() = default;
const std::string& CusparseFilling::setting() const {
  return state_->setting;
}

void CusparseFilling::operator()(DeviceSpan<Cuda, std::uint32_t> even,
                                 DeviceSpan<Cuda, std::uint32_t> weighted) {
  State& s = *state_;
  if (!s.chosen) s.choose();
  s.run(*s.chosen);
  kernels::filling_busbw<Cuda>(s.stream, s.shape, s.trials, s.job, s.rate, even, weighted);
}

}  // namespace remeasure::baselines
