#include "textflag.h"

// func prlimit(resource uintptr, old *Limit) (errno uintptr)
TEXT ·prlimit(SB), NOSPLIT, $0-24
	MOVD	$0, R0
	MOVD	resource+0(FP), R1
	MOVD	$0, R2
	MOVD	old+8(FP), R3
	MOVD	$261, R8 // prlimit64
	SVC
	NEG	R0, R0
	MOVD	R0, errno+16(FP)
	RET

// func Clone3(args unsafe.Pointer, size uintptr) (pid, errno uintptr)
//
// The return address is in the link register, which parent and child each have of their own.
TEXT ·Clone3(SB), NOSPLIT, $0-32
	MOVD	args+0(FP), R0
	MOVD	size+8(FP), R1
	MOVD	$435, R8 // clone3
	SVC
	CMN	$4095, R0
	BCS	failed
	MOVD	R0, pid+16(FP)
	MOVD	ZR, errno+24(FP)
	RET
failed:
	NEG	R0, R0
	MOVD	$-1, R4
	MOVD	R4, pid+16(FP)
	MOVD	R0, errno+24(FP)
	RET
