// SPDX-License-Identifier: Apache-2.0
//
// A library with NVML's names and made-up answers, for nvml_test.cpp: one device at "0000:65:00.0", limited
// by its power cap while it runs at locked clocks. The older name for the reasons alone, as in drivers before
// 535.
#include <cstring>

extern "C" {

namespace {
int device = 0;
constexpr int kNotFound = 6;
}  // namespace

int nvmlInit_v2() {
  return 0;
}
int nvmlShutdown() {
  return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** handle) {
  *handle = &device;
  return std::strcmp(id, "0000:65:00.0") == 0 ? 0 : kNotFound;
}
int nvmlDeviceGetClockInfo(void*, int type, unsigned* mhz) {
  *mhz = type == 1 ? 1755 : type == 2 ? 3201 : 0;
  return 0;
}
int nvmlDeviceGetTemperature(void*, int, unsigned* celsius) {
  *celsius = 61;
  return 0;
}
int nvmlDeviceGetPowerUsage(void*, unsigned* milliwatts) {
  *milliwatts = 698500;
  return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* reasons) {
  *reasons = 0x2 | 0x4;
  return 0;
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  std::strncpy(text, "580.65.06", size);
  return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void*, unsigned* milliwatts) {
  *milliwatts = 700000;
  return 0;
}
int nvmlDeviceGetEccMode(void*, int* current, int* pending) {
  *current = 1;
  *pending = 0;
  return 0;
}
int nvmlDeviceGetPersistenceMode(void*, int*) {
  return 3;
}  // not supported
int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, void*) {
  *count = 2;
  return 7;  // no room for them
}
}
