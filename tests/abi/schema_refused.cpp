// What datablock_schema.hpp refuses, one case for each number, with the text of the one error.
#include "datablock.hpp"

struct P {
    float x, y;
};

#if !defined(CASE)
struct Forty {
    char a1, a2;
    wchar_t w;
    P p[2];
};
DATABLOCK_DESCRIBE(P, "P", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(Forty, "Forty", 1, 2, 3, a1, a2, w, p)
static_assert(datablock::Described<Forty>::version[2] == 3, "the patch");
#elif CASE == 1 // says: DATABLOCK_DESCRIBE takes 1 to 40 members
DATABLOCK_DESCRIBE(P, "P", 1, 0, 0)
#elif CASE == 2 // says: DATABLOCK_DESCRIBE takes 1 to 40 members
#define TEN x, x, x, x, x, x, x, x, x, x
#define DESCRIBED(...) DATABLOCK_DESCRIBE(P, "P", 1, 0, 0, __VA_ARGS__)
DESCRIBED(TEN, TEN, TEN, TEN, x)
#elif CASE == 3 // says: an integer of more than 8 bytes (__int128)
__extension__ typedef __int128 wide;
struct Q {
    wide a;
};
DATABLOCK_DESCRIBE(Q, "Q", 1, 0, 0, a)
#elif CASE == 4 // says: an integer of more than 8 bytes (__int128)
__extension__ typedef unsigned __int128 wide;
struct Q {
    wide a[2];
};
DATABLOCK_DESCRIBE(Q, "Q", 1, 0, 0, a)
#elif CASE == 5 // says: a float of another size (long double
struct Q {
    long double a;
};
DATABLOCK_DESCRIBE(Q, "Q", 1, 0, 0, a)
#elif CASE == 6 // says: a member is neither number, enum, array nor a struct
struct Q {
    int *a;
};
DATABLOCK_DESCRIBE(Q, "Q", 1, 0, 0, a)
#elif CASE == 7 // says: a member is neither number, enum, array nor a struct
struct Q {
    P a;
};
DATABLOCK_DESCRIBE(Q, "Q", 1, 0, 0, a)
#endif

int main() {}
