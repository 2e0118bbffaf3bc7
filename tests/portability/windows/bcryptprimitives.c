/*
 * bcryptprimitives.dll for the Wine prefix of the tests. Programs of Go need the function
 * ProcessPrng, and Wine 8 does not have this library. Real Windows has it since Windows 7.
 */

#include <stddef.h>
#include <windows.h>

/* RtlGenRandom, by the name that advapi32.dll exports. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length);

BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
    const SIZE_T most = 1u << 30;
    while (length > 0) {
        const ULONG part = (ULONG)(length < most ? length : most);
        if (!SystemFunction036(data, part)) {
            return FALSE;
        }
        data += part;
        length -= part;
    }
    return TRUE;
}
