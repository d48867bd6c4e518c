// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "baselines/convolution/convolution.h"

#ifdef REMEASURE_HAS_CUDNN
#include "baselines/matmul/cudnn_graph.h"
#endif

namespace remeasure::baselines {

#ifdef REMEASURE_HAS_CUDNN

namespace {

using kernels::Activation;
using kernels::Tensor4;

enum TensorId : std::int64_t {
  input_id = 1,
  weights_id,
  output_id,
  bias_id,
  residual_id,
  sums_id,
  biased_id,
  added_id
};

template <class Element>
constexpr cudnnDataType_t type_of() {
  if constexpr (std::is_same_v<Element, half>)
    return CUDNN_DATA_HALF;
  else if constexpr (std::is_same_v<Element, bfloat16>)
    return CUDNN_DATA_BFLOAT16;
  else
    return CUDNN_DATA_FLOAT;
}

/// cuDNN names extents in the order n, c, h, w whatever their place in memory.
cudnn::Tensor tensor_of(TensorId id, cudnnDataType_t type, const Tensor4& of, bool is_virtual = false) {
  const std::int64_t n = of.batch, c = of.channels, h = of.height, w = of.width;
  return {.id = id,
          .type = type,
          .extents = {n, c, h, w},
          .strides = of.layout == Layout::nchw ? std::vector<std::int64_t>{c * h * w, h * w, w, 1}
                                               : std::vector<std::int64_t>{c * h * w, 1, w * c, c},
          .is_virtual = is_virtual};
}

cudnn::Descriptor convolution_descriptor(const ConvolutionShape& shape) {
  const auto both_axes = [](int value) { return std::vector<std::int64_t>{value, value}; };
  cudnn::Descriptor result(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  result.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT})
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
           std::vector{CUDNN_CROSS_CORRELATION})
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::vector<std::int64_t>{2})
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, both_axes(shape.pad))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, both_axes(shape.pad))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, both_axes(1))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, both_axes(shape.stride))
      .finalize("the convolution's descriptor");
  return result;
}

/// y = mode(x) or mode(x, b).
cudnn::Descriptor pointwise(cudnnPointwiseMode_t mode, const cudnn::Descriptor& x, const cudnn::Descriptor* b,
                            const cudnn::Descriptor& y) {
  cudnn::Descriptor kind(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  kind.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, std::vector{mode})
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, std::vector{CUDNN_DATA_FLOAT})
      .finalize("a pointwise operation's kind");
  cudnn::Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  operation.finalize("a pointwise operation");
  return operation;
}

/// Names of one pass's attributes: the operation takes x (or dx), w (or dw), y (or dy), and writes one.
struct PassAttributes {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
PassAttributes attributes_of(ConvolutionPass pass) {
  switch (pass) {
    case ConvolutionPass::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case ConvolutionPass::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvolutionPass::backward_weights:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
  throw std::invalid_argument("a ConvolutionPass that doesn't exist");
}

}  // namespace

template <class Element>
struct ConvolutionCudnn<Element>::State {
  State(Stream<Cuda>& stream, const ConvolutionShape& of, Layout layout, ConvolutionPass of_pass,
        const EpilogueParts& with)
      : shape(of), pass(of_pass), parts(with), plans(stream, "a convolution " + kernels::to_string(of)) {
    kernels::check_convolution("ConvolutionCudnn", shape);
    const bool fused = parts.bias || parts.residual || parts.activation != Activation::none;
    if (fused && pass != ConvolutionPass::forward)
      throw std::invalid_argument("ConvolutionCudnn: only the forward pass has an epilogue");
    constexpr cudnnDataType_t kType = type_of<Element>();
    const Tensor4 out = shape.output(layout);
    const cudnn::Descriptor x = cudnn::descriptor_of(tensor_of(input_id, kType, shape.input(layout)),
                                                     "the input"),
                            w = cudnn::descriptor_of(tensor_of(weights_id, kType, shape.weights(layout)),
                                                     "the weights"),
                            y = cudnn::descriptor_of(tensor_of(output_id, kType, out), "the output"),
                            convolution = convolution_descriptor(shape);
    // What lies between two operations is float and never in memory; the last one writes the output.
    const auto between = [&](TensorId id) {
      return cudnn::descriptor_of(tensor_of(id, CUDNN_DATA_FLOAT, out, true), "a tensor between operations");
    };
    const cudnn::Descriptor sums = between(sums_id), biased = between(biased_id), added = between(added_id);
    const cudnn::Descriptor bias = cudnn::descriptor_of(
        tensor_of(bias_id, CUDNN_DATA_FLOAT, {1, shape.out_channels, 1, 1, layout}), "the bias");
    const cudnn::Descriptor residual =
        cudnn::descriptor_of(tensor_of(residual_id, kType, out), "the residual");

    const PassAttributes names = attributes_of(pass);
    cudnn::Descriptor operation(names.operation);
    operation.set(names.convolution, convolution)
        .set(names.x, x)
        .set(names.w, w)
        .set(names.y, fused ? sums : y)
        .set(names.alpha, CUDNN_TYPE_FLOAT, std::vector<float>{1})
        .set(names.beta, CUDNN_TYPE_FLOAT, std::vector<float>{0})
        .finalize("the convolution");
    std::vector<cudnn::Descriptor> epilogue;
    const cudnn::Descriptor* latest = &sums;
    if (parts.bias) {
      const bool last = !parts.residual && parts.activation == Activation::none;
      epilogue.push_back(pointwise(CUDNN_POINTWISE_ADD, *latest, &bias, last ? y : biased));
      latest = &biased;
    }
    if (parts.residual) {
      const bool last = parts.activation == Activation::none;
      epilogue.push_back(pointwise(CUDNN_POINTWISE_ADD, *latest, &residual, last ? y : added));
      latest = &added;
    }
    if (parts.activation != Activation::none) {
      const bool relu = parts.activation == Activation::relu;
      epilogue.push_back(pointwise(relu ? CUDNN_POINTWISE_RELU_FWD : CUDNN_POINTWISE_GELU_APPROX_TANH_FWD,
                                   *latest, nullptr, y));
    }
    std::vector<const cudnn::Descriptor*> operations{&operation};
    for (const cudnn::Descriptor& one : epilogue) operations.push_back(&one);
    plans.make(operations, true);
  }

  ConvolutionShape shape;
  ConvolutionPass pass;
  EpilogueParts parts;
  cudnn::Plans plans;
};

template <class Element>
ConvolutionCudnn<Element>::ConvolutionCudnn(Stream<Cuda>& stream, const ConvolutionShape& shape,
                                            Layout layout, ConvolutionPass pass, const EpilogueParts& parts)
    : state_(std::make_unique<State>(stream, shape, layout, pass, parts)) {}

template <class Element>
void ConvolutionCudnn<Element>::operator()(DeviceSpan<Cuda, const Element> first,
                                           DeviceSpan<Cuda, const Element> second,
                                           DeviceSpan<Cuda, Element> result,
                                           const CudnnEpilogueData<Element>& data) {
  State& s = *state_;
  const ConvolutionSizes sizes = sizes_of(s.shape, s.pass);
  kernels::check_sizes("ConvolutionCudnn", {{"the first operand", first.size(), sizes.first},
                                            {"the second operand", second.size(), sizes.second},
                                            {"the result", result.size(), sizes.result}});
  if (s.parts.bias != (data.bias != nullptr) || s.parts.residual != (data.residual != nullptr))
    throw std::invalid_argument("ConvolutionCudnn: bias or residual isn't what the graph was made for");
  const auto device = [](const void* pointer) { return const_cast<void*>(pointer); };
  std::vector<std::int64_t> ids;
  switch (s.pass) {
    case ConvolutionPass::forward:
      ids = {input_id, weights_id, output_id};
      break;
    case ConvolutionPass::backward_data:
      ids = {output_id, weights_id, input_id};
      break;
    case ConvolutionPass::backward_weights:
      ids = {input_id, output_id, weights_id};
      break;
  }
  std::vector<void*> pointers{device(first.data()), device(second.data()), result.data()};
  if (data.bias != nullptr) ids.push_back(bias_id), pointers.push_back(device(data.bias));
  if (data.residual != nullptr) ids.push_back(residual_id), pointers.push_back(device(data.residual));
  s.plans.run(ids, pointers);
}

template <class Element>
std::string ConvolutionCudnn<Element>::setting() const {
  return state_->plans.setting();
}

#else  // the variant says so and isn't run

template <class Element>
struct ConvolutionCudnn<Element>::State {};
template <class Element>
ConvolutionCudnn<Element>::ConvolutionCudnn(Stream<Cuda>&, const ConvolutionShape&, Layout, ConvolutionPass,
                                            const EpilogueParts&) {
  throw DeviceError(why_not());
}
template <class Element>
void ConvolutionCudnn<Element>::operator()(DeviceSpan<Cuda, const Element>, DeviceSpan<Cuda, const Element>,
                                           DeviceSpan<Cuda, Element>, const CudnnEpilogueData<Element>&) {
  throw DeviceError(why_not());
}
template <class Element>
std::string ConvolutionCudnn<Element>::setting() const {
  return {};
}

#endif

template <class Element>
ConvolutionCudnn<Element>::~ConvolutionCudnn() = default;

template class ConvolutionCudnn<half>;
template class ConvolutionCudnn<bfloat16>;
template class ConvolutionCudnn<float>;

}  // namespace remeasure::baselines
