#include "textflag.h"

// func OwnForWrite(line *uint64, lines int)
TEXT ·OwnForWrite(SB), NOSPLIT, $0-16
	MOVQ line+0(FP), AX
	MOVQ lines+8(FP), CX
next:
	BYTE $0x0F; BYTE $0x0D; BYTE $0x08              // PREFETCHW (AX)
	MOVQ (AX), DX
	MOVQ DX, (AX)
	ADDQ $64, AX
	DECQ CX
	JNZ  next
	RET

// func PrefetchForRead(line *uint64)
TEXT ·PrefetchForRead(SB), NOSPLIT, $0-8
	MOVQ line+0(FP), AX
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	RET

// func handOn(line *uint64)
TEXT ·handOn(SB), NOSPLIT, $0-8
	MOVQ line+0(FP), AX
	BYTE $0x0F; BYTE $0x1C; BYTE $0x00              // CLDEMOTE (AX)
	BYTE $0x0F; BYTE $0x1C; BYTE $0x40; BYTE $0x40  // CLDEMOTE 64(AX)
	RET

// func pause(moments uint32)
TEXT ·pause(SB), NOSPLIT, $0-4
	MOVL moments+0(FP), CX
	TESTL CX, CX
	JZ   done
again:
	PAUSE
	DECL CX
	JNZ  again
done:
	RET
