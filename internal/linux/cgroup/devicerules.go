package cgroup

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// What the kernel calls accesses and types of devices (BPF_DEVCG_ACC_*, BPF_DEVCG_DEV_*; the types as a set).
const (
	accessMknod, accessRead, accessWrite = 1, 2, 4
	accessAll                            = accessMknod | accessRead | accessWrite

	isBlock, isChar = 1, 2
	isAny           = isBlock | isChar

	any32    = -1
	anyMinor = ^uint32(0)
)

// deviceRule is a rule of linux.resources.devices. Of those that match a device, for each kind of access, the last counts;
// where none does, the device is refused.
type deviceRule struct {
	allow        bool
	kinds        int   // isBlock, isChar or isAny
	major, minor int64 // any32: all
	access       int
}

// parseDevices reads the specification's rules (config-linux.md, "Allowed Device list").
func parseDevices(list []specs.LinuxDeviceCgroup) ([]deviceRule, error) {
	rules := make([]deviceRule, len(list))
	for i, d := range list {
		field := "devices[" + strconv.Itoa(i) + "]."
		r := deviceRule{allow: d.Allow, major: any32, minor: any32}
		var ok bool
		if r.kinds, ok = deviceKinds(d.Type); !ok {
			return nil, refuse(field+"type", "%q is not one of a, b, c", d.Type)
		}
		if r.access, ok = deviceAccess(d.Access); !ok {
			return nil, refuse(field+"access", "%q is not made of r, w and m", d.Access)
		}
		if !deviceNumber(d.Major, &r.major) {
			return nil, refuse(field+"major", "%d is not the number of a device", *d.Major)
		}
		if !deviceNumber(d.Minor, &r.minor) {
			return nil, refuse(field+"minor", "%d is not the number of a device", *d.Minor)
		}
		rules[i] = r
	}
	return rules, nil
}

// deviceNumber reads a number into to; nil and -1 leave it as it is.
func deviceNumber(n, to *int64) bool {
	if n == nil || *n == any32 {
		return true
	}
	*to = *n
	return *n >= 0 && *n < math.MaxUint32
}

func deviceKinds(typ string) (int, bool) {
	switch typ {
	case "", "a":
		return isAny, true
	case "b":
		return isBlock, true
	case "c":
		return isChar, true
	}
	return 0, false
}

// deviceAccess reads letters; none are all.
func deviceAccess(letters string) (int, bool) {
	access := 0
	for _, l := range letters {
		switch l {
		case 'r':
			access |= accessRead
		case 'w':
			access |= accessWrite
		case 'm':
			access |= accessMknod
		default:
			return 0, false
		}
	}
	if access == 0 {
		access = accessAll
	}
	return access, true
}

// instruction is the kernel's struct bpf_insn; the registers are nibbles, the destination's the lower.
type instruction struct {
	op, regs byte
	off      int16
	imm      int32
}

const (
	result, ctx, typ, major, minor, left, scratch = 0, 1, 2, 3, 4, 5, 6 // registers

	load32  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	and32   = 0x04 | unix.BPF_AND | unix.BPF_K // BPF_ALU
	shift32 = 0x04 | unix.BPF_RSH | unix.BPF_K // BPF_ALU
	copy64  = 0x07 | 0xb0 | unix.BPF_X         // BPF_ALU64, BPF_MOV
	move    = 0x07 | 0xb0 | unix.BPF_K         // BPF_ALU64, BPF_MOV
	equal   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	notEq   = 0x06 | 0x50 | unix.BPF_K // BPF_JMP32, BPF_JNE: numbers above 2^31 are no negative ones
	exit    = unix.BPF_JMP | 0x90      // BPF_EXIT
)

// deviceProgram returns 1 for what the rules allow and 0 for all else. Its argument is struct bpf_cgroup_dev_ctx:
// access and type, major, minor. It goes through the rules from the last to the first and keeps in a register the accesses
// about which none has said anything yet.
func deviceProgram(rules []deviceRule) []instruction {
	prog := []instruction{
		{op: load32, regs: ctx<<4 | typ},
		{op: copy64, regs: typ<<4 | left},
		{op: and32, regs: typ, imm: 0xffff},
		{op: shift32, regs: left, imm: 16},
		{op: load32, regs: ctx<<4 | major, off: 4},
		{op: load32, regs: ctx<<4 | minor, off: 8},
	}
	for _, r := range slices.Backward(rules) {
		prog = append(prog, r.instructions()...)
	}
	return append(prog, instruction{op: move, regs: result}, instruction{op: exit})
}

// instructions decide, or go on behind themselves.
func (r deviceRule) instructions() []instruction {
	var tests []instruction
	if r.kinds != isAny {
		tests = append(tests, instruction{op: notEq, regs: typ, imm: int32(r.kinds)})
	}
	if r.major != any32 {
		tests = append(tests, instruction{op: notEq, regs: major, imm: int32(uint32(r.major))})
	}
	if r.minor != any32 {
		tests = append(tests, instruction{op: notEq, regs: minor, imm: int32(uint32(r.minor))})
	}
	verdict := r.verdict()
	for i := range tests {
		tests[i].off = int16(len(tests) - i - 1 + len(verdict)) // to behind the rule
	}
	return append(tests, verdict...)
}

// verdict is what the rule means for a device that it matches.
func (r deviceRule) verdict() []instruction {
	if r.allow {
		return []instruction{
			{op: and32, regs: left, imm: int32(accessAll &^ r.access)},
			{op: notEq, regs: left, off: 2},
			{op: move, regs: result, imm: 1},
			{op: exit},
		}
	}
	return []instruction{
		{op: copy64, regs: left<<4 | scratch},
		{op: and32, regs: scratch, imm: int32(r.access)},
		{op: equal, regs: scratch, off: 2},
		{op: move, regs: result},
		{op: exit},
	}
}

// restrictV1 writes the rules to a version 1 group. Its list is all devices with exceptions, or none: the first rule must
// say which, and exceptions cannot take back a part of one another. What cannot be said is an error where nothing else
// restricts the group.
func restrictV1(dir string, rules []deviceRule, alone bool) error {
	writes, err := deviceWrites(rules)
	if err != nil && alone {
		return err
	}
	if err != nil {
		writes = []write{{"devices.allow", "a"}}
	}
	for _, w := range writes {
		if err := writeFile(filepath.Join(dir, w.file), w.value); err != nil {
			return &FieldError{Field: "devices", Why: "the kernel refuses " + strconv.Quote(w.value) + " in " + w.file, Err: err}
		}
	}
	return nil
}

// deviceWrites translates rules for version 1, from a list that allows nothing.
func deviceWrites(rules []deviceRule) ([]write, error) {
	writes := []write{{"devices.deny", "a"}}
	allowAll := false
	var exceptions []deviceRule
	for i, given := range rules {
		if given.everything() {
			allowAll, exceptions = given.allow, nil
			writes = append(writes[:0], given.write())
			continue
		}
		for _, r := range given.byKind() {
			// A rule like the list's default can only take exceptions back, and the kernel takes back whole ones.
			if r.allow == allowAll && slices.ContainsFunc(exceptions, func(e deviceRule) bool { return e.overlaps(r) && !e.sameDevices(r) }) {
				return nil, refuse("devices["+strconv.Itoa(i)+"]", "cgroups of version 1 cannot take back a part of an earlier rule")
			}
			writes = append(writes, r.write())
			exceptions = append(exceptions, r)
		}
	}
	return writes, nil
}

// everything reports whether the rule is about all devices and all accesses.
func (r deviceRule) everything() bool {
	return r.kinds == isAny && r.major == any32 && r.minor == any32 && r.access == accessAll
}

// overlaps reports whether some access to some device is the matter of both.
func (r deviceRule) overlaps(o deviceRule) bool {
	return r.kinds&o.kinds != 0 && r.access&o.access != 0 &&
		(r.major == any32 || o.major == any32 || r.major == o.major) &&
		(r.minor == any32 || o.minor == any32 || r.minor == o.minor)
}

// sameDevices reports whether r names the same devices as o.
func (r deviceRule) sameDevices(o deviceRule) bool {
	return r.kinds == o.kinds && r.major == o.major && r.minor == o.minor
}

// byKind are rules of one kind each: the kernel's type a means all devices whatever else it says.
func (r deviceRule) byKind() []deviceRule {
	if r.kinds != isAny {
		return []deviceRule{r}
	}
	char, block := r, r
	char.kinds, block.kinds = isChar, isBlock
	return []deviceRule{char, block}
}

func (r deviceRule) write() write {
	w := write{file: "devices.deny"}
	if r.allow {
		w.file = "devices.allow"
	}
	if r.everything() {
		w.value = "a"
		return w
	}
	letter := "c"
	if r.kinds == isBlock {
		letter = "b"
	}
	var access strings.Builder
	for _, a := range []struct {
		bit    int
		letter byte
	}{{accessRead, 'r'}, {accessWrite, 'w'}, {accessMknod, 'm'}} {
		if r.access&a.bit != 0 {
			access.WriteByte(a.letter)
		}
	}
	w.value = letter + " " + star(r.major) + ":" + star(r.minor) + " " + access.String()
	return w
}

func star(n int64) string {
	if n == any32 {
		return "*"
	}
	return strconv.FormatInt(n, 10)
}
