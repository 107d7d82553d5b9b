#include "textflag.h"

// The code of the joiner program. It is copied into an executable of its own and never called from
// Go: at its entry 0(SP) is argc, 8(SP) the first of argv, and envp follows argv's null.
//
//	order := argv[0]
//	if order[0] == 0xff { read(0, …, 1); exit_group(0) }
//	if setns(order[0], CLONE_NEWUSER) == 0 && close(order[0]) == 0 && unshare(CLONE_NEWNS) == 0 {
//		execve(argv[1], &argv[2], envp)
//	}
//	write(2, &order[2], order[1]); exit_group(125)
TEXT joiner<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ 8(SP), BX
	MOVBLZX 0(BX), DI
	CMPL DI, $255
	JEQ wait
	MOVL $0x10000000, SI
	MOVL $308, AX // setns
	SYSCALL
	TESTL AX, AX
	JNE fail
	MOVBLZX 0(BX), DI
	MOVL $3, AX // close
	SYSCALL
	TESTL AX, AX
	JNE fail
	MOVL $0x20000, DI
	MOVL $272, AX // unshare
	SYSCALL
	TESTL AX, AX
	JNE fail
	MOVQ 0(SP), CX
	MOVQ 16(SP), DI
	LEAQ 24(SP), SI
	LEAQ 16(SP)(CX*8), DX
	MOVL $59, AX // execve
	SYSCALL
fail:
	MOVL $2, DI
	LEAQ 2(BX), SI
	MOVBLZX 1(BX), DX
	MOVL $1, AX // write
	SYSCALL
	MOVL $125, DI
	JMP exit
wait:
	XORL DI, DI
	LEAQ -64(SP), SI
	MOVL $1, DX
	XORL AX, AX // read
	SYSCALL
	XORL DI, DI
exit:
	MOVL $231, AX // exit_group
	SYSCALL
	INT $3

// func joinerCode() *[joinerSize]byte
TEXT ·joinerCode(SB), NOSPLIT, $0-8
	LEAQ joiner<>(SB), AX
	MOVQ AX, ret+0(FP)
	RET
