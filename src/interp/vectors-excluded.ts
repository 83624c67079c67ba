/**
 * Forms of the table that user code on the recording machine cannot show, and why. Keys are descriptions
 * (`Row.semantics`); their privileged behaviour is the business of the guest test kernels.
 */
export const NOT_RECORDED: Readonly<Record<string, string>> = {
  syscall: 'enters the kernel of the recording machine',
  sysenter: 'enters the kernel of the recording machine',
  sysexit: 'the hypervisor of the recording machine emulates it',
  cpuid: 'answers for the recording machine',
  rdtsc: 'not deterministic',
  rdtscp: 'not deterministic',
  rdpmc: 'depends on CR4.PCE and the counters of the recording machine',
  rdrand: 'not deterministic',
  rdseed: 'not deterministic',
  rdpid: 'depends on the CPU that the recorder runs on',
  xgetbv: 'answers for the recording machine (XCR0)',
  xsave: 'layout and size depend on XCR0 of the recording machine',
  xrstor: 'layout and size depend on XCR0 of the recording machine',
  sldt: 'CR4.UMIP and the kernel decide the answer',
  str: 'CR4.UMIP and the kernel decide the answer',
  sgdt: 'CR4.UMIP and the kernel decide the answer',
  sidt: 'CR4.UMIP and the kernel decide the answer',
  smsw: 'CR4.UMIP and the kernel decide the answer',
  int1: 'its #DB cannot be told from the end of the single step',
  hlt: 'privileged',
};
