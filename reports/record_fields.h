// SPDX-License-Identifier: Apache-2.0
//
// The fields of a record, each named once for writing and reading. An archive offers
//   always(key, value)      present in every file
//   unless_empty(key, value) absent where the value is empty, zero-length or false
//   unless_infinite(key, value) absent where the number is not finite
// With the schema's `additionalProperties: false`, a field that is missing here or there fails the round-trip
// test.
#pragma once

#include <concepts>
#include <type_traits>

#include "reports/record.h"

namespace remeasure::reports {

template <class T, class Plain>
concept Like = std::same_as<std::remove_const_t<T>, Plain>;

void describe(auto& archive, Like<Interval> auto& it) {
  archive.always("low", it.low);
  archive.always("high", it.high);
}

void describe(auto& archive, Like<Estimate> auto& it) {
  archive.always("median", it.median);
  archive.always("low", it.low);
  archive.always("high", it.high);
}

void describe(auto& archive, Like<GpuCondition> auto& it) {
  archive.unless_empty("sm_mhz", it.sm_mhz);
  archive.unless_empty("memory_mhz", it.memory_mhz);
  archive.unless_empty("celsius", it.celsius);
  archive.unless_empty("watts", it.watts);
  archive.unless_empty("limited_by", it.limited_by);
  archive.unless_empty("missing", it.missing);
}

void describe(auto& archive, Like<OtherMode> auto& it) {
  archive.always("mode", it.mode);
  archive.unless_empty("seconds", it.seconds);
  archive.always("launches", it.launches);
  archive.unless_empty("samples", it.samples);
  archive.unless_empty("throttled", it.throttled);
  archive.unless_empty("missing", it.missing);
}

void describe(auto& archive, Like<TimeResult> auto& it) {
  archive.always("seconds", it.seconds);
  archive.always("mode", it.mode);
  archive.always("stop_reason", it.stop_reason);
  archive.always("threads", it.threads);
  archive.unless_empty("launch_bound", it.launch_bound);
  archive.unless_empty("disturbed", it.disturbed);
  archive.always("samples", it.samples);
  archive.unless_empty("throttled", it.throttled);
  archive.unless_empty("quoted_because", it.quoted_because);
  archive.unless_empty("cache", it.cache);
  archive.unless_empty("unhidden", it.unhidden);
  archive.unless_empty("sm_mhz", it.sm_mhz);
  archive.unless_empty("before", it.before);
  archive.unless_empty("after", it.after);
  archive.unless_empty("other_modes", it.other_modes);
}

void describe(auto& archive, Like<Roofline> auto& it) {
  archive.always("flops", it.flops);
  archive.always("bytes", it.bytes);
  archive.unless_empty("floor_seconds", it.floor_seconds);
  archive.unless_empty("fraction_of_floor", it.fraction_of_floor);
  archive.unless_empty("bound", it.bound);
  archive.unless_empty("ceilings", it.ceilings);
}

void describe(auto& archive, Like<Accuracy> auto& it) {
  archive.always("output", it.output);
  archive.always("metric", it.metric);
  archive.unless_infinite("value", it.value);
  archive.always("limit", it.limit);
  archive.unless_empty("at_least", it.at_least);
  archive.always("reason", it.reason);
  archive.always("worst_index", it.worst_index);
  archive.always("compared", it.compared);
  archive.unless_empty("sampled", it.sampled);
  archive.always("passed", it.passed);
}

void describe(auto& archive, Like<Memory> auto& it) {
  archive.unless_empty("device_peak", it.device_peak);
  archive.unless_empty("inputs", it.inputs);
  archive.unless_empty("outputs", it.outputs);
  archive.unless_empty("workspace", it.workspace);
  archive.unless_empty("host_peak", it.host_peak);
  archive.unless_empty("device_used", it.device_used);
  archive.unless_empty("device_note", it.device_note);
  archive.unless_empty("formula", it.formula);
}

void describe(auto& archive, Like<KernelFigures> auto& it) {
  archive.always("kernel", it.kernel);
  archive.always("architecture", it.architecture);
  archive.always("registers", it.registers);
  archive.always("spill_bytes", it.spill_bytes);
  archive.always("shared_bytes", it.shared_bytes);
  archive.always("stack_bytes", it.stack_bytes);
  archive.unless_empty("source", it.source);
  archive.unless_empty("block_threads", it.block_threads);
  archive.unless_empty("dynamic_shared_bytes", it.dynamic_shared_bytes);
  archive.unless_empty("occupancy", it.occupancy);
  archive.unless_empty("limited_by", it.limited_by);
}

void describe(auto& archive, Like<VariantResult> auto& it) {
  archive.always("name", it.name);
  archive.always("what", it.what);
  archive.unless_empty("setting", it.setting);
  archive.always("where", it.where);
  archive.unless_empty("device", it.device);
  archive.unless_empty("dtype", it.dtype);
  archive.always("status", it.status);
  archive.unless_empty("reason", it.reason);
  archive.unless_empty("determinism", it.determinism);
  archive.unless_empty("accuracy", it.accuracy);
  archive.unless_empty("time", it.time);
  archive.unless_empty("roofline", it.roofline);
  archive.unless_empty("memory", it.memory);
}

void describe(auto& archive, Like<Speedup> auto& it) {
  archive.always("variant", it.variant);
  archive.always("base", it.base);
  archive.always("ratio", it.ratio);
  archive.unless_empty("withheld", it.withheld);
}

void describe(auto& archive, Like<Metric> auto& it) {
  archive.always("name", it.name);
  archive.always("value", it.value);
  archive.unless_empty("unit", it.unit);
  archive.unless_empty("reported", it.reported);
  archive.unless_empty("error", it.error);
  archive.unless_empty("exact", it.exact);
  archive.always("tolerance", it.tolerance);
}

void describe(auto& archive, Like<Check> auto& it) {
  archive.always("name", it.name);
  archive.always("passed", it.passed);
  archive.unless_empty("detail", it.detail);
}

void describe(auto& archive, Like<Curve> auto& it) {
  archive.always("label", it.label);
  archive.always("x", it.x);
  archive.always("y", it.y);
  archive.unless_empty("error", it.error);
  archive.unless_empty("reference", it.reference);
}

void describe(auto& archive, Like<Plot> auto& it) {
  archive.always("name", it.name);
  archive.always("title", it.title);
  archive.always("x_label", it.x_label);
  archive.always("y_label", it.y_label);
  archive.unless_empty("log_x", it.log_x);
  archive.unless_empty("log_y", it.log_y);
  archive.always("curves", it.curves);
}

void describe(auto& archive, Like<Table> auto& it) {
  archive.always("name", it.name);
  archive.always("title", it.title);
  archive.always("columns", it.columns);
  archive.always("rows", it.rows);
}

void describe(auto& archive, Like<ClaimSample> auto& it) {
  archive.always("claim", it.claim);
  archive.unless_empty("value", it.value);
  archive.unless_empty("holds", it.holds);
  archive.unless_empty("text", it.text);
  archive.unless_empty("on", it.on);
  archive.unless_empty("missing", it.missing);
}

void describe(auto& archive, Like<CaseResult> auto& it) {
  archive.always("name", it.name);
  archive.unless_empty("parameters", it.parameters);
  archive.unless_empty("dataset", it.dataset);
  archive.unless_empty("dataset_sha256", it.dataset_sha256);
  archive.always("synthetic", it.synthetic);
  archive.always("seed", it.seed);
  archive.unless_empty("variants", it.variants);
  archive.unless_empty("speedups", it.speedups);
  archive.unless_empty("metrics", it.metrics);
  archive.unless_empty("checks", it.checks);
  archive.unless_empty("plots", it.plots);
  archive.unless_empty("tables", it.tables);
  archive.unless_empty("claim_samples", it.claim_samples);
  archive.always("elapsed_seconds", it.elapsed_seconds);
  archive.unless_empty("error", it.error);
  archive.unless_empty("left_out", it.left_out);
  archive.unless_empty("not_reached", it.not_reached);
}

void describe(auto& archive, Like<ClaimResult> auto& it) {
  archive.always("id", it.id);
  archive.always("text", it.text);
  archive.always("reported", it.reported);
  archive.unless_empty("reported_is_range", it.reported_is_range);
  archive.unless_empty("reported_text", it.reported_text);
  archive.unless_empty("unit", it.unit);
  archive.unless_empty("reported_on", it.reported_on);
  archive.unless_empty("source", it.source);
  archive.unless_empty("tolerance", it.tolerance);
  archive.unless_empty("measured", it.measured);
  archive.unless_empty("measured_text", it.measured_text);
  archive.unless_empty("measured_on", it.measured_on);
  archive.always("verdict", it.verdict);
  archive.unless_empty("why", it.why);
  archive.unless_empty("modelled", it.modelled);
  archive.unless_empty("is_time", it.is_time);
}

void describe(auto& archive, Like<Build> auto& it) {
  archive.always("version", it.version);
  archive.unless_empty("git_commit", it.git_commit);
  archive.unless_empty("git_dirty", it.git_dirty);
  archive.unless_empty("compiler", it.compiler);
  archive.unless_empty("flags", it.flags);
  archive.unless_empty("cuda_toolkit", it.cuda_toolkit);
  archive.unless_empty("simd", it.simd);
}

void describe(auto& archive, Like<System> auto& it) {
  archive.unless_empty("host", it.host);
  archive.unless_empty("os", it.os);
  archive.unless_empty("cpu", it.cpu);
  archive.always("cores", it.cores);
  archive.unless_empty("governor", it.governor);
  archive.always("memory_bytes", it.memory_bytes);
  archive.unless_empty("gpu", it.gpu);
  archive.unless_empty("gpu_driver", it.gpu_driver);
  archive.unless_empty("more", it.more);
  archive.always("id", it.id);
}

void describe(auto& archive, Like<Record> auto& it) {
  archive.always("version", it.version);
  archive.always("run_id", it.run_id);
  archive.always("started", it.started);
  archive.unless_empty("command", it.command);
  archive.always("state", it.state);
  archive.unless_empty("error", it.error);
  archive.always("experiment", it.experiment);
  archive.always("theme", it.theme);
  archive.always("title", it.title);
  archive.unless_empty("authors", it.authors);
  archive.unless_empty("venue", it.venue);
  archive.unless_empty("arxiv", it.arxiv);
  archive.unless_empty("summary", it.summary);
  archive.always("size", it.size);
  archive.always("build", it.build);
  archive.always("system", it.system);
  archive.unless_empty("ceilings", it.ceilings);
  archive.unless_empty("kernels", it.kernels);
  archive.unless_empty("cases", it.cases);
  archive.unless_empty("claims", it.claims);
  archive.unless_empty("notes", it.notes);
  archive.always("elapsed_seconds", it.elapsed_seconds);
}

}  // namespace remeasure::reports
