/* Real mode with the limits that QEMU does not check. */
#define WITH_LIMITS
#include "real.c"
