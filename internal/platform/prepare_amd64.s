#include "textflag.h"

// func PrepareWrite(line *byte)
TEXT ·PrepareWrite(SB), NOSPLIT, $0-8
	MOVQ line+0(FP), AX
	BYTE $0x0F; BYTE $0x0D; BYTE $0x08              // PREFETCHW (AX)
	BYTE $0x0F; BYTE $0x0D; BYTE $0x48; BYTE $0x40  // PREFETCHW 64(AX)
	RET
