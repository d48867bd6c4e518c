#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# keep_ptxas.sh [ccache] nvcc ... -o OBJECT ...: compiles, and keeps what `ptxas -v` said of the kernels in
# OBJECT.ptxas. Everything else the compiler says (warnings, spills) passes through. It stands before ccache, which
# replays the compiler's words when it has the object already.
object=''
previous=''
for word in "$@"; do
  [ "$previous" = -o ] && object=$word
  previous=$word
done
case $object in *.o | *.obj) ;; *) exec "$@" ;; esac

said=$object.ptxas.partial
"$@" 2>"$said"
status=$?
# A figure's line has a kernel, a frame or registers in it; any other "info" is for people.
figures='^ptxas info +: (Compiling entry function|Function properties for|Used [0-9]+ registers|[0-9]+ bytes gmem)|^ +[0-9]+ bytes stack frame|^ptxas info +: Compile time'
grep -vE "$figures" "$said" >&2
if [ "$status" -eq 0 ]; then
  grep -E "$figures" "$said" >"$object.ptxas"
fi
rm -f "$said"
exit "$status"
