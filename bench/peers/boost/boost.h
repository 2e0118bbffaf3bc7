/* What the two peers of Boost.Interprocess share. */
#ifndef BENCH_PEER_BOOST_H
#define BENCH_PEER_BOOST_H

#include "../../measure.h"

#include <algorithm>
#include <string>

/* Boost names memory for the whole machine. The directory of the measurement makes it unique. */
static std::string name_of(const char *name) {
    std::string place = getenv("DATABLOCK_DIR");
    std::replace(place.begin(), place.end(), '/', '.');
    return "datablock-bench" + place + "." + name;
}

/* Tries until the other side has made what this side opens. */
template <typename Attempt> static void until_made(Attempt attempt) {
    for (int tries = 0;; tries++) {
        try {
            attempt();
            return;
        } catch (const boost::interprocess::interprocess_exception &error) {
            if (tries == 10000) {
                die("%s", error.what());
            }
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
}

#endif
