/* Reads the state of this machine out of /proc. */
#ifndef DEMO_MACHINE_H
#define DEMO_MACHINE_H

#include "sample.h"

/* Opens the files, which stay open: opening them a thousand times a second would cost more than
 * reading them. 0, or -1 after a message on stderr. */
int machine_open(void);

/* Fills every field but id and crc. 0, or -1 after a message on stderr. */
int machine_sample(struct sample *sample);

#endif
