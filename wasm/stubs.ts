export function deliverException(cpu: i32): i32 {
  return unreachable();
}
export function softwareInterrupt(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function iret(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function returnFar(cpu: i32, p0: i32, p1: i32): i32 {
  return unreachable();
}
export function jumpFar(cpu: i32, p0: i32, p1: i64, p2: i32): i32 {
  return unreachable();
}
export function callFar(cpu: i32, p0: i32, p1: i64, p2: i32): i32 {
  return unreachable();
}
export function syscall(cpu: i32): i32 {
  return unreachable();
}
export function sysret(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function sysenter(cpu: i32): i32 {
  return unreachable();
}
export function sysexit(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function writeControl(cpu: i32, p0: i32, p1: i64): i32 {
  return unreachable();
}
export function readControl(cpu: i32, p0: i32): i64 {
  return unreachable();
}
export function writeDebug(cpu: i32, p0: i32, p1: i64): i32 {
  return unreachable();
}
export function readDebug(cpu: i32, p0: i32): i64 {
  return unreachable();
}
export function writeFlags(cpu: i32, p0: i64, p1: i32): i32 {
  return unreachable();
}
export function readFlags(cpu: i32, p0: i32): i64 {
  return unreachable();
}
export function cli(cpu: i32): i32 {
  return unreachable();
}
export function sti(cpu: i32): i32 {
  return unreachable();
}
export function writeAc(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function invlpg(cpu: i32, p0: i64): i32 {
  return unreachable();
}
export function invpcid(cpu: i32, p0: i64, p1: i64, p2: i64): i32 {
  return unreachable();
}
export function checkCpl0(cpu: i32): i32 {
  return unreachable();
}
export function hlt(cpu: i32): i32 {
  return unreachable();
}
export function pause(cpu: i32): i32 {
  return unreachable();
}
export function swapgs(cpu: i32): i32 {
  return unreachable();
}
export function cpuid(cpu: i32): i32 {
  return unreachable();
}
export function rdmsr(cpu: i32): i32 {
  return unreachable();
}
export function wrmsr(cpu: i32): i32 {
  return unreachable();
}
export function rdtsc(cpu: i32): i32 {
  return unreachable();
}
export function rdtscp(cpu: i32): i32 {
  return unreachable();
}
export function rdpmc(cpu: i32): i32 {
  return unreachable();
}
export function xgetbv(cpu: i32): i32 {
  return unreachable();
}
export function xsetbv(cpu: i32): i32 {
  return unreachable();
}
export function checkFpu(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function portIn(cpu: i32, p0: i32, p1: i32): i64 {
  return unreachable();
}
export function portOut(cpu: i32, p0: i32, p1: i32, p2: i64): i32 {
  return unreachable();
}
export function movs(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function cmps(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function stos(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function lods(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function scas(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function ins(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function outs(cpu: i32, p0: i32, p1: i32, p2: i32, p3: i32): i32 {
  return unreachable();
}
export function enter(cpu: i32, p0: i32, p1: i32, p2: i32): i32 {
  return unreachable();
}
export function interruptVector(cpu: i32, p0: i32): i32 {
  return unreachable();
}
export function nonMaskableInterrupt(cpu: i32): i32 {
  return unreachable();
}
