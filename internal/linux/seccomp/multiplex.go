package seccomp

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// multiplexed are the calls that 32-bit x86 programs can also make through another: socketcall(2) and
// ipc(2), whose first argument says which.
var multiplexed = [...]struct {
	name, through string
	first         uint64
}{
	{"accept", "socketcall", 5},
	{"accept4", "socketcall", 18},
	{"bind", "socketcall", 2},
	{"connect", "socketcall", 3},
	{"getpeername", "socketcall", 7},
	{"getsockname", "socketcall", 6},
	{"getsockopt", "socketcall", 15},
	{"listen", "socketcall", 4},
	{"msgctl", "ipc", 14},
	{"msgget", "ipc", 13},
	{"msgrcv", "ipc", 12},
	{"msgsnd", "ipc", 11},
	{"recv", "socketcall", 10},
	{"recvfrom", "socketcall", 12},
	{"recvmmsg", "socketcall", 19},
	{"recvmsg", "socketcall", 17},
	{"semctl", "ipc", 3},
	{"semget", "ipc", 2},
	{"semop", "ipc", 1},
	{"semtimedop", "ipc", 4},
	{"send", "socketcall", 9},
	{"sendmmsg", "socketcall", 20},
	{"sendmsg", "socketcall", 16},
	{"sendto", "socketcall", 11},
	{"setsockopt", "socketcall", 14},
	{"shmat", "ipc", 21},
	{"shmctl", "ipc", 24},
	{"shmdt", "ipc", 22},
	{"shmget", "ipc", 23},
	{"shutdown", "socketcall", 13},
	{"socket", "socketcall", 1},
	{"socketpair", "socketcall", 8},
}

// ipcCall is the part of ipc's first argument that is not the call.
const ipcCall = 0xffff

// addMultiplexed has a rule for a call hold for the same call made through another. The arguments are
// in memory then, where no filter sees them: a rule with conditions holds whatever they are if it
// refuses, and never if it allows, so that it does not come here.
func (d *decisions) addMultiplexed(name string, ret, fallback uint32) {
	for _, m := range multiplexed {
		if m.name != name {
			continue
		}
		c := specs.LinuxSeccompArg{Index: 0, Op: specs.OpEqualTo, Value: m.first}
		if m.through == "ipc" {
			c = specs.LinuxSeccompArg{Index: 0, Op: specs.OpMaskedEqual, Value: ipcCall, ValueTwo: m.first}
		}
		if n, ok := d.abi.number(m.through); ok {
			d.call(n, fallback).add([][]specs.LinuxSeccompArg{{c}}, ret)
		}
	}
}
