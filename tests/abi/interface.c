/* For interface.py: the compiler describes every type and constant of the C headers. */
#include "datablock_inline.h"

int datablock_types(void);
int datablock_types(void) { return 0; }
