/** Why the core returned to the run loop: `VCPU.exitReason`. */

/** The budget is used up, or something wants attention. rip is current. */
export const EXIT_BUDGET = 0;
/** No decoded block for rip (its page is executable RAM). exitArg0: host address of the code. */
export const EXIT_DECODE = 1;
/** HLT was executed. rip is the next instruction. */
export const EXIT_HLT = 2;
/** Triple fault. */
export const EXIT_SHUTDOWN = 3;
/** The guest runs code outside RAM. exitArg0: gpa. */
export const EXIT_FETCH_MMIO = 4;
/** A block has been entered often (`VCPU.heatMask`): translate it? exitArg0: the block. rip is its address. */
export const EXIT_HOT = 5;
/** The translated code for rip does not lie in what the running CS covers: the interpreter has to execute it. rip is current. */
export const EXIT_CUT = 6;

export const EXIT_NAMES = ['budget', 'decode', 'hlt', 'shutdown', 'fetch-mmio', 'hot', 'cut'] as const;

/** What a core function that ends an instruction returns. */
/** Go on with the next instruction. */
export const STATUS_NEXT = 0;
/** `VCPU.exception` is set; deliver it with the RIP of this instruction. */
export const STATUS_FAULT = 1;
/** rip (and perhaps the mode) changed: leave the block. */
export const STATUS_BRANCH = 2;
/** Execute this instruction again after looking at `attention` (REP in progress). */
export const STATUS_REPEAT = 3;
/** Return to the run loop with `exitReason`; `rip` is current. */
export const STATUS_EXIT = 4;
/** As STATUS_FAULT, but `rip` was set by the function (a task switch that got past its commit point). */
export const STATUS_FAULT_AT_RIP = 5;
