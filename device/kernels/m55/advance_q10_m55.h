/* advance_q10_m55: all of advance_q10.h on Helium, in advance_q10_m55.c. Private to the runtime. */
#ifndef MOTEYE_ADVANCE_Q10_M55_H
#define MOTEYE_ADVANCE_Q10_M55_H

#include "target_m55.h"

#endif
