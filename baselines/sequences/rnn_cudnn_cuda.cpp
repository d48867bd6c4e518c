// SPDX-License-Identifier: Apache-2.0
//
// cuDNN's RNN API (v8 functions, cudnn_adv.h). Time is the outer axis, as in torch.nn.LSTM; all sequences
// have one length.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <optional>
#include <vector>

#include "baselines/matmul/choose.h"
#include "baselines/matmul/launch_time.h"
#include "baselines/sequences/rnn_steps.h"

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_handles.h"
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

namespace {

constexpr cudnnDataType_t kType = CUDNN_DATA_BFLOAT16;
using Bytes = DeviceBuffer<Cuda, std::uint8_t>;

/// One algorithm of cuDNN's, ready to run.
struct Plan {
  Plan(Stream<Cuda>& stream, cudnnHandle_t handle, const RnnShape& shape, cudnnRNNAlgo_t algorithm,
       cudnnForwardMode_t mode, const cudnn::DropoutDescriptor& dropout, const cudnn::RnnDataDescriptor& x,
       std::span<const float> input, std::span<const float> recurrent, std::span<const float> bias) {
    check(cudnnSetRNNDescriptor_v8(rnn, algorithm, CUDNN_LSTM, CUDNN_RNN_DOUBLE_BIAS, CUDNN_UNIDIRECTIONAL,
                                   CUDNN_LINEAR_INPUT, kType, CUDNN_DATA_FLOAT, CUDNN_TENSOR_OP_MATH,
                                   shape.dim, shape.dim, shape.dim, 1, dropout, CUDNN_RNN_PADDED_IO_DISABLED),
          "cudnnSetRNNDescriptor_v8");
    check(cudnnGetRNNWeightSpaceSize(handle, rnn, &weight_bytes), "cudnnGetRNNWeightSpaceSize");
    check(cudnnGetRNNTempSpaceSizes(handle, rnn, mode, x, &work_bytes, &reserve_bytes),
          "cudnnGetRNNTempSpaceSizes");
    weights = Bytes(stream.device(), weight_bytes, MemoryUse::workspace, "cudnn weights");
    work = Bytes(stream.device(), work_bytes + 1, MemoryUse::workspace, "cudnn workspace");
    reserve = Bytes(stream.device(), reserve_bytes + 1, MemoryUse::workspace, "cudnn reserve");
    fill(stream, handle, shape, input, recurrent, bias);
  }

  /// Matrices 0 to 3 are W of i, f, z, o, 4 to 7 are R; biases likewise, those of R are zero.
  void fill(Stream<Cuda>& stream, cudnnHandle_t handle, const RnnShape& shape, std::span<const float> input,
            std::span<const float> recurrent, std::span<const float> bias) {
    std::vector<std::uint8_t> host(weight_bytes, 0);
    const auto put = [&](const void* address, std::span<const float> values, const char* what) {
      if (address == nullptr) throw DeviceError(fmt::format("cuDNN: no place for the {} of an LSTM", what));
      const auto offset =
          static_cast<std::size_t>(static_cast<const std::uint8_t*>(address) - weights.data());
      if (offset + values.size() * 2 > host.size())
        throw DeviceError(fmt::format("cuDNN: the {} of an LSTM lie outside the weights", what));
      for (std::size_t i = 0; i < values.size(); ++i) {
        const bfloat16 value(values[i]);
        std::memcpy(&host[offset + 2 * i], &value, 2);
      }
    };
    const auto dim = static_cast<std::size_t>(shape.dim);
    for (int id = 0; id < 8; ++id) {
      const cudnn::TensorDescriptor matrix, vector;
      void *matrix_address = nullptr, *vector_address = nullptr;
      check(cudnnGetRNNWeightParams(handle, rnn, 0, weight_bytes, weights.data(), id, matrix, &matrix_address,
                                    vector, &vector_address),
            "cudnnGetRNNWeightParams");
      const auto gate = static_cast<std::size_t>(id % 4);
      put(matrix_address, (id < 4 ? input : recurrent).subspan(gate * dim * dim, dim * dim), "matrix");
      if (id < 4) put(vector_address, bias.subspan(gate * dim, dim), "bias");
    }
    stream.upload(std::span<const std::uint8_t>(host), weights.span());
    stream.synchronize();  // `host` goes
  }

  cudnn::RnnDescriptor rnn;
  std::size_t weight_bytes = 0, work_bytes = 0, reserve_bytes = 0;
  Bytes weights, work, reserve;
};

}  // namespace

struct CudnnLstm::State {
  State(Stream<Cuda>& on, const RnnShape& of, std::span<const float> input, std::span<const float> recurrent,
        std::span<const float> bias, bool trains)
      : stream(on),
        shape(of),
        training(trains),
        mode(trains ? CUDNN_FWD_MODE_TRAINING : CUDNN_FWD_MODE_INFERENCE),
        lengths(on.device(), static_cast<std::size_t>(of.batch), MemoryUse::workspace, "sequence lengths") {
    check(cudnnSetStream(library, static_cast<cudaStream_t>(on.native())), "cudnnSetStream");
    check(cudnnSetDropoutDescriptor(dropout, library, 0.0f, nullptr, 0, 0), "cudnnSetDropoutDescriptor");
    const std::vector<int> equal(static_cast<std::size_t>(shape.batch), shape.steps);
    for (const cudnn::RnnDataDescriptor* each : {&data, &hidden}) {
      check(cudnnSetRNNDataDescriptor(*each, kType, CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_PACKED, shape.steps,
                                      shape.batch, shape.dim, equal.data(), nullptr),
            "cudnnSetRNNDataDescriptor");
    }
    const std::array<int, 3> extents{1, shape.batch, shape.dim},
        strides{shape.batch * shape.dim, shape.dim, 1};
    check(cudnnSetTensorNdDescriptor(first, kType, 3, extents.data(), strides.data()),
          "cudnnSetTensorNdDescriptor");
    stream.upload(std::span<const int>(equal), lengths.span());
    stream.synchronize();
    std::string last;
    for (const auto& [algorithm, name] :
         {std::pair{CUDNN_RNN_ALGO_STANDARD, "standard"},
          std::pair{CUDNN_RNN_ALGO_PERSIST_STATIC, "persistent, static"},
          std::pair{CUDNN_RNN_ALGO_PERSIST_STATIC_SMALL_H, "persistent, static, small H"}}) {
      try {
        plans.push_back(std::make_unique<Plan>(stream, library, shape, algorithm, mode, dropout, data, input,
                                               recurrent, bias));
        candidates.push_back({fmt::format("cuDNN {} {}", cudnnGetVersion(), name),
                              plans.back()->work_bytes + plans.back()->reserve_bytes});
      } catch (const DeviceError& error) {  // not for this size or device
        if (error.sticky()) throw;
        last = error.what();
      }
    }
    if (plans.empty()) throw DeviceError(last);
  }

  void run(std::size_t plan, const void* x, const void* h0, const void* c0, void* y) {
    Plan& p = *plans[plan];
    check(cudnnRNNForward(library, p.rnn, mode, lengths.data(), data, x, hidden, y, first, h0, nullptr, first,
                          c0, nullptr, p.weight_bytes, p.weights.data(), p.work_bytes, p.work.data(),
                          p.reserve_bytes, p.reserve.data()),
          "cudnnRNNForward");
  }

  Stream<Cuda>& stream;
  RnnShape shape;
  bool training;
  cudnnForwardMode_t mode;
  cudnn::Library library;
  cudnn::DropoutDescriptor dropout;
  cudnn::RnnDataDescriptor data, hidden;
  cudnn::TensorDescriptor first;
  DeviceBuffer<Cuda, int> lengths;
  std::vector<std::unique_ptr<Plan>> plans;
  std::vector<Candidate> candidates;
  std::optional<Choice> chosen;
  Bytes dweights;
};

CudnnLstm::CudnnLstm(Stream<Cuda>& stream, const RnnShape& shape, std::span<const float> input,
                     std::span<const float> weights, std::span<const float> bias, bool training) {
  if (shape.cell != kernels::Cell::lstm || shape.heads != 1)
    throw std::invalid_argument("CudnnLstm: an LSTM of one head is needed");
  kernels::check_rnn_array("weights", weights.size(), shape.weights_size());
  kernels::check_rnn_array("input weights", input.size(), shape.weights_size());
  kernels::check_rnn_array("bias", bias.size(), shape.bias_size());
  state_ = std::make_unique<State>(stream, shape, input, weights, bias, training);
}

void CudnnLstm::forward(DeviceSpan<Cuda, const bfloat16> x, DeviceSpan<Cuda, const bfloat16> h0,
                        DeviceSpan<Cuda, const bfloat16> c0, DeviceSpan<Cuda, bfloat16> hidden) {
  State& s = *state_;
  if (!s.chosen) {
    s.chosen = choose_fastest(s.candidates, [&](std::size_t plan) {
      return launch_seconds(s.stream, [&] { s.run(plan, x.data(), h0.data(), c0.data(), hidden.data()); });
    });
  }
  s.run(s.chosen->index, x.data(), h0.data(), c0.data(), hidden.data());
}

void CudnnLstm::backward(DeviceSpan<Cuda, const bfloat16> x, DeviceSpan<Cuda, const bfloat16> h0,
                         DeviceSpan<Cuda, const bfloat16> c0, DeviceSpan<Cuda, const bfloat16> hidden,
                         DeviceSpan<Cuda, const bfloat16> dhidden, DeviceSpan<Cuda, bfloat16> dx) {
  State& s = *state_;
  if (!s.training || !s.chosen)
    throw std::invalid_argument("CudnnLstm: backward needs a forward pass that trains");
  Plan& p = *s.plans[s.chosen->index];
  if (s.dweights.size() == 0)
    s.dweights = Bytes(s.stream.device(), p.weight_bytes, MemoryUse::workspace, "cudnn gradients");
  s.stream.fill_bytes(s.dweights.span(), 0);  // cuDNN adds to them
  check(cudnnRNNBackwardData_v8(s.library, p.rnn, s.lengths.data(), s.hidden, hidden.data(), dhidden.data(),
                                s.data, dx.data(), s.first, h0.data(), nullptr, nullptr, s.first, c0.data(),
                                nullptr, nullptr, p.weight_bytes, p.weights.data(), p.work_bytes,
                                p.work.data(), p.reserve_bytes, p.reserve.data()),
        "cudnnRNNBackwardData_v8");
  check(cudnnRNNBackwardWeights_v8(s.library, p.rnn, CUDNN_WGRAD_MODE_ADD, s.lengths.data(), s.data, x.data(),
                                   s.first, h0.data(), s.hidden, hidden.data(), p.weight_bytes,
                                   s.dweights.data(), p.work_bytes, p.work.data(), p.reserve_bytes,
                                   p.reserve.data()),
        "cudnnRNNBackwardWeights_v8");
}

std::string CudnnLstm::setting() const {
  return state_->chosen ? state_->chosen->setting : std::string();
}

#else

struct CudnnLstm::State {};

CudnnLstm::CudnnLstm(Stream<Cuda>&, const RnnShape&, std::span<const float>, std::span<const float>,
                     std::span<const float>, bool) {
  throw DeviceError(why_not());
}
void CudnnLstm::forward(DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, const bfloat16>,
                        DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, bfloat16>) {
  throw DeviceError(why_not());
}
void CudnnLstm::backward(DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, const bfloat16>,
                         DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, const bfloat16>,
                         DeviceSpan<Cuda, const bfloat16>, DeviceSpan<Cuda, bfloat16>) {
  throw DeviceError(why_not());
}
std::string CudnnLstm::setting() const {
  return {};
}

#endif

CudnnLstm::~CudnnLstm() = default;

}  // namespace remeasure::baselines
