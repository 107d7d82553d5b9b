package cgroup

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// allowed decides as the specification says it: for each kind of access the last rule that matches counts.
func allowed(rules []deviceRule, kind int, major, minor int64, access int) bool {
	for _, bit := range []int{accessRead, accessWrite, accessMknod} {
		if access&bit == 0 {
			continue
		}
		verdict := false
		for _, r := range rules {
			if r.kinds&kind != 0 && r.access&bit != 0 && (r.major == any32 || r.major == major) && (r.minor == any32 || r.minor == minor) {
				verdict = r.allow
			}
		}
		if !verdict {
			return false
		}
	}
	return true
}

// simulate runs a program as the kernel would; it fails on what its verifier would refuse.
func simulate(prog []instruction, kind int, major, minor uint32, access int) (uint64, error) {
	var regs [11]uint64
	mem := map[int16]uint32{0: uint32(access<<16 | kind), 4: major, 8: minor}
	for pc := 0; pc < len(prog); pc++ {
		i := prog[pc]
		dst, src := &regs[i.regs&0xf], regs[i.regs>>4]
		switch i.op {
		case load32:
			*dst = uint64(mem[i.off])
		case and32:
			*dst = uint64(uint32(*dst) & uint32(i.imm))
		case shift32:
			*dst = uint64(uint32(*dst) >> uint32(i.imm))
		case copy64:
			*dst = src
		case move:
			*dst = uint64(int64(i.imm))
		case equal:
			if *dst == uint64(int64(i.imm)) {
				pc += int(i.off)
			}
		case notEq:
			if uint32(*dst) != uint32(i.imm) {
				pc += int(i.off)
			}
		case exit:
			return regs[0], nil
		default:
			return 0, fmt.Errorf("instruction %#x", i.op)
		}
	}
	return 0, errors.New("it ran off the end")
}

func checkProgram(t *testing.T, rules []deviceRule, majors, minors []int64) {
	t.Helper()
	prog := deviceProgram(rules)
	for _, kind := range []int{isBlock, isChar} {
		for _, major := range majors {
			for _, minor := range minors {
				for access := 1; access <= accessAll; access++ {
					want := allowed(rules, kind, major, minor, access)
					got, err := simulate(prog, kind, uint32(major), uint32(minor), access)
					if err != nil || got != 0 != want || got > 1 {
						t.Fatalf("kind %d device %d:%d access %d is %d (%v), want %v by %+v", kind, major, minor, access, got, err, want, rules)
					}
				}
			}
		}
	}
}

func TestDeviceProgram(t *testing.T) {
	all := deviceRule{kinds: isAny, major: any32, minor: any32, access: accessAll}
	allowAll := all
	allowAll.allow = true
	tests := map[string][]deviceRule{
		"none":       {},
		"deny all":   {all},
		"allow all":  {allowAll},
		"the last":   {allowAll, all},
		"but one":    {allowAll, {kinds: isChar, major: 1, minor: 3, access: accessWrite}},
		"in parts":   {all, {allow: true, kinds: isChar, major: 1, minor: 3, access: accessWrite}, {allow: true, kinds: isChar, major: 1, minor: any32, access: accessRead}},
		"taken back": {all, {allow: true, kinds: isBlock, major: any32, minor: any32, access: accessAll}, {kinds: isBlock, major: 8, minor: any32, access: accessMknod}},
		"high":       {all, {allow: true, kinds: isChar, major: 1 << 31, minor: 1<<32 - 2, access: accessAll}},
		"all minors": {all, {allow: true, kinds: isChar, major: any32, minor: 3, access: accessAll}},
	}
	for name, rules := range tests {
		t.Run(name, func(t *testing.T) {
			checkProgram(t, rules, []int64{0, 1, 8, 1 << 31}, []int64{0, 3, 5, 1<<32 - 2})
		})
	}
}

// rulesFrom makes rules of bytes, five each.
func rulesFrom(b []byte) []deviceRule {
	var rules []deviceRule
	for ; len(b) >= 5 && len(rules) < 50; b = b[5:] {
		r := deviceRule{
			allow: b[0]&1 != 0, kinds: 1 + int(b[1])%isAny, major: int64(b[2]%5) - 1, minor: int64(b[3]%5) - 1, access: 1 + int(b[4])%accessAll,
		}
		rules = append(rules, r)
	}
	return rules
}

// FuzzDeviceProgram compares the program with the specification's words, on all devices of a small world.
func FuzzDeviceProgram(f *testing.F) {
	f.Add([]byte{1, 2, 0, 0, 6, 0, 1, 2, 0, 3})
	f.Add([]byte{0, 2, 0, 0, 6, 1, 1, 2, 3, 3, 1, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		checkProgram(t, rulesFrom(b), []int64{0, 1, 2, 3}, []int64{0, 1, 2, 3})
	})
}

// kernelV1 is version 1's list: a default, and exceptions that are named by type and numbers (devcgroup_update_access).
type kernelV1 struct {
	allow      bool
	exceptions []deviceRule
}

func (k *kernelV1) apply(r deviceRule) {
	if r.everything() {
		k.allow, k.exceptions = r.allow, nil
		return
	}
	if r.allow != k.allow {
		k.exceptions = append(k.exceptions, r)
		return
	}
	for i := range k.exceptions {
		if k.exceptions[i].sameDevices(r) {
			k.exceptions[i].access &^= r.access
		}
	}
}

func (k *kernelV1) allowed(kind int, major, minor int64, access int) bool {
	for _, bit := range []int{accessRead, accessWrite, accessMknod} {
		if access&bit == 0 {
			continue
		}
		excepted := false
		for _, e := range k.exceptions {
			excepted = excepted || e.kinds == kind && e.access&bit != 0 && (e.major == any32 || e.major == major) && (e.minor == any32 || e.minor == minor)
		}
		if excepted == k.allow {
			return false
		}
	}
	return true
}

// FuzzDeviceWrites: what version 1's kernel makes of the lines is what the specification says, or they are refused.
func FuzzDeviceWrites(f *testing.F) {
	f.Add([]byte{0, 2, 0, 0, 6, 1, 1, 2, 3, 3})
	f.Add([]byte{1, 2, 0, 0, 6, 0, 2, 2, 0, 3, 1, 1, 2, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		rules := rulesFrom(b)
		writes, err := deviceWrites(rules)
		if err != nil {
			return
		}
		k := &kernelV1{}
		for _, w := range writes {
			r, err := parseLine(w)
			if err != nil {
				t.Fatal(err)
			}
			k.apply(r)
		}
		for _, kind := range []int{isBlock, isChar} {
			for major := range int64(4) {
				for minor := range int64(4) {
					for access := 1; access <= accessAll; access++ {
						if got, want := k.allowed(kind, major, minor, access), allowed(rules, kind, major, minor, access); got != want {
							t.Fatalf("kind %d device %d:%d access %d is %v by %v, want %v by %+v", kind, major, minor, access, got, writes, want, rules)
						}
					}
				}
			}
		}
	})
}

// parseLine reads what the kernel would.
func parseLine(w write) (deviceRule, error) {
	r := deviceRule{allow: w.file == "devices.allow", kinds: isAny, major: any32, minor: any32, access: accessAll}
	if w.value == "a" {
		return r, nil
	}
	var typ byte
	var numbers, access string
	if _, err := fmt.Sscanf(w.value, "%c %s %s", &typ, &numbers, &access); err != nil {
		return r, err
	}
	r.kinds = map[byte]int{'b': isBlock, 'c': isChar}[typ]
	var ok bool
	if r.access, ok = deviceAccess(access); !ok || r.kinds == 0 {
		return r, fmt.Errorf("line %q", w.value)
	}
	for i, n := range []*int64{&r.major, &r.minor} {
		field := splitNumbers(numbers)[i]
		if field == "*" {
			continue
		}
		if _, err := fmt.Sscan(field, n); err != nil {
			return r, err
		}
	}
	return r, nil
}

func splitNumbers(s string) [2]string {
	for i := range s {
		if s[i] == ':' {
			return [2]string{s[:i], s[i+1:]}
		}
	}
	return [2]string{s, s}
}

func TestDeviceWrites(t *testing.T) {
	all := deviceRule{kinds: isAny, major: any32, minor: any32, access: accessAll}
	tests := map[string]struct {
		rules []deviceRule
		want  []write
		fails bool
	}{
		"none":       {want: []write{{"devices.deny", "a"}}},
		"one":        {rules: []deviceRule{all, {allow: true, kinds: isChar, major: 1, minor: 3, access: accessRead | accessMknod}}, want: []write{{"devices.deny", "a"}, {"devices.allow", "c 1:3 rm"}}},
		"all minors": {rules: []deviceRule{{allow: true, kinds: isBlock, major: 8, minor: any32, access: accessAll}}, want: []write{{"devices.deny", "a"}, {"devices.allow", "b 8:* rwm"}}},
		"both kinds": {rules: []deviceRule{{allow: true, kinds: isAny, major: any32, minor: any32, access: accessMknod}}, want: []write{{"devices.deny", "a"}, {"devices.allow", "c *:* m"}, {"devices.allow", "b *:* m"}}},
		"part taken back": {
			rules: []deviceRule{{allow: true, kinds: isChar, major: 1, minor: any32, access: accessAll}, {kinds: isChar, major: 1, minor: 5, access: accessWrite}},
			fails: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := deviceWrites(tt.rules)
			if (err != nil) != tt.fails {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(write{})); diff != "" && !tt.fails {
				t.Error(diff)
			}
		})
	}
}

func TestParseDevices(t *testing.T) {
	for field, d := range map[string]specs.LinuxDeviceCgroup{
		"devices[0].type":   {Type: "x"},
		"devices[0].access": {Access: "rx"},
		"devices[0].major":  {Major: new(int64(-2))},
		"devices[0].minor":  {Minor: new(int64(1 << 32))},
	} {
		_, err := parseDevices([]specs.LinuxDeviceCgroup{d})
		if f, ok := errors.AsType[*FieldError](err); !ok || f.Field != field {
			t.Errorf("the error is %v, want one of %s", err, field)
		}
	}
	got, err := parseDevices([]specs.LinuxDeviceCgroup{{Access: "rwm"}, {Allow: true, Type: "b", Major: new(int64(8)), Minor: new(int64(-1)), Access: "m"}, {Type: "a"}})
	want := []deviceRule{
		{kinds: isAny, major: any32, minor: any32, access: accessAll},
		{allow: true, kinds: isBlock, major: 8, minor: any32, access: accessMknod},
		{kinds: isAny, major: any32, minor: any32, access: accessAll},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(deviceRule{})); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
