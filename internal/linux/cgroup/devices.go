package cgroup

import (
	"fmt"
	"os"
	goruntime "runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a device node's type and number.
type Device struct {
	Block        bool
	Major, Minor uint32
}

// AllowDevices has the kernel refuse the group's processes every device but the given ones and those
// that all containers have: null, zero, full, random, urandom, tty, ptmx, and terminals. The rule
// lasts as long as the group. It needs CAP_BPF and CAP_NET_ADMIN, or root.
//
// A container needs it only if it may change mounts: for others, mounts without devices are enough.
func AllowDevices(dir *os.File, more []Device) error {
	prog := deviceProgram(more)
	license := []byte("GPL\x00")
	load := struct {
		progType, insnCount      uint32
		insns, license           uint64
		logLevel, logSize        uint32
		logBuf                   uint64
		kernVersion, progFlags   uint32
		name                     [16]byte
		ifindex, expectedAttachT uint32
	}{
		progType: unix.BPF_PROG_TYPE_CGROUP_DEVICE, insnCount: uint32(len(prog)),
		insns: uint64(uintptr(unsafe.Pointer(&prog[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
		expectedAttachT: unix.BPF_CGROUP_DEVICE,
	}
	fd, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&load), unsafe.Sizeof(load))
	goruntime.KeepAlive(prog)
	goruntime.KeepAlive(license)
	if err != nil {
		return fmt.Errorf("load the device rule: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // the group holds it
	attach := struct{ target, prog, typ, flags uint32 }{uint32(dir.Fd()), uint32(fd), unix.BPF_CGROUP_DEVICE, unix.BPF_F_ALLOW_MULTI}
	if _, err := bpf(unix.BPF_PROG_ATTACH, unsafe.Pointer(&attach), unsafe.Sizeof(attach)); err != nil {
		return fmt.Errorf("attach the device rule: %w", err)
	}
	return nil
}

// bpf makes the call, again where a signal interrupted the kernel's verifier: that is EAGAIN, not EINTR.
func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EAGAIN:
		default:
			return -1, errno
		}
	}
}

// instruction is the kernel's struct bpf_insn; the registers are nibbles, the destination's the lower.
type instruction struct {
	op, regs byte
	off      int16
	imm      int32
}

const (
	ctx, typ, major, minor = 1, 2, 3, 4 // registers

	charType, blockType = 2, 1
	anyMinor            = ^uint32(0)

	load32 = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	and32  = 0x04 | unix.BPF_AND | unix.BPF_K // BPF_ALU
	notEq  = unix.BPF_JMP | 0x50 | unix.BPF_K // BPF_JNE
	move   = 0x07 | 0xb0 | unix.BPF_K         // BPF_ALU64, BPF_MOV
	exit   = unix.BPF_JMP | 0x90              // BPF_EXIT
)

// deviceProgram returns 1 for the allowed devices and 0 for all others. Its argument is struct
// bpf_cgroup_dev_ctx: access and type, major, minor.
func deviceProgram(more []Device) []instruction {
	prog := []instruction{
		{op: load32, regs: ctx<<4 | typ},
		{op: and32, regs: typ, imm: 0xffff},
		{op: load32, regs: ctx<<4 | major, off: 4},
		{op: load32, regs: ctx<<4 | minor, off: 8},
	}
	for _, d := range append([]Device{
		{Major: 1, Minor: 3},
		{Major: 1, Minor: 5},
		{Major: 1, Minor: 7},
		{Major: 1, Minor: 8},
		{Major: 1, Minor: 9},
		{Major: 5, Minor: 0},
		{Major: 5, Minor: 2},
		{Major: 136, Minor: anyMinor},
	}, more...) {
		prog = append(prog, d.rule()...)
	}
	return append(prog, instruction{op: move}, instruction{op: exit})
}

// rule returns 1 for the device and goes on otherwise.
func (d Device) rule() []instruction {
	kind := int32(charType)
	if d.Block {
		kind = blockType
	}
	tests := []instruction{
		{op: notEq, regs: typ, imm: kind},
		{op: notEq, regs: major, imm: int32(d.Major)},
		{op: notEq, regs: minor, imm: int32(d.Minor)},
	}
	if d.Minor == anyMinor {
		tests = tests[:2]
	}
	for i := range tests {
		tests[i].off = int16(len(tests) - i + 1) // to behind the rule
	}
	return append(tests, instruction{op: move, imm: 1}, instruction{op: exit})
}
