/* Reads the state of this machine from /proc. */
#ifndef DEMO_MACHINE_H
#define DEMO_MACHINE_H

#include "sample.h"

/* Opens the files. They stay open, because opening them a thousand times a second would cost
 * more than reading them. Returns 0, or -1 after a message on stderr. */
int machine_open(void);

/* Fills every field but id and crc. Returns 0, or -1 after a message on stderr. */
int machine_sample(struct sample *sample);

#endif
