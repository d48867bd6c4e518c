// SPDX-License-Identifier: Apache-2.0
//
// Which errors of the CUDA runtime end a process's use of the device: those whose description in
// driver_types.h says that all further CUDA work of the process returns the same error. A GPU that fell off
// its bus shows up as unknown or unavailable first, and as absent in the next process.
#pragma once

#include <driver_types.h>

#include "kernels/device/device_error.h"

namespace remeasure {

constexpr ErrorReach reach_of(cudaError_t error) {
  switch (error) {
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorDeviceNotLicensed:
      return ErrorReach::device;

    case cudaErrorDevicesUnavailable:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorContextIsDestroyed:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return ErrorReach::process;

    default:
      return ErrorReach::call;
  }
}

}  // namespace remeasure
