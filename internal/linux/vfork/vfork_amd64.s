#include "textflag.h"

// func prlimit(resource uintptr, old *Limit) (errno uintptr)
TEXT ·prlimit(SB), NOSPLIT, $0-24
	MOVQ	$0, DI
	MOVQ	resource+0(FP), SI
	MOVQ	$0, DX
	MOVQ	old+8(FP), R10
	MOVQ	$302, AX // prlimit64
	SYSCALL
	NEGQ	AX
	MOVQ	AX, errno+16(FP)
	RET

// func Clone3(args unsafe.Pointer, size uintptr) (pid, errno uintptr)
//
// The child's calls overwrite the return address on the stack they share, so that it is kept in a
// register, which each has of its own.
TEXT ·Clone3(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ	args+0(FP), DI
	MOVQ	size+8(FP), SI
	MOVQ	$435, AX // clone3
	POPQ	R12
	SYSCALL
	PUSHQ	R12
	CMPQ	AX, $0xfffffffffffff001
	JHI	failed
	MOVQ	AX, pid+16(FP)
	MOVQ	$0, errno+24(FP)
	RET
failed:
	NEGQ	AX
	MOVQ	$-1, pid+16(FP)
	MOVQ	AX, errno+24(FP)
	RET
