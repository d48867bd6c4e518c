# SPDX-License-Identifier: Apache-2.0
# Reads x86-64 assembly of g++ and adds instructions that count floating-point operations as they are executed.
#
# A straight run of instructions (no label, jump or call in it) is executed as a whole, so its operations are added up
# here and counted by one group of instructions at its end. The group changes neither flags nor stack nor any register:
# it saves the one that it uses in thread-local memory. Counted per lane:
#   add, sub, mul, div, sqrt = 1; fused multiply-add = 2; conversion, comparison, min, max, sign, move = 0;
#   a call of a function of the mathematical library = 1 special, but sqrt and fma as the instructions.

BEGIN {
  split("acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp10 exp2 expm1 hypot lgamma lgamma_r log log10 " \
        "log1p log2 pow sin sincos sinh tan tanh tgamma", names, " ")
  for (i in names) special[names[i]] = special[names[i] "f"] = special["__" names[i] "_finite"] = 1
  special["lgammaf_r"] = special["_Z13cyl_bessel_i0d"] = special["_Z13cyl_bessel_i1d"] = 1
  as_instruction["sqrt"] = as_instruction["sqrtf"] = 1
  as_instruction["fma"] = as_instruction["fmaf"] = 2
  flops = specials = 0
}

function add(counter, amount) {
  print "\tmovq\t%fs:" counter "@tpoff, %rax\n\tleaq\t" amount "(%rax), %rax\n\tmovq\t%rax, %fs:" counter "@tpoff"
}

function end_of_run() {
  if (flops == 0 && specials == 0) return
  print "\tmovq\t%rax, %fs:remeasure_saved_register@tpoff"
  if (flops > 0) add("remeasure_flops", flops)
  if (specials > 0) add("remeasure_special_functions", specials)
  print "\tmovq\t%fs:remeasure_saved_register@tpoff, %rax"
  flops = specials = 0
}

function lanes(operation) {
  if (operation ~ /s[sd]$/) return 1
  return ($0 ~ /%zmm/ ? 16 : $0 ~ /%ymm/ ? 8 : 4) / (operation ~ /d$/ ? 2 : 1)
}

# A jump to a function is a call in tail position.
function called(target) {
  sub(/^\*/, "", target)
  sub(/[@(].*/, "", target)
  if (target in as_instruction) flops += as_instruction[target]
  else if (target in special) specials++
}

/^\t[a-z]/ {
  if ($1 ~ /^v?(add|sub|mul|div|sqrt)[sp][sd]$/) flops += lanes($1)
  else if ($1 ~ /^vfn?m(add|sub)(132|213|231)[sp][sd]$/) flops += 2 * lanes($1)
  else if ($1 ~ /^(j|call|ret|rep|notrack|bnd|ud2|xbegin|xend)/) {
    if ($1 ~ /^(jmp|call)/) called($2)
    end_of_run()
  }
  print
  next
}

# Labels, and text of asm statements, which may hold any of these.
/^[^\t ]/ { end_of_run() }
{ print }
