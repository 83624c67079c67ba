/** What the vCPU's thread offers: HOST_IMPORTS of src/layout/core-abi.ts. */

@external("host", "mmioRead")
export declare function mmioRead(cpu: usize, gpa: u32, size: i32): void;
@external("host", "mmioWrite")
export declare function mmioWrite(cpu: usize, gpa: u32, size: i32): void;
@external("host", "portRead")
export declare function portRead(cpu: usize, port: i32, size: i32): u32;
@external("host", "portWrite")
export declare function portWrite(cpu: usize, port: i32, size: i32, value: u32): void;
@external("host", "cpuid")
export declare function hostCpuid(cpu: usize): void;
@external("host", "readMsr")
export declare function readMsr(cpu: usize): i32;
@external("host", "writeMsr")
export declare function writeMsr(cpu: usize): i32;
@external("host", "tsc")
export declare function hostTsc(cpu: usize): f64;
@external("host", "random")
export declare function hostRandom(cpu: usize): void;
@external("host", "taskPriority")
export declare function taskPriority(cpu: usize): i32;
@external("host", "setTaskPriority")
export declare function setTaskPriority(cpu: usize, value: i32): void;
