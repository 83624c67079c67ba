/* One page of code in eight modes, and what the limits of segments do to its hot loops, which QEMU does not check. */
#define WITH_LIMITS
#include "modes.c"
