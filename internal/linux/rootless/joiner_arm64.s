#include "textflag.h"

// The code of the joiner program; see joiner_amd64.s. At its entry 0(RSP) is argc, 8(RSP) the first
// of argv.
TEXT joiner<>(SB), NOSPLIT|NOFRAME, $0-0
	MOVD 8(RSP), R19
	MOVBU 0(R19), R0
	CMP $255, R0
	BEQ wait
	MOVD $0x10000000, R1
	MOVD $268, R8 // setns
	SVC
	CBNZ R0, fail
	MOVBU 0(R19), R0
	MOVD $57, R8 // close
	SVC
	CBNZ R0, fail
	MOVD $0x20000, R0
	MOVD $97, R8 // unshare
	SVC
	CBNZ R0, fail
	MOVD 0(RSP), R3
	MOVD 16(RSP), R0
	MOVD RSP, R4
	ADD $24, R4, R1
	ADD R3<<3, R4, R2
	ADD $16, R2, R2
	MOVD $221, R8 // execve
	SVC
fail:
	MOVD $2, R0
	ADD $2, R19, R1
	MOVBU 1(R19), R2
	MOVD $64, R8 // write
	SVC
	MOVD $125, R0
	B exit
wait:
	MOVD $0, R0
	MOVD RSP, R4
	SUB $64, R4, R1
	MOVD $1, R2
	MOVD $63, R8 // read
	SVC
	MOVD $0, R0
exit:
	MOVD $94, R8 // exit_group
	SVC
	BRK

// func joinerCode() *[joinerSize]byte
TEXT ·joinerCode(SB), NOSPLIT, $0-8
	MOVD $joiner<>(SB), R0
	MOVD R0, ret+0(FP)
	RET
