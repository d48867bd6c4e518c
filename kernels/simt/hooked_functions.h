// SPDX-License-Identifier: Apache-2.0
//
// Included by the compiler before every source that is compiled with -fsanitize=thread. Neither compiler puts
// a hook before memcpy and its like, which the sanitizer's library intercepts; before version 16 clang calls
// them also for an assignment of 16 bytes or a row of zeros. The assembler turns these calls into calls of
// the hooks (access_hooks.cpp), as glibc's include/symbol-hacks.h does for its own.
#pragma once

__asm__(
    "memcpy = __tsan_memcpy\n"
    "memmove = __tsan_memmove\n"
    "memset = __tsan_memset\n");
